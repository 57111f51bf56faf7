import csv
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.phantom import nih
from cxr_pipeline.phantom.cohort import draw_patient

SHARED_NIH = Path(__file__).parents[2].parent / "shared" / "data" / "nih"
PUBLISHED_HEADER = (
    b"Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    b"OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]\n"
)
PUBLISHED_BOX_HEADER = b"Image Index,Finding Label,Bbox [x,y,w,h],,,\n"


def rows(root):
    with (root / "Data_Entry_2017_v2020.csv").open(newline="") as file:
        return list(csv.reader(file))[1:]


def names(path):
    return path.read_text().split("\n")


def test_headers_are_the_published_bytes(nih_root):
    assert (nih_root / "Data_Entry_2017_v2020.csv").read_bytes().startswith(PUBLISHED_HEADER)
    assert (nih_root / "BBox_List_2017.csv").read_bytes().startswith(PUBLISHED_BOX_HEADER)


@pytest.mark.realdata
def test_headers_equal_those_of_the_real_files(nih_root):
    if not SHARED_NIH.is_dir():
        pytest.skip(f"no real NIH files at {SHARED_NIH}")
    for name in ("Data_Entry_2017_v2020.csv", "BBox_List_2017.csv"):
        real, ours = ((folder / name).read_bytes().split(b"\n")[0] for folder in (SHARED_NIH, nih_root))
        assert ours == real


def test_one_row_per_file_and_one_file_per_row(nih_root):
    files = [path.name for path in nih_root.glob("images_0*/images/*.png")]
    assert len(files) == len(set(files))
    assert sorted(files) == [row[0] for row in rows(nih_root)]


def test_images_are_spread_over_the_archives_folders(nih_root):
    assert sorted(path.name for path in nih_root.glob("images_*")) == ["images_001", "images_002"]


def test_rows_are_of_the_published_form(nih_root):
    for name, labels, follow_up, patient, age, sex, view, *original in rows(nih_root):
        assert re.fullmatch(r"\d{8}_\d{3}\.png", name)
        assert name == f"{int(patient):08d}_{int(follow_up):03d}.png"
        assert labels == "No Finding" or set(labels.split("|")) <= set(PATHOLOGIES)
        assert (sex in "MF", view in ("PA", "AP"), 18 <= int(age) <= 95) == (True, True, True)
        assert len([float(value) for value in original]) == 4


def test_lists_are_complete_disjoint_by_patient_and_end_without_a_newline(nih_root):
    train, test = names(nih_root / "train_val_list.txt"), names(nih_root / "test_list.txt")
    assert sorted(train + test) == [row[0] for row in rows(nih_root)]
    train_patients, test_patients = ({name[:8] for name in part} for part in (train, test))
    assert not train_patients & test_patients
    assert len(test_patients) == 8  # of 40


def test_pictures_are_square_grey_png_of_the_size_asked_for(nih_root):
    for path in nih_root.glob("images_0*/images/*.png"):
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert pixels.shape[:2] == (32, 32)
        assert pixels.dtype == np.uint8
        assert pixels.std() > 20


def test_boxes_are_ragged_of_eight_classes_in_the_published_frame(nih_root):
    test = set(names(nih_root / "test_list.txt"))
    labels = {row[0]: row[1] for row in rows(nih_root)}
    boxes = [line.split(",") for line in (nih_root / "BBox_List_2017.csv").read_text().splitlines()[1:]]
    assert {box[1] for box in boxes} <= set(nih.BOX_NAMES.values())
    assert "Infiltrate" in {box[1] for box in boxes}
    for name, finding, *edges in boxes:
        x, y, width, height = map(float, edges)
        assert name in test
        assert finding.replace("Infiltrate", "Infiltration") in labels[name].split("|")
        assert 0 <= x <= x + width <= 1024
        assert 0 <= y <= y + height <= 1024
    assert max(float(box[2]) for box in boxes) > 32  # not in the frame of the small files


def test_about_one_file_in_two_hundred_has_four_channels():
    drawn = [draw_patient("nih", 0, index) for index in range(1000)]
    flags = [nih.is_rgba(study) for patient in drawn for study in patient.studies]
    assert 0.002 < sum(flags) / len(flags) < 0.009


def test_four_channel_file_holds_the_grey_picture_and_is_opaque(tmp_path):
    seeds = (draw_patient("nih", 0, index) for index in range(1000))
    patient = next(patient for patient in seeds if nih.is_rgba(patient.studies[0]))
    [row, *_] = nih.LAYOUT.write_patient(patient, tmp_path, 32)
    [path] = tmp_path.rglob(row.name)
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert pixels.shape == (32, 32, 4)
    assert (pixels[..., :3] == pixels[..., :1]).all()
    assert (pixels[..., 3] == 255).all()
