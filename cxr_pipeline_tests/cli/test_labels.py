from pathlib import Path

import polars as pl
import pytest
from click.testing import Result
from typer.testing import CliRunner

from cxr_pipeline.cli.labels import describe_choices, read_policy
from cxr_pipeline.cli.main import app
from cxr_pipeline.errors import CxrError
from cxr_pipeline.labels.policy import LabelPolicy
from cxr_pipeline.storage.lake import Lake
from cxr_pipeline_tests.datasets.padchest_rows import padchest_row, write_padchest
from cxr_pipeline_tests.datasets.sources import write_chexpert, write_image, write_lines, write_nih
from cxr_pipeline_tests.datasets.vindr.test_source import A, write_kaggle


def run(tmp_path: Path, *arguments: str) -> Result:
    environment = {"CXR_HOME": str(tmp_path / "home"), "COLUMNS": "200"}
    return CliRunner().invoke(app, ["labels", *arguments], env=environment, catch_exceptions=False)


def test_policy_named_at_the_command_line_decides_the_table_in_the_lake(tmp_path: Path):
    root = write_chexpert(tmp_path / "chexpert", valid=None)
    table = Lake(tmp_path / "home" / "lake").table("labels", "chexpert")
    shown = run(tmp_path, "chexpert", "--root", str(root))
    assert "policy:" not in shown.output
    assert pl.read_parquet(table)["Pneumonia"].to_list() == [0, 0, 0]  # blank: not mentioned
    shown = run(tmp_path, "chexpert", "--root", str(root), "--set", "unstated=unknown")
    assert "policy: unstated=unknown (default as_source)" in shown.output
    assert pl.read_parquet(table)["Pneumonia"].to_list() == [0, None, None]  # the first row says No Finding


def test_policy_decides_the_table_of_out_too(tmp_path: Path):
    rows = [
        f"{A},Cardiomegaly,3,R8,1,2,3,4",
        *(f"{A},Aortic enlargement,0,{reader},1,2,3,4" for reader in ("R9", "R10")),
    ]
    root, out = write_kaggle(tmp_path / "vindr", rows), tmp_path / "out.parquet"
    values = {}
    for votes in ("majority", "any"):
        run(tmp_path, "vindr", "--root", str(root), "--out", str(out), "--set", f"reader_votes={votes}")
        values[votes] = pl.read_parquet(out)["Cardiomegaly"].to_list()
    assert values == {"majority": [-1], "any": [1]}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("unstated=zero", "unstated: .*'as_source', 'negative' or 'unknown'"),
        ("blank=unknown", "blank: .*Fields: .*unstated=as_source.negative.unknown"),
        ("unstated", "expected FIELD=VALUE, for example --set unstated=unknown"),
    ],
)
def test_choice_that_is_none_is_named_with_those_that_are(text: str, problem: str):
    with pytest.raises(CxrError, match=problem):
        read_policy([text])


def test_choices_are_told_with_their_default():
    assert describe_choices(LabelPolicy()) == []
    assert describe_choices(read_policy(["reader_votes=any", "labelled_by = physician"])) == [
        "reader_votes=any (default majority)",
        "labelled_by=physician (default anyone)",
    ]


def test_choice_that_changes_nothing_is_said_so(tmp_path: Path):
    nih, padchest = write_nih(tmp_path / "nih"), write_padchest(tmp_path / "padchest", [padchest_row("1_1")])
    choices = ("--set", "labelled_by=physician", "--set", "reader_votes=any")
    shown = run(tmp_path, "nih", "--root", str(nih), *choices).output
    assert "reader_votes changes nothing" in shown
    assert "labelled_by changes nothing" in shown
    assert "labelled_by changes nothing" not in run(tmp_path, "padchest", "--root", str(padchest), *choices).output


def test_help_explains_each_field_with_its_values():
    shown = CliRunner().invoke(app, ["labels", "--help"], env={"COLUMNS": "200"}).output
    for field in LabelPolicy.model_fields:
        assert f"  {field} " in shown
    assert "as_source, negative, unknown; default as_source" in shown
    assert "--set" in shown


def test_rows_without_a_file_and_files_without_a_row_are_told_once_there_are_pictures(tmp_path: Path):
    root = write_nih(tmp_path / "nih")
    assert "have no file" not in run(tmp_path, "nih", "--root", str(root)).output
    for name in ("00000001_000.png", "00000009_000.png"):
        write_image(root / "images" / name)
    shown = run(tmp_path, "nih", "--root", str(root)).output
    assert "2 of 3 published images have no file" in shown
    assert "1 image files" in shown


@pytest.mark.parametrize("to_file", [False, True])
def test_labels_do_not_stop_for_boxes_that_cannot_be_read_and_say_so_once(tmp_path: Path, to_file: bool):
    root = write_nih(tmp_path / "nih")
    write_lines(root / "BBox_List_2017.csv", ["Image Index;Finding Label", "00000001_000.png;Mass"])
    shown = run(tmp_path, "nih", "--root", str(root), *(["--out", str(tmp_path / "out.parquet")] if to_file else []))
    assert shown.exit_code == 0
    assert shown.output.count("its boxes cannot be read") == 1
    assert "BBox_List_2017.csv: the header is" in shown.output


def test_labels_do_not_stop_for_sizes_that_cannot_be_read(tmp_path: Path):
    root = write_kaggle(tmp_path / "vindr")
    write_lines(root / "train_meta.csv", ["image_id,width", f"{A},2000"])
    shown = run(tmp_path, "vindr", "--root", str(root))
    assert shown.exit_code == 0
    assert "its boxes cannot be read" in shown.output
    assert "train_meta.csv lacks the columns" in shown.output


def test_what_the_release_lacks_as_published_is_told_and_is_no_warning(tmp_path: Path):
    root = write_padchest(tmp_path / "padchest", [padchest_row("1_a")])
    (line,) = [line for line in run(tmp_path, "padchest", "--root", str(root)).output.splitlines() if "880" in line]
    assert line == "known: 880 of the 160,861 published images have no labels"
