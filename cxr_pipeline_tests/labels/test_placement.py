"""A box lies where its reader drew it, whatever size the picture here has; where that cannot be known, nowhere."""

from pathlib import Path

import polars as pl
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from typer.testing import CliRunner

from cxr_pipeline.cli.main import app
from cxr_pipeline.datasets.nih.source import NIH
from cxr_pipeline.datasets.vindr.source import VINDR
from cxr_pipeline.labels.boxes import box_table, describe_placement, judge_placement
from cxr_pipeline_tests.datasets.sources import write_lines, write_nih
from cxr_pipeline_tests.datasets.vindr.test_source import KAGGLE_HEADER, write_kaggle

NAMES = [f"{number:032x}" for number in range(40)]
EDGES = ("x", "y", "width", "height")


def write_picture(path: Path, width: int, height: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (width, height)).save(path)


def write_dicom(path: Path, width: int, height: int) -> None:
    header = FileDataset(None, {}, preamble=b"\0" * 128)
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.Rows, header.Columns = height, width
    header.save_as(path)


def write_mirror(root: Path, boxes: dict[str, str], *, sizes: str = "") -> Path:
    """Kaggle's list, one box for each image (its edges) by each of three readers; `sizes` are its last two cells."""
    header = f"{KAGGLE_HEADER}{',width,height' if sizes else ''}"
    rows = [
        f"{name},Cardiomegaly,3,{reader},{edges}{sizes}"
        for name, edges in boxes.items()
        for reader in ("R8", "R9", "R10")
    ]
    return write_kaggle(root, rows, header=header)


def placed(root: Path, name: str) -> tuple:
    """Edges and placement of the first box of an image."""
    mine = box_table(VINDR, root).filter(image_id=f"vindr/{name}")
    return mine.select(*EDGES, "placement").row(0)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_boxes_of_originals_are_scaled_to_a_mirrors_pictures_by_each_side(tmp_path, suffix):
    root = write_mirror(tmp_path, {NAMES[0]: "200.0,400.0,1000.0,1600.0"}, sizes=",2000,4000")
    write_picture(root / "train" / f"{NAMES[0]}.{suffix}", 512, 256)
    assert placed(root, NAMES[0]) == pytest.approx((51.2, 25.6, 204.8, 76.8, "scaled"))
    assert describe_placement(VINDR, root, box_table(VINDR, root)) == [
        "train.csv: 3 of its 3 boxes, of 1 images, are scaled to the pictures here, which are not of the size that the "
        "boxes were drawn in"
    ]


@pytest.mark.parametrize("folder", ["", "vinbigdata-512"])
def test_size_may_stand_in_a_file_beside_the_list_or_the_pictures_as_rows_and_columns(tmp_path, folder):
    root = write_mirror(tmp_path, {NAMES[0]: "200.0,400.0,1000.0,1600.0"})
    write_lines(root / folder / "train_meta.csv", ["image_id,dim0,dim1", f"{NAMES[0]},4000,2000"])
    write_picture(root / f"{NAMES[0]}.png", 512, 256)
    assert placed(root, NAMES[0]) == pytest.approx((51.2, 25.6, 204.8, 76.8, "scaled"))
    assert "train_meta.csv" in VINDR.find_metadata(root).files


def test_box_in_a_small_picture_without_its_originals_size_has_no_place_and_is_counted(tmp_path):
    root = write_mirror(tmp_path, {NAMES[0]: "10.0,20.0,30.0,40.0", NAMES[1]: "1.0,2.0,3.0,4.0"})
    write_picture(root / f"{NAMES[0]}.png", 512, 512)
    write_picture(root / f"{NAMES[1]}.png", 2336, 2836)
    assert placed(root, NAMES[0]) == (None, None, None, None, "unknown")
    assert placed(root, NAMES[1]) == (1.0, 2.0, 2.0, 2.0, "as_published")
    table = box_table(VINDR, root)
    (line,) = describe_placement(VINDR, root, table)
    assert line.startswith("train.csv: 3 of its 6 boxes, of 1 images, have no place")
    assert "width and height" in line
    verdict = judge_placement(table)
    assert not verdict.passed
    assert verdict.facts == {"boxes": 6, "boxes_scaled": 0, "boxes_of_unknown_place": 3}


def test_boxes_outside_of_their_pictures_betray_a_large_mirror(tmp_path):
    root = write_mirror(tmp_path, {NAMES[0]: "10.0,20.0,30.0,40.0", NAMES[1]: "1000.0,1000.0,2100.0,1500.0"})
    for name, width in ((NAMES[0], 1600), (NAMES[1], 1700)):
        write_picture(root / f"{name}.png", width, 2048)
    assert [placed(root, name)[-1] for name in NAMES[:2]] == ["unknown", "unknown"]


def test_side_that_pictures_have_in_common_betrays_a_large_mirror(tmp_path):
    mirror = write_mirror(tmp_path / "mirror", dict.fromkeys(NAMES[:12], "1.0,2.0,3.0,4.0"))
    originals = write_mirror(tmp_path / "originals", dict.fromkeys(NAMES[:12], "1.0,2.0,3.0,4.0"))
    for number, name in enumerate(NAMES[:12]):
        write_picture(mirror / f"{name}.png", 1500 + number, 1536)
        write_picture(originals / f"{name}.png", 1500 + number, 1536 + number)
    assert box_table(VINDR, mirror)["placement"].unique().to_list() == ["unknown"]
    assert box_table(VINDR, originals)["placement"].unique().to_list() == ["as_published"]


def test_size_that_most_boxes_contradict_places_none(tmp_path):
    boxes = {NAMES[0]: "10.0,20.0,30.0,40.0", NAMES[1]: "1.0,2.0,900.0,4.0", NAMES[2]: "1.0,2.0,3.0,900.0"}
    root = write_mirror(tmp_path, boxes, sizes=",512,512")  # a mirror that states its own pictures' size
    for name in boxes:
        write_picture(root / f"{name}.png", 512, 512)
    assert box_table(VINDR, root)["placement"].unique().to_list() == ["unknown"]


def test_box_outside_of_an_original_has_no_place_and_the_others_keep_theirs(tmp_path):
    root = write_mirror(tmp_path, dict.fromkeys(NAMES[:3], "1.0,2.0,3.0,4.0") | {NAMES[3]: "1.0,2.0,81.0,98.0"})
    for name in NAMES[:4]:
        write_dicom(root / f"{name}.dicom", 80, 96)
    assert placed(root, NAMES[3])[-1] == "unknown"
    assert placed(root, NAMES[0]) == (1.0, 2.0, 2.0, 2.0, "as_published")


def test_without_a_picture_boxes_are_as_published(tmp_path):
    root = write_mirror(tmp_path, {NAMES[0]: "200.0,400.0,1000.0,1600.0"}, sizes=",2000,4000")
    assert placed(root, NAMES[0]) == (200.0, 400.0, 800.0, 1200.0, "as_published")
    assert judge_placement(box_table(VINDR, root)).passed


def test_image_of_which_two_sizes_are_stated_has_none(tmp_path):
    rows = [f"{NAMES[0]},Cardiomegaly,3,{reader},10,20,30,40,{size}" for reader, size in
            (("R8", "2000,4000"), ("R9", "2000,4000"), ("R10", "1000,4000"))]  # fmt: skip
    root = write_kaggle(tmp_path, rows, header=f"{KAGGLE_HEADER},width,height")
    write_picture(root / f"{NAMES[0]}.png", 512, 256)
    assert placed(root, NAMES[0])[-1] == "unknown"


@pytest.mark.parametrize(
    ("side", "expected"),
    [(1024, (102.4, 51.2, 512.0, 256.0, "as_published")), (224, (22.4, 11.2, 112.0, 56.0, "scaled"))],
)
def test_boxes_of_nih_are_those_of_1024_pixels_and_follow_a_mirrors(tmp_path, side, expected):
    root = write_nih(tmp_path)
    row = "00000001_000.png,Infiltrate,102.4,51.2,512.0,256.0"
    write_lines(root / "BBox_List_2017.csv", ["Image Index,Finding Label,Bbox [x,y,w,h],,,", row])
    write_picture(root / "images-224" / "00000001_000.png", side, side)
    assert box_table(NIH, root).select(*EDGES, "placement").row(0) == pytest.approx(expected)


def test_labels_at_the_command_line_count_boxes_without_a_place(tmp_path):
    root = write_mirror(tmp_path / "vindr", {NAMES[0]: "10.0,20.0,30.0,40.0"})
    write_picture(root / f"{NAMES[0]}.png", 512, 512)
    environment = {"CXR_HOME": str(tmp_path / "home"), "COLUMNS": "200"}
    shown = CliRunner().invoke(app, ["labels", "vindr", "--root", str(root)], env=environment)
    assert shown.exit_code == 0, shown.output
    assert "train.csv: 3 of its 3 boxes, of 1 images, have no place" in shown.output


def test_labels_at_the_command_line_do_not_fail_for_boxes_that_cannot_be_read(tmp_path):
    root = write_mirror(tmp_path / "vindr", {NAMES[0]: "10.0,,30.0,40.0"})
    out = tmp_path / "labels.parquet"
    arguments = ["labels", "vindr", "--root", str(root), "--out", str(out)]
    shown = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    assert "its boxes cannot be read" in shown.output
    assert pl.read_parquet(out)["Cardiomegaly"].to_list() == [1]
