"""What a lake remembers of its split: assignment, moves and generations. Who is placed where is not decided here.

`split/assignment.parquet` is the memory itself; `split/history.json` says that there is one, so that a lost table is
noticed rather than made anew.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from cxr_pipeline.errors import SplitError, TableError
from cxr_pipeline.pathologies import SPLITS
from cxr_pipeline.split.assignment import Placement
from cxr_pipeline.split.config import SplitConfig
from cxr_pipeline.storage.files import write_json
from cxr_pipeline.storage.lake import Lake, read_table, write_table
from cxr_pipeline.tables.split import AssignmentTable, MoveTable

STAGE = "split"
START_OVER = "`cxr split --start-over` (start_over in Dagster's launchpad)"


@dataclass(frozen=True)
class Memory:
    """What was decided before."""

    assignment: pl.DataFrame  # AssignmentTable
    moves: pl.DataFrame  # MoveTable

    @classmethod
    def empty(cls) -> "Memory":
        return cls(AssignmentTable.create_empty(), MoveTable.create_empty())

    @property
    def generation(self) -> int:
        """The last that placed or moved anyone; 0 when there was none."""
        return max(_last(self.assignment["since"]), _last(self.moves["generation"]))

    def and_then(self, placement: Placement) -> "Memory":
        """With what has just been placed and moved."""
        return Memory(placement.assignment, pl.concat([self.moves, placement.moves]).sort("generation", "patient_id"))


def recall(lake: Lake, config: SplitConfig, *, start_over: bool = False) -> Memory:
    """What the next cohort has to respect; nothing when the user starts over or `config.assignment` is `hash`.

    A cohort made by the hash, or by a version without this memory, is adopted: its patients stay where they are.
    Raises SplitError when the assignment is lost, is older than the cohort, or when a balanced split would be hashed.
    """
    made_by = _history(lake).get("settings", {}).get("assignment")
    if start_over:
        return Memory.empty()
    if config.assignment == "hash":
        _refuse_hash(lake, made_by)
        return Memory.empty()
    if not _table(lake, "assignment").exists() and made_by != "balanced":
        return _adopt(lake.table(STAGE, "cohort"))
    _require_tables(lake)
    memory = Memory(
        read_table(_table(lake, "assignment"), AssignmentTable), read_table(_table(lake, "moves"), MoveTable)
    )
    _refuse_old(memory.assignment, lake.table(STAGE, "cohort"))
    return memory


def remember(lake: Lake, memory: Memory, config: SplitConfig, *, start_over: bool = False) -> None:
    """Keeps `memory`, and the settings of a generation that is new. Of a hashed split only that it is one is kept.

    The assignment comes before the cohort that follows it: after a kill between the two it is newer, never older.
    """
    history = lake.folder(STAGE, "history.json")
    if config.assignment == "hash":
        for name in ("assignment", "moves") if start_over else ():
            _table(lake, name).unlink(missing_ok=True)
        write_json(history, {"settings": config.model_dump(), "generations": []})
        return
    generations = [] if start_over else _history(lake).get("generations", [])
    if memory.generation > _number(generations):
        generations = [*generations, _describe(memory, config)]
    write_table(_table(lake, "moves"), memory.moves, MoveTable)
    write_table(_table(lake, "assignment"), memory.assignment, AssignmentTable)
    write_json(history, {"settings": config.model_dump(), "generations": generations})


def read_memory(lake: Lake) -> tuple[Memory, SplitConfig]:
    """What is remembered now, and the settings of the last cohort (the defaults where none are kept): to be read, not
    to be continued."""
    config = SplitConfig.model_validate(_history(lake).get("settings", {}))
    tables = [_table(lake, "assignment"), _table(lake, "moves")]
    if not all(path.is_file() for path in tables):
        return Memory.empty(), config
    return Memory(read_table(tables[0], AssignmentTable), read_table(tables[1], MoveTable)), config


def changed_settings(lake: Lake, config: SplitConfig) -> list[str]:
    """The settings that differ from those of the first generation: they hold for arriving patients alone."""
    generations = _history(lake).get("generations", [])
    first = generations[0]["settings"] if generations else config.model_dump()
    return sorted(name for name, value in config.model_dump().items() if first.get(name) != value)


def _describe(memory: Memory, config: SplitConfig) -> dict[str, Any]:
    number = memory.generation
    return {
        "generation": number,
        "settings": config.model_dump(),
        "patients": memory.assignment.height,
        "arrived": int((memory.assignment["since"] == number).sum()),
        "moved": int((memory.moves["generation"] == number).sum()),
    }


def _adopt(cohort: Path) -> Memory:
    if not cohort.is_file():
        return Memory.empty()
    strictest = pl.col("split").to_physical().max()
    adopted = _read_splits(cohort).group_by("patient_id").agg(rank=strictest).sort("patient_id")
    rows = adopted.select(
        "patient_id",
        split=pl.col("rank").replace_strict(dict(enumerate(SPLITS)), return_dtype=pl.Enum(SPLITS)),
        how=pl.lit("adopted"),
        since=pl.lit(0),
    )
    return Memory(AssignmentTable.cast(rows), MoveTable.create_empty())


def _refuse_hash(lake: Lake, made_by: str | None) -> None:
    if made_by == "balanced" or _table(lake, "assignment").exists():
        raise SplitError(
            f"The split in {lake.folder(STAGE, '')} is balanced, and `assignment: hash` was asked for: that is another "
            f"split, in which patients leave test. Keep `assignment: balanced`, or make a new split with {START_OVER} "
            "and train again."
        )


def _require_tables(lake: Lake) -> None:
    lost = [path for path in (_table(lake, "assignment"), _table(lake, "moves")) if not path.is_file()]
    if lost:
        raise SplitError(
            f"{' and '.join(map(str, lost))} is gone, though {lake.folder(STAGE, 'history.json')} says that patients "
            "were placed: a new split would mix test patients into training. Restore it from a backup; or delete "
            "history.json as well, to adopt the splits of split/cohort.parquet (patients who are no longer in it are "
            f"then forgotten); or make a new split with {START_OVER} and train again."
        )


def _refuse_old(assignment: pl.DataFrame, cohort: Path) -> None:
    """An assignment restored from an old backup, or a cohort edited by hand."""
    if not cohort.is_file():
        return
    seen = (
        _read_splits(cohort)
        .unique()
        .join(assignment.select("patient_id", decided="split"), on="patient_id", how="left")
    )
    is_weaker = pl.col("decided").to_physical() < pl.col("split").to_physical()
    wrong = seen.filter(pl.col("decided").is_null() | is_weaker).height
    if wrong:
        raise SplitError(
            f"split/assignment.parquet does not fit {cohort}: {wrong} patients of the cohort are not in it, or stand "
            "in a less strict split. It is older than the cohort. Restore the newer one from a backup; or delete both "
            "it and history.json to adopt the splits of the cohort; or make a new split with "
            f"{START_OVER} and train again."
        )


def _read_splits(cohort: Path) -> pl.DataFrame:
    """`patient_id, split` of a cohort file of this or an older version."""
    try:
        return pl.read_parquet(cohort, columns=["patient_id", "split"]).cast({"split": pl.Enum(SPLITS)})
    except PolarsError as error:
        raise TableError(
            f"{cohort} is not a readable cohort ({error}): delete it. Where split/assignment.parquet is there, its "
            "patients stay where they were."
        ) from error


def _history(lake: Lake) -> dict[str, Any]:
    path = lake.folder(STAGE, "history.json")
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise SplitError(
            f"{path} is not JSON ({error}): restore it, or delete it; the next `cxr split` writes it again."
        ) from error


def _number(generations: list[dict[str, Any]]) -> int:
    return generations[-1]["generation"] if generations else 0


def _last(numbers: pl.Series) -> int:
    return int(numbers.max() or 0)  # type: ignore[arg-type]


def _table(lake: Lake, name: str) -> Path:
    return lake.table(STAGE, name)
