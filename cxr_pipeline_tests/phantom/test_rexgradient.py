import json

import cv2
import numpy as np
import polars as pl
import pytest

from cxr_pipeline.datasets.inventory import take_inventory
from cxr_pipeline.datasets.rexgradient import REXGRADIENT
from cxr_pipeline.labels.harmonize import label_table
from cxr_pipeline.labels.summary import count_labels
from cxr_pipeline.phantom.cohort import draw_patient
from cxr_pipeline.phantom.write import PhantomRequest, write_phantoms

REQUEST = PhantomRequest("rexgradient", patients=40, seed=5, size=32)
PATIENTS = [draw_patient("rexgradient", REQUEST.seed, index) for index in range(REQUEST.patients)]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rexgradient")
    write_phantoms(REQUEST, folder, workers=1)
    return folder


@pytest.fixture(scope="module")
def records(root):
    files = sorted((root / "metadata").iterdir())
    return {key: record for path in files for key, record in json.loads(path.read_text()).items()}


def test_every_row_has_its_file_and_every_file_its_row(root):
    inventory = take_inventory(REXGRADIENT, root)
    assert inventory.table["is_present"].all()
    assert (inventory.extra, inventory.warnings) == (0, ())
    assert inventory.table["patient_id"].n_unique() == REQUEST.patients
    assert inventory.table["study_id"].n_unique() == sum(len(patient.studies) for patient in PATIENTS)


def test_no_patient_is_in_two_parts(root):
    table = take_inventory(REXGRADIENT, root).table
    assert table.group_by("patient_id").agg(pl.col("official_split").n_unique())["official_split"].max() == 1
    assert set(table["official_split"]) == {"train", "val", "test"}


def test_records_are_of_the_described_form(records):
    for key, record in records.items():
        assert key == f"p{record['PatientID']}_a{record['AccessionNumber']}_s{record['StudyInstanceUid']}"
        images = len(record["ImagePath"])
        assert {len(record[name]) for name in ("ImageModality", "ImageShape", "ImageBodyPart")} == {images}
        assert len(record["ImageViewPosition"]) <= images
        assert all(path.startswith(f"../deid_png/{record['PatientID']}/") for path in record["ImagePath"])


def test_view_words_are_those_of_the_source_and_some_are_missing(root, records):
    words = {word for record in records.values() for word in record["ImageViewPosition"]}
    assert words == {"PA", "POSTERO_ANTERIOR", "AP", "LATERAL", "LL"}
    assert any(len(record["ImageViewPosition"]) < len(record["ImagePath"]) for record in records.values())
    assert set(take_inventory(REXGRADIENT, root).table["view"]) == {"PA", "AP", "LATERAL", "UNKNOWN"}


def test_pictures_are_grey_16_bit_png(root, records):
    for record in records.values():
        for path, shape in zip(record["ImagePath"], record["ImageShape"], strict=True):
            pixels = cv2.imread(str(root / path.removeprefix("../")), cv2.IMREAD_UNCHANGED)
            assert (pixels.dtype, list(pixels.shape)) == (np.uint16, shape)
            assert pixels.max() > 255


def test_source_says_nothing_of_any_class_without_its_reports(root):
    table = label_table(REXGRADIENT, root).table
    assert set(count_labels(table)["unknown"]) == {table.height}


def test_reports_affirm_what_was_drawn_and_nothing_else(root):
    texts = REXGRADIENT.read_reports(root).collect()
    drawn = sum("Effusion" in study.findings for patient in PATIENTS for study in patient.studies)
    impressions = texts.filter(texts["section"] == "impression")["text"]
    assert impressions.str.contains("Small pleural effusion", literal=True).sum() == drawn
    assert drawn > 5
    assert "comparison" not in set(texts["section"])  # written `None`
