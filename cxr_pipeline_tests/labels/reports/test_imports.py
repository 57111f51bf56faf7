"""The door for states of other labelers: what is refused, what is counted, and what takes the place of ours."""

from pathlib import Path

import polars as pl
import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.errors import SourceFormatError, SourceNotFoundError
from cxr_pipeline.labels.reports.imports import (
    StatesFile,
    compare_imported,
    import_states,
    judge_studies,
    keep_source,
    read_states,
)
from cxr_pipeline.labels.reports.states import spread_states
from cxr_pipeline.labels.reports.tables import label_from_reports, label_source, read_evidence
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.phantom.write import PhantomRequest, write_phantoms
from cxr_pipeline.storage.files import file_digest

REX = DATASETS["rexgradient"]
SCHEMA = {"study_id": pl.String, "class": pl.String, "state": pl.Int8, "source": pl.String}
ROWS = [
    ("a", "Mass", 1, "chexbert"),
    ("a", "Edema", None, "chexbert"),
    ("b", "Mass", 0, "chexbert"),
    ("a", "Mass", -1, "llm"),
    ("z", "Mass", 1, "llm"),
]
STUDIES = pl.Series(["a", "b", "c", "c"])


def write_states(path: Path, rows=ROWS, schema=SCHEMA) -> Path:
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(path)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "states.parquet"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rexgradient")
    write_phantoms(PhantomRequest("rexgradient", patients=12, seed=3, size=48), folder, workers=1)
    return folder


@pytest.fixture(scope="module")
def evidence(root: Path) -> pl.DataFrame:
    return read_evidence(REX, root)


def test_unknown_studies_are_left_out_and_counted(path: Path):
    imported = import_states(StatesFile(write_states(path)), STUDIES)
    assert set(imported.table["study_id"]) == {"a", "b"}
    assert imported.counts.rows(named=True) == [
        {"source": "chexbert", "rows": 3, "studies": 2, "unknown_studies": 0, "missing": 1},
        {"source": "llm", "rows": 2, "studies": 2, "unknown_studies": 1, "missing": 2},
    ]
    verdict = judge_studies(imported)
    assert not verdict.passed
    assert verdict.facts == {"unknown_studies": 1, "studies_without_states": 3}


def test_only_the_named_source_is_used_and_each_row_knows_its_file(path: Path):
    table = import_states(StatesFile(write_states(path), "chexbert"), STUDIES).table
    assert set(table.filter("is_used")["source"]) == {"chexbert"}
    assert set(table.filter(~pl.col("is_used"))["source"]) == {"llm"}
    assert set(table["file_digest"]) == {file_digest(path)}
    assert not import_states(StatesFile(path), STUDIES).table["is_used"].any()


def test_states_of_pandas_and_of_categories_are_read(path: Path):
    kinds = SCHEMA | {"class": pl.Categorical, "state": pl.Float64}
    assert read_states(write_states(path, schema=kinds))["state"].to_list() == [1, None, 0, -1, 1]
    assert read_states(write_states(path, [("a", "Mass", None, "x")], SCHEMA | {"state": pl.Null}))["state"][0] is None


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a", "Pleural Effusion", 1, "x")], r"1 of 1 rows are of another class, such as Pleural Effusion"),
        ([("a", None, 1, "x")], "of another class, such as null"),
        ([("a", "Mass", 2, "x"), ("b", "Mass", 1, "x")], "1 of 2 rows have a state other than"),
        ([("a", "Mass", 1, "x"), ("a", "Mass", 0, "x")], "2 of 2 rows state a class of a study twice"),
        ([(None, "Mass", 1, "x")], "no study_id or no source"),
        ([("a", "Mass", 1, "")], "no study_id or no source"),
        ([], "has no rows"),
    ],
)
def test_rows_that_cannot_be_meant_are_refused(path: Path, rows, message):
    with pytest.raises(SourceFormatError, match=message):
        read_states(write_states(path, rows))


@pytest.mark.parametrize("state", [0.5, float("nan")])
def test_a_state_between_the_states_is_refused(path: Path, state):
    with pytest.raises(SourceFormatError, match="a state other than 1, 0, -1 and null"):
        read_states(write_states(path, [("a", "Mass", state, "x")], SCHEMA | {"state": pl.Float64}))


@pytest.mark.parametrize(
    ("change", "wrong"),
    [({"drop": "source"}, "source"), ({"study_id": pl.Int64}, "study_id"), ({"state": pl.String}, "state")],
)
def test_wrong_columns_are_named_with_what_was_found(path: Path, change, wrong):
    frame = pl.DataFrame([("1", "Mass", 1, "x")], schema=SCHEMA, orient="row")
    dropped = change.pop("drop", None)
    (frame.drop(dropped) if dropped else frame.cast(change)).write_parquet(path)
    with pytest.raises(SourceFormatError, match=f"the columns {wrong} are missing or of another type"):
        read_states(path)


def test_an_absent_file_and_one_that_is_no_parquet_are_clear_errors(path: Path):
    with pytest.raises(SourceNotFoundError, match="No file"):
        read_states(path)
    path.write_text("study_id,class,state,source\n")
    with pytest.raises(SourceFormatError, match="not a readable Parquet file"):
        read_states(path)


def test_a_report_in_the_wrong_column_is_not_shown_in_full(path: Path):
    text = "There is a large mass in the left lung of a person of great age."
    with pytest.raises(SourceFormatError) as error:
        read_states(write_states(path, [("a", text, 1, "x")]))
    assert text not in str(error.value)


def test_a_source_that_is_not_in_the_file_names_those_that_are(path: Path):
    with pytest.raises(SourceFormatError, match="has the sources chexbert, llm, not chexbart"):
        import_states(StatesFile(write_states(path), "chexbart"), STUDIES)
    assert keep_source(path, read_states(path), "llm").height == 2


def test_a_source_that_knows_no_study_cannot_take_our_place(path: Path):
    with pytest.raises(SourceFormatError, match="none of the studies of llm is known"):
        import_states(StatesFile(write_states(path), "llm"), pl.Series(["b", "c"]))


def test_each_source_is_compared_over_what_it_read(path: Path):
    ours = pl.DataFrame({"study_id": ["a", "b", "c"]}).with_columns(
        pl.Series(name, [1, None, 1] if name == "Mass" else [None] * 3, dtype=pl.Int8) for name in PATHOLOGIES
    )
    agreement = compare_imported("x", read_states(write_states(path)), ours)
    mass = agreement.filter(pathology="Mass").drop("reports", "pathology", "kappa").rows()
    assert mass == [("chexbert", 1, 0, 0, 1, 2), ("llm", 0, 1, 0, 0, 1)]


def our_own_as_a_file(root: Path, evidence: pl.DataFrame, path: Path) -> Path:
    studies = REX.read_images(root).select("study_id").unique().collect()
    long = spread_states(evidence, studies).unpivot(index="study_id", variable_name="class", value_name="state")
    long.with_columns(source=pl.lit("other")).write_parquet(path)
    return path


def test_the_same_states_from_a_file_make_the_same_labels(root: Path, evidence: pl.DataFrame, path: Path):
    ours = label_from_reports(REX, root, evidence).table
    file = StatesFile(our_own_as_a_file(root, evidence, path), "other")
    assert label_source(REX, root, states=file).table.equals(label_source(REX, root).table)
    imported = import_states(file, ours["study_id"]).table
    assert label_from_reports(REX, root, evidence, imported=imported).table.equals(ours)


def test_imported_states_take_the_place_of_ours(root: Path, evidence: pl.DataFrame, path: Path):
    studies = REX.read_images(root).select("study_id").unique(maintain_order=True).collect()["study_id"]
    said = [(study, "Hernia", 1, "llm") for study in studies]
    file = StatesFile(write_states(path, said), "llm")
    imported = import_states(file, studies).table
    table = label_from_reports(REX, root, evidence, imported=imported).table
    assert set(table["Hernia"]) == {1}
    assert table.select(pl.col(PATHOLOGIES).exclude("Hernia").eq(1).any()).row(0) == (False,) * 13
    only_compared = imported.with_columns(is_used=False)
    ours = label_from_reports(REX, root, evidence).table
    assert label_from_reports(REX, root, evidence, imported=only_compared).table.equals(ours)


def test_a_study_that_the_file_lacks_is_unknown_and_never_negative(root: Path, evidence: pl.DataFrame, path: Path):
    studies = REX.read_images(root).select("study_id").unique(maintain_order=True).collect()["study_id"]
    file = StatesFile(write_states(path, [(studies[0], "Mass", None, "llm")]), "llm")
    table = label_from_reports(REX, root, evidence, imported=import_states(file, studies).table).table
    read, unread = table.filter(study_id=studies[0]), table.filter(pl.col("study_id") != studies[0])
    assert set(read["Mass"]) == {0}
    assert unread.select(pl.col(PATHOLOGIES).is_null().all()).row(0) == (True,) * 14
