import csv
import re
from collections import Counter

import cv2
import numpy as np
import pytest

from cxr_pipeline.phantom.chexpert import MEANINGS, read_study

PUBLISHED_HEADER = (
    b"Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,"
    b"Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices\n"
)
LABELS = PUBLISHED_HEADER.decode().strip().split(",")[5:]


def rows(root, part):
    with (root / "CheXpert-v1.0-small" / f"{part}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def both(root):
    return rows(root, "train") + rows(root, "valid")


def test_headers_are_the_published_bytes(chexpert_root):
    for part in ("train", "valid"):
        text = (chexpert_root / "CheXpert-v1.0-small" / f"{part}.csv").read_bytes()
        assert text.startswith(PUBLISHED_HEADER)


def test_one_row_per_file_and_one_file_per_row(chexpert_root):
    files = sorted(str(path.relative_to(chexpert_root)) for path in chexpert_root.rglob("*.jpg"))
    assert files == sorted(row["Path"] for row in both(chexpert_root))


def test_paths_are_of_the_published_form(chexpert_root):
    for row in both(chexpert_root):
        kind = row["Frontal/Lateral"].lower()
        pattern = rf"CheXpert-v1\.0-small/(train|valid)/patient\d{{5}}/study\d+/view[12]_{kind}\.jpg"
        assert re.fullmatch(pattern, row["Path"])
        assert (row["AP/PA"] == "") == (kind == "lateral")
        assert row["Sex"] in ("Male", "Female")
        assert 18 <= int(row["Age"]) <= 90


def test_some_studies_have_a_lateral_view_with_the_labels_of_the_study(chexpert_root):
    studies = {}
    for row in rows(chexpert_root, "train"):
        studies.setdefault(row["Path"].rsplit("/", 1)[0], []).append(row)
    pairs = [views for views in studies.values() if len(views) == 2]
    assert 0.1 < len(pairs) / len(studies) < 0.5
    for frontal, lateral in pairs:
        assert (frontal["Frontal/Lateral"], lateral["Frontal/Lateral"]) == ("Frontal", "Lateral")
        assert [frontal[label] for label in LABELS] == [lateral[label] for label in LABELS]


def test_parts_share_no_patient(chexpert_root):
    train, valid = ({row["Path"].split("/")[2] for row in rows(chexpert_root, part)} for part in ("train", "valid"))
    assert not train & valid
    assert (len(train), len(valid)) == (36, 4)
    assert min(valid) == "patient64541"


def test_valid_has_no_blank_and_no_uncertain_cell(chexpert_root):
    assert {row[label] for row in rows(chexpert_root, "valid") for label in LABELS} == {"0.0", "1.0"}


def test_pictures_are_grey_jpeg_of_the_height_asked_for_and_mostly_wider(chexpert_root):
    shapes = []
    for path in chexpert_root.rglob("*.jpg"):
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert pixels.ndim == 2
        shapes.append(pixels.shape)
    assert {height for height, _ in shapes} == {32}
    assert np.mean([width > height for height, width in shapes]) > 0.8


def many(findings, *, is_consensus=False):
    rng = np.random.default_rng(0)
    return [read_study(rng, findings, is_consensus=is_consensus) for _ in range(2000)]


def test_labeler_hedges_what_is_there_and_mostly_ignores_what_is_not():
    readings = many(("Effusion",))
    there = Counter(reading["Pleural Effusion"] for reading in readings)
    absent = Counter(reading["Pneumothorax"] for reading in readings)
    assert set(there) == {"1.0", "-1.0"}
    assert there["-1.0"] / 2000 == pytest.approx(0.15, abs=0.03)
    assert set(absent) == {"", "0.0", "-1.0"}
    assert absent[""] / 2000 == pytest.approx(0.76, abs=0.03)
    assert absent["0.0"] / 2000 == pytest.approx(0.20, abs=0.03)


def test_no_finding_never_stands_beside_a_positive_or_uncertain_finding():
    readings = many(())
    assert sum(reading["No Finding"] == "1.0" for reading in readings) > 1000
    for reading in readings:
        spoken = {reading[column] for column in (*MEANINGS, "Fracture")} & {"1.0", "-1.0"}
        assert reading["No Finding"] == ("" if spoken else "1.0")


@pytest.mark.parametrize("finding", ["Emphysema", "Hernia"])
def test_findings_without_a_column_still_deny_no_finding(finding):
    assert {reading["No Finding"] for reading in many((finding,))} == {""}
    assert {reading["No Finding"] for reading in many((finding,), is_consensus=True)} == {"0.0"}


@pytest.mark.parametrize(
    ("finding", "columns"),
    [
        ("Mass", {"Lung Lesion", "Lung Opacity"}),
        ("Infiltration", {"Lung Opacity"}),
        ("Pleural_Thickening", {"Pleural Other"}),
        ("Fibrosis", {"Pleural Other", "Lung Opacity"}),
        ("Cardiomegaly", {"Cardiomegaly", "Enlarged Cardiomediastinum"}),
        ("Emphysema", set()),
    ],
)
def test_consensus_marks_a_finding_and_its_supersets(finding, columns):
    [reading, *_] = many((finding,), is_consensus=True)
    assert {column for column in MEANINGS if reading[column] == "1.0"} == columns


def test_devices_have_nothing_to_do_with_findings():
    shares = [np.mean([r["Support Devices"] == "1.0" for r in many(f)]) for f in ((), ("Pneumothorax",))]
    assert shares[0] == pytest.approx(shares[1], abs=0.04)
