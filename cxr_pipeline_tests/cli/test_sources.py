from pathlib import Path

import pytest
from typer.testing import CliRunner

from cxr_pipeline.cli import steps
from cxr_pipeline.cli.main import app
from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.datasets.status import find_status
from cxr_pipeline.errors import ArchiveError
from cxr_pipeline.phantom.write import PhantomRequest, write_phantoms
from cxr_pipeline.settings import Settings
from cxr_pipeline_tests.datasets.padchest_rows import padchest_row, write_padchest
from cxr_pipeline_tests.datasets.sources import NIH_ROWS, write_image, write_nih

NIH, REXGRADIENT = DATASETS["nih"], DATASETS["rexgradient"]


def run(tmp_path: Path, *arguments: str) -> str:
    environment = {"CXR_HOME": str(tmp_path / "home"), "COLUMNS": "200"}
    result = CliRunner().invoke(app, ["sources", *arguments], env=environment)
    assert result.exit_code == 0, result.output
    return result.output


def test_list_names_every_source_and_the_variable_to_set(tmp_path: Path):
    shown = run(tmp_path)
    for name, dataset in DATASETS.items():
        assert name in shown
        assert dataset.root_variable in shown


def test_info_shows_terms_counts_and_the_layout_with_its_reason(tmp_path: Path):
    root = write_nih(tmp_path / "nih")
    shown = run(tmp_path, "info", "nih", "--root", str(root))
    assert "112,120 images" in shown
    assert "Data_Entry_2017_v2020.csv" in shown
    assert "because" in shown


def test_info_counts_who_labelled_the_images_where_the_source_says_so(tmp_path: Path):
    rows = [padchest_row("1_1"), padchest_row("1_2", MethodLabel="RNN_model"), padchest_row("1_3")]
    shown = run(tmp_path, "info", "padchest", "--root", str(write_padchest(tmp_path / "padchest", rows)))
    assert "physician 2, program 1" in shown
    assert "labelled by" not in run(tmp_path, "info", "nih", "--root", str(write_nih(tmp_path / "nih")))


def test_unpack_writes_the_pictures_once(tmp_path: Path):
    root = tmp_path / "rexgradient"
    write_phantoms(PhantomRequest("rexgradient", patients=2, seed=1, size=32), root, workers=1)
    assert "packed in 3 parts" in run(tmp_path, "info", "rexgradient", "--root", str(root))
    written = len(REXGRADIENT.read_images(root).collect())
    assert f"{written} files written" in run(tmp_path, "unpack", "rexgradient", "--root", str(root))
    assert "0 files written" in run(tmp_path, "unpack", "rexgradient", "--root", str(root))
    assert "pictures unpacked" in run(tmp_path, "info", "rexgradient", "--root", str(root))


def test_unpack_refuses_a_source_that_has_no_such_archive(tmp_path: Path):
    with pytest.raises(ArchiveError, match="NIH"):
        steps.unpack(Settings(home=tmp_path), "nih", root=write_nih(tmp_path / "nih"))


def test_status_says_of_every_source_what_to_do_next(tmp_path: Path):
    shown = run(tmp_path, "status")
    assert shown.count("not used") >= len(DATASETS)
    assert "CXR_VINDR_ROOT" in shown


@pytest.mark.parametrize(("files", "state"), [(0, "metadata only"), (1, "in part"), (len(NIH_ROWS), "in part")])
def test_part_of_a_release_is_told_from_its_metadata_alone(tmp_path: Path, files: int, state: str):
    root = write_nih(tmp_path)
    for row in NIH_ROWS[:files]:
        write_image(root / "images" / row.split(",")[0])
    status = find_status(NIH, root)
    assert (status.state, status.images, status.present) == (state, len(NIH_ROWS), files)
    assert status.layout
    if state == "in part":
        assert f"{len(NIH_ROWS) - files} images have no file here, 112,117 no row" in status.next_step


def test_folder_without_metadata_is_missing_and_says_what_was_expected(tmp_path: Path):
    status = find_status(NIH, tmp_path)
    assert status.state == "missing"
    assert "Data_Entry_2017" in status.next_step
