import json
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest

from cxr_pipeline.errors import SplitError, TableError
from cxr_pipeline.split.cohort import SplitCohort
from cxr_pipeline.split.config import SplitConfig
from cxr_pipeline.split.history import changed_settings, read_memory, recall, remember
from cxr_pipeline.storage.files import file_digest
from cxr_pipeline.storage.lake import Lake, read_table, write_table
from cxr_pipeline.tables.split import AssignmentTable, CohortTable
from cxr_pipeline_tests.split.tables import label_rows, split_labels

BALANCED, HASH = SplitConfig(), SplitConfig(assignment="hash")


def people(n: int, *, first: int = 0) -> list[str]:
    return [f"p{i:03}" for i in range(first, first + n)]


@dataclass
class Home:
    """A lake and the source that its cohorts are made of."""

    lake: Lake
    patients: list[str] = field(default_factory=lambda: people(40))
    pairs: list[tuple[str, str]] = field(default_factory=list)

    def split(self, config: SplitConfig = BALANCED, *, start_over: bool = False) -> SplitCohort:
        """What `pipeline.write_cohort` does, without reading the tables of seven sources."""
        memory = recall(self.lake, config, start_over=start_over)
        labels = label_rows("padchest", self.patients, [None] * len(self.patients))
        cohort = split_labels(labels, config=config, pairs=self.pairs, memory=memory)
        remember(self.lake, cohort.memory, config, start_over=start_over)
        write_table(self.lake.table("split", "cohort"), cohort.table, CohortTable)
        return cohort


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(Lake(tmp_path))


def splits(home: Home) -> dict[str, str]:
    cohort = pl.read_parquet(home.lake.table("split", "cohort"))
    return dict(cohort.select("patient_id", pl.col("split").cast(pl.String)).iter_rows())


def generations(home: Home) -> list[dict]:
    return json.loads((home.lake.root / "split" / "history.json").read_text())["generations"]


def digests(home: Home) -> dict[str, tuple[str, int]]:
    return {f.name: (file_digest(f), f.stat().st_mtime_ns) for f in (home.lake.root / "split").iterdir()}


@pytest.mark.parametrize("config", [BALANCED, HASH])
def test_second_run_changes_no_byte(home: Home, config: SplitConfig):
    home.split(config)
    before = digests(home)
    home.split(config)
    assert digests(home) == before


def test_arrivals_are_a_generation_and_nobody_moves(home: Home):
    home.split()
    before = splits(home)
    home.patients = people(60)
    home.split()
    assert {p: s for p, s in splits(home).items() if p in before} == before
    assert [(g["generation"], g["arrived"], g["patients"], g["moved"]) for g in generations(home)] == [
        (1, 40, 40, 0),
        (2, 20, 60, 0),
    ]


def test_patients_who_leave_and_return_have_their_split(home: Home):
    home.split()
    before = splits(home)
    home.patients = people(5, first=100)
    home.split()
    home.patients = people(40)
    home.split()
    assert splits(home) == before


def test_new_duplicate_moves_and_keeps_the_move(home: Home):
    home.split()
    by_split = {split: patient for patient, split in splits(home).items()}
    number = {f"padchest/{p}": f"padchest/{p}_{i:03}" for i, p in enumerate(people(40))}
    home.pairs = [(number[by_split["train"]], number[by_split["test"]])]
    assert home.split().moved.height == 1
    assert home.split().moved.is_empty()
    assert read_memory(home.lake)[0].moves.rows() == [(by_split["train"], 2, "train", "test", "group")]
    assert splits(home)[by_split["train"]] == "test"


@pytest.mark.parametrize("lost", ["assignment", "moves"])
def test_lost_table_is_an_error_that_says_how_to_go_on(home: Home, lost: str):
    home.split()
    home.lake.table("split", lost).unlink()
    with pytest.raises(SplitError, match=rf"{lost}\.parquet is gone.*backup.*--start-over"):
        home.split()


def test_lost_table_is_noticed_without_a_cohort_too(home: Home):
    home.split()
    home.lake.table("split", "assignment").unlink()
    home.lake.table("split", "cohort").unlink()
    with pytest.raises(SplitError, match="is gone"):
        home.split()


def test_older_backup_of_the_table_is_noticed(home: Home):
    home.split()
    backup = home.lake.table("split", "assignment").read_bytes()
    home.patients = people(60)
    home.split()
    home.lake.table("split", "assignment").write_bytes(backup)
    with pytest.raises(SplitError, match="20 patients of the cohort are not in it"):
        home.split()


def test_table_that_was_weakened_by_hand_is_noticed(home: Home):
    home.split()
    path = home.lake.table("split", "assignment")
    weakened = read_table(path, AssignmentTable).with_columns(
        split=pl.lit("train").cast(pl.Enum(["train", "val", "test"]))
    )
    write_table(path, weakened, AssignmentTable)
    with pytest.raises(SplitError, match="8 patients"):  # 4 of val, 4 of test
        home.split()


def test_kill_between_assignment_and_cohort_is_no_error(home: Home):
    home.split()
    cohort = home.lake.table("split", "cohort").read_bytes()
    history = (home.lake.root / "split" / "history.json").read_bytes()
    home.patients = people(60)
    home.split()
    after = splits(home)
    home.lake.table("split", "cohort").write_bytes(cohort)
    (home.lake.root / "split" / "history.json").write_bytes(history)
    home.split()
    assert splits(home) == after
    assert [g["generation"] for g in generations(home)] == [1, 2]


def test_start_over_makes_the_split_of_a_fresh_lake(home: Home, tmp_path: Path):
    fresh = Home(Lake(tmp_path / "fresh"))
    fresh.split()
    home.patients = people(20)
    home.split()
    home.patients = people(40)
    home.split()
    assert splits(home) != splits(fresh)
    home.split(start_over=True)
    assert splits(home) == splits(fresh)
    assert len(generations(home)) == 1


def test_hashed_cohort_is_adopted_and_nobody_moves(home: Home):
    home.split(HASH)
    before = splits(home)
    home.patients = people(60)
    home.split()
    assert {p: s for p, s in splits(home).items() if p in before} == before
    memory, _ = read_memory(home.lake)
    assert memory.assignment.group_by("how", "since").len().sort("since").rows() == [
        ("adopted", 0, 40),
        ("balanced", 1, 20),
    ]


def test_cohort_of_an_older_version_is_adopted(home: Home):
    home.split(HASH)
    old = pl.read_parquet(home.lake.table("split", "cohort")).drop("weight", "duplicate_group")
    before = splits(home)
    for file in (home.lake.root / "split").iterdir():
        file.unlink()
    old.write_parquet(home.lake.table("split", "cohort"))
    home.split()
    assert splits(home) == before


def test_balanced_split_is_not_hashed_without_being_asked_twice(home: Home):
    home.split()
    with pytest.raises(SplitError, match="is balanced, and `assignment: hash` was asked for"):
        home.split(HASH)
    home.split(HASH, start_over=True)
    assert not home.lake.table("split", "assignment").exists()
    assert read_memory(home.lake)[1] == HASH


def test_changed_settings_hold_for_arrivals_and_are_named(home: Home):
    home.split()
    before = splits(home)
    other = SplitConfig(salt="other", test_fraction=0.3)
    home.split(other)
    assert splits(home) == before
    assert changed_settings(home.lake, other) == ["salt", "test_fraction"]
    assert changed_settings(home.lake, BALANCED) == []


def test_unreadable_cohort_is_an_error_that_says_what_to_do(home: Home):
    home.lake.table("split", "cohort").parent.mkdir(parents=True, exist_ok=True)
    home.lake.table("split", "cohort").write_bytes(b"PAR1")
    with pytest.raises(TableError, match="delete it"):
        recall(home.lake, BALANCED)


def test_broken_history_is_an_error_that_says_what_to_do(home: Home):
    home.split()
    (home.lake.root / "split" / "history.json").write_text("{")
    with pytest.raises(SplitError, match="not JSON"):
        recall(home.lake, BALANCED)
