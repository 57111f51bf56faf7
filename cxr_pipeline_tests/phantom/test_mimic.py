import csv
import gzip
import io
import re

import cv2
import numpy as np
import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.labels.harmonize import label_table
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.phantom.chexpert import MEANINGS
from cxr_pipeline.phantom.cohort import draw_patient
from cxr_pipeline.phantom.mimic import read_experts, read_labels, study_id, subject_id
from cxr_pipeline.phantom.write import MAX_PATIENTS, PhantomRequest, write_phantoms

MIMIC = PhantomRequest("mimic", patients=60, seed=5, size=32)
SEVEN = {"Emphysema", "Fibrosis", "Hernia", "Infiltration", "Mass", "Nodule", "Pleural_Thickening"}
METADATA_HEADER = (  # as published
    b"dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,StudyDate,StudyTime,"
    b"ProcedureCodeSequence_CodeMeaning,ViewCodeSequence_CodeMeaning,PatientOrientationCodeSequence_CodeMeaning\n"
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Sixty patients in MIMIC-CXR-JPG's layout; tests must not write here."""
    root = tmp_path_factory.mktemp("mimic")
    write_phantoms(MIMIC, root, workers=1)
    return root


def rows(root, name):
    text = gzip.decompress((root / f"mimic-cxr-2.0.0-{name}.csv.gz").read_bytes()).decode()
    return list(csv.DictReader(io.StringIO(text)))


def experts(root):
    with (root / "mimic-cxr-2.1.0-test-set-labeled.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_header_is_the_published_one(root):
    assert gzip.decompress((root / "mimic-cxr-2.0.0-metadata.csv.gz").read_bytes()).startswith(METADATA_HEADER)


def test_one_row_per_file_and_one_file_per_row(root):
    paths = {
        f"files/p{row['subject_id'][:2]}/p{row['subject_id']}/s{row['study_id']}/{row['dicom_id']}.jpg"
        for row in rows(root, "metadata")
    }
    assert {str(path.relative_to(root)) for path in root.rglob("*.jpg")} == paths
    assert len(list((root / "files").iterdir())) == 10


def test_ids_and_dates_are_of_the_published_form(root):
    for row in rows(root, "metadata"):
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{8}){4}", row["dicom_id"])
        assert re.fullmatch(r"1\d{7}", row["subject_id"])
        assert re.fullmatch(r"5\d{7}", row["study_id"])
        assert re.fullmatch(r"2[12]\d{6}", row["StudyDate"])
        assert row["ViewPosition"] in ("AP", "PA", "LATERAL", "")


def test_ids_of_the_last_patient_have_eight_digits_too():
    last = draw_patient("mimic", 0, MAX_PATIENTS - 1)
    assert len(subject_id(last)) == len(study_id(last, last.studies[-1])) == 8


def test_split_names_every_image_once_and_parts_share_no_patient(root):
    split = rows(root, "split")
    assert sorted(row["dicom_id"] for row in split) == sorted(row["dicom_id"] for row in rows(root, "metadata"))
    parts = {
        part: {row["subject_id"] for row in split if row["split"] == part} for part in ("train", "validate", "test")
    }
    assert [len(patients) for patients in parts.values()] == [48, 6, 6]
    assert len(set.union(*parts.values())) == 60


def test_experts_speak_of_every_test_study_and_of_everything(root):
    test = {row["study_id"] for row in rows(root, "split") if row["split"] == "test"}
    assert {row["study_id"] for row in experts(root)} == test
    assert {value for row in experts(root) for name, value in row.items() if name != "study_id"} <= {"0.0", "1.0"}
    assert "Airspace Opacity" in experts(root)[0]
    assert "Lung Opacity" in rows(root, "chexpert")[0]


def test_some_studies_have_no_row_and_some_a_row_of_blanks():
    studies = [study for index in range(2000) for study in draw_patient("mimic", 0, index).studies]
    labels = [read_labels(study, "10000000", "50000001") for study in studies]
    assert np.mean([not row for row in labels]) == pytest.approx(0.02, abs=0.01)
    assert np.mean([bool(row) and not any(row[2:]) for row in labels]) == pytest.approx(0.02, abs=0.01)


def test_pictures_are_equalised_grey_jpeg(root):
    quartiles = []
    for path in root.rglob("*.jpg"):
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert (pixels.dtype, pixels.ndim, pixels.shape[0]) == (np.uint8, 2, 32)
        quartiles.append(np.percentile(pixels, [25, 50, 75]))
    # An equalised histogram is flat, whatever the picture shows.
    assert np.median(quartiles, axis=0) == pytest.approx([64, 128, 191], abs=8)


def test_harmonized_labels_are_what_was_drawn_where_the_source_says_so(root):
    patients = [draw_patient("mimic", MIMIC.seed, index) for index in range(MIMIC.patients)]
    drawn = {
        f"mimic/s{study_id(patient, study)}": set(study.findings) for patient in patients for study in patient.studies
    }
    result = label_table(DATASETS["mimic"], root)
    assert result.unmapped.is_empty()
    assert set(result.table["study_id"]) == drawn.keys()
    for row in result.table.iter_rows(named=True):
        assert {name for name in PATHOLOGIES if row[name] == 1} <= drawn[row["study_id"]]
        assert not {name for name in PATHOLOGIES if row[name] == 0} & drawn[row["study_id"]]
        assert {name for name in SEVEN if row[name] is not None} == set()


def test_experts_give_exactly_what_was_drawn(root):
    patients = [draw_patient("mimic", MIMIC.seed, index) for index in range(9, MIMIC.patients, 10)]
    drawn = {
        f"mimic/s{study_id(patient, study)}": set(study.findings) for patient in patients for study in patient.studies
    }
    table = label_table(DATASETS["mimic"], root).table.filter(official_split="test")
    assert set(table["study_id"]) == drawn.keys()
    for row in table.iter_rows(named=True):
        assert {name for name in PATHOLOGIES if row[name] == 1} == drawn[row["study_id"]] - SEVEN


def test_experts_row_names_supersets():
    study = draw_patient("mimic", 0, 0).studies[0]
    columns = sorted(["No Finding", *MEANINGS, "Fracture", "Support Devices"])
    cells = dict(zip(columns, read_experts(study, "50000001")[1:], strict=True))
    for column, meaning in MEANINGS.items():
        assert cells[column] == ("1.0" if meaning & set(study.findings) else "0.0")
