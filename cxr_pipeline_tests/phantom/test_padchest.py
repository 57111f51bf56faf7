import ast
import csv
import gzip
import io
import re
from collections import Counter

import cv2
import numpy as np
import polars as pl
import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.labels.harmonize import label_table
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.phantom.cohort import draw_patient
from cxr_pipeline.phantom.padchest import TABLE, UNRELATED, WORDS, describe_findings, digits, write_labels
from cxr_pipeline.phantom.write import PhantomRequest, write_phantoms
from cxr_pipeline_tests.datasets.realdata import published_file

PADCHEST = PhantomRequest("padchest", patients=60, seed=5, size=32)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Sixty patients in PadChest's layout; tests must not write here."""
    root = tmp_path_factory.mktemp("padchest")
    write_phantoms(PADCHEST, root, workers=1)
    return root


@pytest.fixture(scope="module")
def rows(root):
    return list(csv.DictReader(io.StringIO(gzip.decompress((root / TABLE).read_bytes()).decode())))


@pytest.mark.realdata
def test_header_is_that_of_the_real_file(root):
    real, ours = (gzip.decompress(path.read_bytes()).split(b"\n")[0] for path in (published_file(TABLE), root / TABLE))
    assert ours == real.strip()


def test_one_row_per_file_and_one_file_per_row(root, rows):
    files = sorted(str(path.relative_to(root)) for path in root.rglob("*.png"))
    assert files == sorted(f"{row['ImageDir']}/{row['ImageID']}" for row in rows)
    assert {row["ImageDir"] for row in rows} == {"0", "1", "2"}


def test_rows_are_of_the_published_form(rows):
    for row in rows:
        assert re.fullmatch(r"\d{38}_\d{6}\.png", row["ImageID"])
        assert re.fullmatch(r"\d{38}", row["PatientID"])
        assert re.fullmatch(r"\d{4}\.0", row["PatientBirth"])
        assert 18 <= int(row["StudyDate_DICOM"][:4]) - float(row["PatientBirth"]) <= 94
        assert row["MethodLabel"] in ("Physician", "RNN_model")
    assert {row["Projection"] for row in rows} == {"PA", "L", "AP", "AP_horizontal"}
    assert any("\n" in row["Report"] for row in rows)


def test_pictures_are_sixteen_bit_grey_with_twelve_in_use(root):
    for path in root.rglob("*.png"):
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert (pixels.dtype, pixels.ndim, pixels.shape[0]) == (np.uint16, 2, 32)
        assert 255 < pixels.max() < 4096


def test_lists_are_python_with_blanks_and_empty_words(rows):
    cells = Counter(row["Labels"] for row in rows)
    lists = [ast.literal_eval(cell) for cell in cells if cell != "nan"]
    words = [word for found in lists for word in found]
    assert "nan" in cells
    assert "" in words
    assert any(word.startswith(" ") for word in words)
    known = {word for some in WORDS.values() for word in some} | set(UNRELATED)
    assert {word.strip() for word in words} <= known | {"", "normal", "unchanged", "exclude", "suboptimal study"}


def test_lateral_has_the_labels_of_its_study(rows):
    studies = {}
    for row in rows:
        studies.setdefault(row["StudyID"], []).append((row["Projection"], row["Labels"], row["PatientID"]))
    pairs = [pair for pair in studies.values() if len(pair) == 2]
    assert len(pairs) > 5
    for frontal, lateral in pairs:
        assert (frontal[0] != "L", lateral[0]) == (True, "L")
        assert frontal[1:] == lateral[1:]


def test_report_names_what_was_drawn_or_says_why_not():
    rng = np.random.default_rng(0)
    reports = Counter(tuple(describe_findings(rng, ["Nodule"])) for _ in range(2000))
    silent = {("suboptimal study",), ("exclude",), ("unchanged",)}
    named = {report for report in reports if set(report) & set(WORDS["Nodule"])}
    unchanged = {report for report in reports if report[-1] == "unchanged"}
    assert set(reports) == named | unchanged | (silent & set(reports))
    assert sum(reports[report] for report in unchanged) / 2000 == pytest.approx(0.09, abs=0.03)
    assert ("normal",) in {tuple(describe_findings(rng, [])) for _ in range(100)}


def test_words_survive_the_writing():
    rng = np.random.default_rng(0)
    written = {write_labels(rng, ["nodule", "mass"]) for _ in range(200)} - {"nan"}
    assert {tuple(word.strip() for word in ast.literal_eval(cell))[:2] for cell in written} == {("nodule", "mass")}
    assert len(written) > 3


def test_harmonized_labels_are_what_was_drawn_where_the_report_says_so(root):
    patients = [draw_patient("padchest", PADCHEST.seed, index) for index in range(PADCHEST.patients)]
    drawn = {
        f"padchest/{digits(f'study {study.seed}')}": study.findings for patient in patients for study in patient.studies
    }
    result = label_table(DATASETS["padchest"], root)
    assert result.unmapped.is_empty()
    assert result.table["is_phantom"].all()
    assert set(result.table["study_id"]) == drawn.keys()
    for row in result.table.iter_rows(named=True):
        stated = {name for name in PATHOLOGIES if row[name] == 1}
        denied = {name for name in PATHOLOGIES if row[name] == 0}
        assert stated <= set(drawn[row["study_id"]])
        assert not denied & set(drawn[row["study_id"]])
    known = result.table.select(pl.concat_list(PATHOLOGIES).list.drop_nulls().list.len())
    assert known.to_series().mean() > 0.75 * len(PATHOLOGIES)
