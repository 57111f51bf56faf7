import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cxr_pipeline.cli.main import app
from cxr_pipeline.errors import CheckpointError, CxrError
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline_tests.datasets.realdata import shared_folder
from cxr_pipeline_tests.evaluation.cases import write_world
from cxr_pipeline_tests.images.conftest import encode, picture
from cxr_pipeline_tests.images.decode.dicom.dicoms import dicom_of, values_of


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(tmp_path_factory.mktemp("world")).inputs.checkpoint


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a[b].png").write_bytes(encode(picture(1)))
    (tmp_path / "scans" / "IM0001").write_bytes(dicom_of(values_of()))
    return tmp_path / "scans"


def run(checkpoint: Path, *arguments: str | Path) -> Result:
    command = ["predict", *map(str, arguments), "--checkpoint", str(checkpoint)]
    return CliRunner().invoke(app, command, env={"COLUMNS": "60"}, catch_exceptions=False)


def test_json_and_csv_say_the_same_of_each_image(checkpoint: Path, images: Path):
    answers = json.loads(run(checkpoint, images, "--format", "json").stdout)
    assert [Path(answer["path"]).name for answer in answers] == ["IM0001", "a[b].png"]
    rows = list(csv.DictReader(io.StringIO(run(checkpoint, images, "--format", "csv").stdout)))
    for answer, row in zip(answers, rows, strict=True):
        assert [float(row[name]) for name in PATHOLOGIES] == [answer[name] for name in PATHOLOGIES]
        assert row["positive"].split("|") == answer["positive"]
        assert row["undecided"] == "Hernia"


def test_the_table_shows_three_kinds_of_decision_the_likeliest_first(checkpoint: Path, images: Path):
    shown = run(checkpoint, images / "a[b].png").stdout
    assert shown.splitlines()[0] == str(images / "a[b].png")
    lines = [line.split(maxsplit=2) for line in shown.splitlines()[2:]]
    assert {line[2].strip() for line in lines} == {"positive", "negative", "no threshold"}
    assert [line[0] for line in lines if line[2].strip() == "no threshold"] == ["Hernia"]
    probabilities = [float(line[1]) for line in lines]
    assert probabilities == sorted(probabilities, reverse=True)


def test_unreadable_files_are_listed_with_the_reason_and_the_rest_is_predicted(checkpoint: Path, images: Path):
    (images / "cut.png").write_bytes(encode(picture(1))[:200])
    result = run(checkpoint, images, images / "absent.png", "--format", "json")
    assert result.exit_code == 1
    rows = {Path(row["path"]).name: row for row in json.loads(result.stdout)}
    assert [name for name, row in rows.items() if row["reason"] is None] == ["IM0001", "a[b].png"]
    assert (rows["cut.png"]["reason"], rows["absent.png"]["reason"]) == ("truncated", "missing")
    assert rows["cut.png"]["Mass"] is None
    table = run(checkpoint, images, "--format", "csv")
    assert table.exit_code == 1
    failed = next(row for row in csv.DictReader(io.StringIO(table.stdout)) if row["path"].endswith("cut.png"))
    assert (failed["Mass"], failed["reason"], failed["error"]) == ("", "truncated", rows["cut.png"]["error"])
    assert f"{images / 'cut.png'}: " in result.stderr
    assert f"{images / 'absent.png'}: There is no such file" in result.stderr


def test_what_is_no_image_is_said_to_be_none(checkpoint: Path, tmp_path: Path):
    (tmp_path / "README.md").write_text("# Chest radiographs\n")
    result = run(checkpoint, tmp_path / "README.md")
    assert result.exit_code == 1
    assert "not an image" in result.stderr
    assert "again" not in result.stderr


def test_a_warning_stands_on_stderr_and_in_the_row(checkpoint: Path, tmp_path: Path):
    (tmp_path / "lateral.dcm").write_bytes(dicom_of(values_of(), ViewPosition="LATERAL"))
    result = run(checkpoint, tmp_path, "--format", "json")
    assert result.exit_code == 0
    assert "warning:" in result.stderr
    assert "lateral view" in json.loads(result.stdout)[0]["warnings"][0]


def test_overlays_lie_beside_the_images_and_are_not_predicted_themselves(checkpoint: Path, images: Path):
    first = json.loads(run(checkpoint, images, "--explain", "--format", "json").stdout)
    written = {str(path) for path in images.glob("*.overlay.png")}
    assert {path for answer in first for path in answer["overlays"]} == written
    again = json.loads(run(checkpoint, images, "--format", "json").stdout)
    assert [answer["path"] for answer in again] == [answer["path"] for answer in first]


def test_overlays_go_into_the_folder_that_was_named(checkpoint: Path, images: Path, tmp_path: Path):
    shown = run(checkpoint, images, "--explain", "--out", tmp_path / "out").stdout
    written = sorted((tmp_path / "out").iterdir())
    assert len(written) >= 2
    assert all(f"overlay  {path}" in shown for path in written)
    assert not list(images.glob("*.overlay.png"))


def test_out_without_explain_is_wrong_usage(checkpoint: Path, images: Path, tmp_path: Path):
    assert run(checkpoint, images, "--out", tmp_path / "out").exit_code == 2


def test_a_folder_without_images_is_told(checkpoint: Path, tmp_path: Path):
    with pytest.raises(CxrError, match="No image in"):
        run(checkpoint, tmp_path)


def test_no_checkpoint_is_told_by_predict_and_export(images: Path, tmp_path: Path):
    for command in (["predict", str(images)], ["export", "--onnx", str(tmp_path / "chest.onnx")]):
        with pytest.raises(CheckpointError):
            CliRunner().invoke(app, command, env={"CXR_HOME": str(tmp_path)}, catch_exceptions=False)


@pytest.mark.realdata
def test_real_radiographs_are_predicted_and_other_body_parts_are_not(checkpoint: Path, tmp_path: Path):
    dicoms, radiograph = shared_folder("dicom"), next(shared_folder("nih").rglob("*.png"))
    result = run(checkpoint, radiograph, dicoms, "--explain", "--out", tmp_path, "--format", "json")
    answers = json.loads(result.stdout)
    assert result.exit_code == 1
    assert result.stderr.count("another part of the body than the chest") == 2
    assert "RG1_J2KI.dcm" in {Path(answer["path"]).name for answer in answers}
    assert all(answer["overlays"] or answer["reason"] for answer in answers)
