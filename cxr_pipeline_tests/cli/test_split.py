from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from cxr_pipeline.cli.main import app
from cxr_pipeline.cli.steps import read_split_config
from cxr_pipeline.errors import CxrError, SplitError
from cxr_pipeline.pipeline.images import index_path
from cxr_pipeline.pipeline.split import write_cohort
from cxr_pipeline.split.config import SplitConfig
from cxr_pipeline.storage.lake import Lake, write_table
from cxr_pipeline.tables.images import StoreIndex
from cxr_pipeline.tables.labels import LabelTable
from cxr_pipeline_tests.images.conftest import picture
from cxr_pipeline_tests.split.lakes import write_lake, write_pairs
from cxr_pipeline_tests.split.stores import write_store
from cxr_pipeline_tests.split.tables import label_rows

run = CliRunner().invoke
VINDR = label_rows("vindr", ["1", "2"], [None] * 2)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation whose split exists: patients 1 and 2 share a picture, and 2 is on the test list."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CXR_HOME", str(tmp_path))
    lake = write_lake(tmp_path / "lake", label_rows("nih", ["1", "2", "3"], ["train_val", "test", "train_val"]))
    write_pairs(lake, ("nih/1_000", "nih/2_001"))
    write_cohort(lake, SplitConfig())
    return tmp_path


def test_explain_answers_first_and_names_no_other_patient(home: Path):
    result = run(app, ["split", "explain", "nih/1_000"])
    assert result.exit_code == 0, result.output
    first, *facts = result.output.splitlines()
    assert first == "nih/1_000 is in test: a published list decides for its group"
    assert "policy          official" in facts
    assert "copy            an image of another patient of nih, test" in facts
    assert "nih/2" not in result.output


def test_explain_of_an_unknown_image_says_why(home: Path):
    with pytest.raises(SplitError, match="nih/99 is not an image of its source"):
        run(app, ["split", "explain", "nih/99"], catch_exceptions=False)


@pytest.fixture
def stored_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation with NIH's pictures and VinDr's labels alone, whose split exists."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CXR_HOME", str(tmp_path))
    nih = label_rows("nih", ["1", "2", "3"], [None] * 3)
    lake = write_lake(tmp_path / "lake", nih, VINDR)
    write_store(index_path(lake, "nih").parent, nih, [picture(seed) for seed in range(3)])
    write_table(index_path(lake, "vindr"), StoreIndex.create_empty(), StoreIndex)
    write_cohort(lake, SplitConfig())
    return tmp_path


def test_prepared_source_whose_labels_were_never_made_is_told(stored_home: Path):
    (stored_home / "lake" / "labels" / "nih.parquet").rename(stored_home / "nih.parquet")
    write_store(index_path(Lake(stored_home / "lake"), "vindr").parent, VINDR, [picture(seed) for seed in range(2)])
    shown = " ".join(run(app, ["split"]).output.split())
    assert (
        "3 of the 3 prepared images of nih are left out: labels/nih has no row of them. Run `cxr labels nih`" in shown
    )
    assert "prepared images of vindr" not in shown


def test_a_setting_that_changes_nobody_says_so(stored_home: Path):
    before = (stored_home / "lake" / "split" / "cohort.parquet").read_bytes()
    result = run(app, ["split", "--set", "val_fraction=0.3"])
    assert result.exit_code == 0, result.output
    assert (stored_home / "lake" / "split" / "cohort.parquet").read_bytes() == before
    assert "val_fraction: not as when the patients of this split were placed" in " ".join(result.output.split())
    assert "not as when" not in run(app, ["split"]).output
    assert "not as when" not in run(app, ["split", "--set", "val_fraction=0.3", "--start-over"]).output


def test_labelled_images_without_pixels_are_counted(stored_home: Path):
    output = " ".join(run(app, ["split"]).output.split())
    assert "2 of the 2 images of vindr are left out" in output
    assert "images of nih are left out" not in output


def test_laterals_are_told_without_advice_that_changes_nothing(stored_home: Path):
    lake = Lake(stored_home / "lake")
    vindr = label_rows("vindr", ["1", "2"], [None] * 2)
    lateral = pl.lit("LATERAL").cast(vindr.schema["view"])
    write_table(lake.table("labels", "vindr"), vindr.with_columns(view=lateral), LabelTable)
    output = " ".join(run(app, ["split"]).output.split())
    assert "note: 2 of the 2 images of vindr are left out, laterals or of unknown view" in output
    assert "cxr images vindr" not in output


def test_settings_are_read_from_the_command_line():
    config = read_split_config(["external=padchest,vindr", "val_fraction=0.05", "assignment=hash"])
    assert config == SplitConfig(external=["padchest", "vindr"], val_fraction=0.05, assignment="hash")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("external=padchset", "padchset: not among the sources"),
        ("val_fraction=0.7", "val_fraction: Input should be less than 0.5"),
        ("fraction=0.1", "Fields: assignment, val_fraction"),
        ("hashed", "expected FIELD=VALUE"),
    ],
)
def test_wrong_setting_is_told_with_what_there_is(override: str, message: str):
    with pytest.raises(CxrError, match=message):
        read_split_config([override])
