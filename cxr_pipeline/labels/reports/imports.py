"""States of reports that another labeler found (CheXbert, an LLM, a person): reads and checks its Parquet file.

What the states are used for is decided in `from_reports.py`; nothing here reads a report.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from cxr_pipeline.datasets.quality import Verdict
from cxr_pipeline.errors import SourceFormatError, SourceNotFoundError
from cxr_pipeline.labels.reports.agreement import compare_states, count_silence
from cxr_pipeline.labels.reports.states import spread_states
from cxr_pipeline.pathologies import NEGATIVE, PATHOLOGIES, POSITIVE, UNCERTAIN
from cxr_pipeline.storage.files import file_digest
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables.reports import ImportedStateTable

COLUMNS = ("study_id", "class", "state", "source")

_SHOWN = 8  # words of a file that an error quotes
_SHOWN_CHARACTERS = 40  # of each: a column may hold what it should not
_COUNTS = {"source": pl.String, "rows": pl.UInt32, "studies": pl.UInt32, "unknown_studies": pl.UInt32}


@dataclass(frozen=True)
class StatesFile:
    """A file of states, and which of its sources takes the place of our report labeler; None: it is only compared."""

    path: Path
    labeler: str | None = None


@dataclass(frozen=True)
class ImportedStates:
    """`table`: ImportedStateTable, of known studies alone. `counts`: `source rows studies unknown_studies missing`.

    `unknown_studies` are in the file and not in the source (their rows are left out), `missing` the reverse.
    """

    table: pl.DataFrame
    counts: pl.DataFrame

    @classmethod
    def empty(cls) -> "ImportedStates":
        """Of an installation that imports no states."""
        return cls(ImportedStateTable.create_empty(), pl.DataFrame(schema={**_COUNTS, "missing": pl.UInt32}))


def import_states(file: StatesFile, studies: pl.Series) -> ImportedStates:
    """The states of `file` on those of its studies that are among `studies` (study ids).

    Raises as `read_states` does, and SourceFormatError when the file lacks `labeler`, or no study of it is known.
    """
    states = read_states(file.path)
    is_known = pl.col("study_id").is_in(studies.unique().implode())
    counts = states.group_by("source").agg(
        rows=pl.len(),
        studies=pl.col("study_id").n_unique(),
        unknown_studies=pl.col("study_id").filter(~is_known).n_unique(),
    )
    known = states.filter(is_known)
    if file.labeler is not None and keep_source(file.path, states, file.labeler).filter(is_known).is_empty():
        raise SourceFormatError(
            f"{file.path}: none of the studies of {file.labeler} is known. Expected the study ids of the label table, "
            "such as `rexgradient/<StudyInstanceUid>`."
        )
    table = known.with_columns(
        is_used=pl.col("source").eq_missing(pl.lit(file.labeler, pl.String)), file_digest=pl.lit(file_digest(file.path))
    )
    missing = studies.n_unique() + pl.col("unknown_studies").cast(pl.Int64) - pl.col("studies")
    return ImportedStates(
        validate_table(table, ImportedStateTable), counts.with_columns(missing=missing.cast(pl.UInt32)).sort("source")
    )


def read_states(path: Path) -> pl.DataFrame:
    """`study_id pathology state source` of a Parquet file with the columns `study_id class state source`.

    One row per source, study and class: 1 positive, 0 denied, -1 uncertain, null read and not mentioned. A study of
    which nothing is said needs one row with null; a study without a row was not read.

    Raises SourceNotFoundError, and SourceFormatError for other columns or types, an unknown class, another state, a
    missing id or source, a class that a source states twice for a study. No id is part of the message.
    """
    rows = read_parquet(path, COLUMNS)
    _require_columns(path, rows)
    states = rows.select(
        "study_id", pl.col("class").cast(pl.String).alias("pathology"), pl.col("state").cast(pl.Float64), "source"
    )
    _require_classes(path, states)
    _require_rows(path, states)
    return states.cast({"state": pl.Int8})


def read_parquet(path: Path, columns: Sequence[str]) -> pl.DataFrame:
    """A Parquet file that a user names, which is said to have `columns`; raises as `read_states` does."""
    if not path.is_file():
        raise SourceNotFoundError(f"No file {path}. Expected a Parquet file with the columns {', '.join(columns)}.")
    try:
        return pl.read_parquet(path)
    except PolarsError as error:
        raise SourceFormatError(
            f"{path} is not a readable Parquet file ({type(error).__name__}). Expected one with the columns "
            f"{', '.join(columns)}: write it again."
        ) from None  # the cause may quote cells


def keep_source(path: Path, states: pl.DataFrame, source: str | None) -> pl.DataFrame:
    """The rows of `source` (None: all); raises SourceFormatError that names the sources when it is not among them."""
    found = states["source"].unique().sort()
    if source is not None and source not in found:
        names = ", ".join(found.str.head(_SHOWN_CHARACTERS).head(_SHOWN))
        raise SourceFormatError(f"{path} has the sources {names or '(none)'}, not {source}: name one of them, or none.")
    return states if source is None else states.filter(pl.col("source") == source)


def judge_studies(imported: ImportedStates) -> Verdict:
    """Whether the file speaks of the source's studies and no others, and of all of them."""
    unknown, missing = (int(imported.counts[name].sum()) for name in ("unknown_studies", "missing"))
    return Verdict(not (unknown or missing), {"unknown_studies": unknown, "studies_without_states": missing})


def compare_imported(reports: str, rows: pl.DataFrame, ours: pl.DataFrame) -> pl.DataFrame:
    """`reports` (as given), `theirs` (a source of `rows`) and the columns of `compare_states`, over what both read.

    `rows`: one or more, as `read_states` gives them. `ours`: one row per study that we read, with the 14 classes. What
    either does not mention it does not see.
    """
    said, tables = count_silence(ours), []
    for source in rows["source"].unique().sort():
        own = rows.filter(pl.col("source") == source)
        theirs = count_silence(spread_states(own, own.select("study_id").unique(maintain_order=True)))
        names = (pl.lit(reports).alias("reports"), pl.lit(source).alias("theirs"))
        tables.append(compare_states(said, theirs).select(*names, pl.all()))
    return pl.concat(tables)


def _require_columns(path: Path, rows: pl.DataFrame) -> None:
    texts = (pl.String, pl.Categorical, pl.Enum)
    wrong = [name for name in COLUMNS if name not in rows.columns]
    wrong += [name for name in ("study_id", "source") if name in rows.columns and rows.schema[name] != pl.String]
    wrong += ["class"] if "class" in rows.columns and not isinstance(rows.schema["class"], texts) else []
    wrong += ["state"] if "state" in rows.columns and not _holds_numbers(rows["state"]) else []
    if wrong:
        raise SourceFormatError(
            f"{path}: the columns {', '.join(wrong)} are missing or of another type. Found "
            f"{', '.join(f'{name} ({kind})' for name, kind in rows.schema.items())}; expected study_id, class and "
            "source as text and state as a number (1, 0, -1 or null)."
        )


def _holds_numbers(states: pl.Series) -> bool:
    """Floats are taken as well: pandas makes them of integers with gaps."""
    return states.dtype.is_numeric() or states.dtype == pl.Null


def _require_classes(path: Path, states: pl.DataFrame) -> None:
    unknown = states.filter(~pl.col("pathology").is_in(PATHOLOGIES).fill_null(value=False))
    if unknown.height:
        names = unknown["pathology"].fill_null("null").str.head(_SHOWN_CHARACTERS).unique().sort().head(_SHOWN)
        raise SourceFormatError(
            f"{path}: {unknown.height} of {states.height} rows are of another class, such as {', '.join(names)}. "
            f"Expected {', '.join(PATHOLOGIES)}: rename what means the same (`Pleural Effusion` is Effusion) and leave "
            "the rest out."
        )


def _require_rows(path: Path, states: pl.DataFrame) -> None:
    if states.is_empty():
        raise SourceFormatError(f"{path} has no rows. Expected one per source, study and class: write the file again.")
    problems = {
        "have no study_id or no source": pl.any_horizontal(pl.col("study_id", "source").fill_null("") == ""),
        "have a state other than 1, 0, -1 and null": ~pl.col("state").is_in(
            [float(POSITIVE), float(NEGATIVE), float(UNCERTAIN)]
        ),
        "state a class of a study twice for one source": pl.struct("source", "study_id", "pathology").is_duplicated(),
    }
    for problem, is_wrong in problems.items():
        count = states.select(is_wrong.fill_null(value=False).sum()).item()
        if count:
            raise SourceFormatError(
                f"{path}: {count} of {states.height} rows {problem}. Expected one row per source, study and class: "
                "correct the file where it is made."
            )
