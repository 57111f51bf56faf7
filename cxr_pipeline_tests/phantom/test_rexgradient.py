import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import polars as pl
import pytest

from cxr_pipeline.datasets.files.archives import Archive, unpack_archive
from cxr_pipeline.datasets.inventory import take_inventory
from cxr_pipeline.datasets.rexgradient import REXGRADIENT
from cxr_pipeline.labels.harmonize import label_table
from cxr_pipeline.labels.summary import count_labels
from cxr_pipeline.phantom.cohort import draw_patient
from cxr_pipeline.phantom.write import PhantomRequest, write_phantoms
from cxr_pipeline.pipeline.raw import write_inventory
from cxr_pipeline.storage.lake import Lake

REQUEST = PhantomRequest("rexgradient", patients=40, seed=5, size=32)
PATIENTS = [draw_patient("rexgradient", REQUEST.seed, index) for index in range(REQUEST.patients)]


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """As the publisher has it; tests must not write here."""
    folder = tmp_path_factory.mktemp("packed")
    write_phantoms(REQUEST, folder, workers=1)
    return folder


@pytest.fixture(scope="module")
def root(packed, tmp_path_factory):
    """The same, unpacked."""
    folder = tmp_path_factory.mktemp("rexgradient") / "root"
    shutil.copytree(packed, folder)
    unpack_archive(Archive(folder, "deid_png"))
    return folder


@pytest.fixture(scope="module")
def records(root):
    files = sorted((root / "metadata").iterdir())
    return {key: record for path in files for key, record in json.loads(path.read_text()).items()}


def test_pictures_are_one_archive_in_parts_and_nothing_else(packed):
    entries = {path.name for path in packed.iterdir()}
    assert entries == {"PHANTOM.txt", "metadata", *(f"deid_png.part0{number}" for number in range(3))}
    sizes = [(packed / f"deid_png.part0{number}").stat().st_size for number in range(3)]
    assert sizes[0] == sizes[1] >= sizes[2] > 0


def test_same_request_gives_the_same_parts(packed, tmp_path):
    write_phantoms(REQUEST, tmp_path, workers=1)
    for number in range(3):
        name = f"deid_png.part0{number}"
        assert (tmp_path / name).read_bytes() == (packed / name).read_bytes()


def test_raw_step_unpacks_what_was_only_downloaded(packed, tmp_path):
    shutil.copytree(packed, tmp_path / "root")
    told = []
    inventory = write_inventory(
        Lake(tmp_path / "lake"), REXGRADIENT, tmp_path / "root", on_unpack=lambda *parts: told.append(parts)
    )
    assert inventory.table["is_present"].all()
    assert (inventory.extra, inventory.warnings) == (0, ())
    assert told == [(1, 3), (2, 3), (3, 3)]
    write_inventory(
        Lake(tmp_path / "lake"), REXGRADIENT, tmp_path / "root", on_unpack=lambda *parts: told.append(parts)
    )
    assert len(told) == 3


def test_inventory_of_packed_pictures_says_so(packed, tmp_path):
    inventory = write_inventory(Lake(tmp_path), REXGRADIENT, packed, unpack=False)
    assert not inventory.table["is_present"].any()
    assert any("cxr sources unpack rexgradient" in line for line in inventory.warnings)


def test_unpacked_phantoms_are_replaced_without_leftovers(packed, tmp_path):
    shutil.copytree(packed, tmp_path / "used")
    unpack_archive(Archive(tmp_path / "used", "deid_png"))
    other = replace(REQUEST, patients=3)
    for folder in ("used", "new"):
        write_phantoms(other, tmp_path / folder, workers=1)
    names = [
        {path.relative_to(tmp_path / folder) for path in (tmp_path / folder).rglob("*")} for folder in ("used", "new")
    ]
    assert names[0] == names[1]


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
