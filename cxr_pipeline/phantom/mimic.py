"""Phantoms in the layout of MIMIC-CXR-JPG 2.1.0: equalised JPEG, gzipped tables, experts' labels of the test set."""

import gzip
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cxr_pipeline.phantom.chexpert import COLUMNS, read_study
from cxr_pipeline.phantom.cohort import Patient, Study
from cxr_pipeline.phantom.layout import Layout, csv_text, write_image
from cxr_pipeline.phantom.render import STYLES, View, render
from cxr_pipeline.storage.files import write_atomically, write_text

METADATA_HEADER = (
    "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,StudyDate,StudyTime,"
    "ProcedureCodeSequence_CodeMeaning,ViewCodeSequence_CodeMeaning,PatientOrientationCodeSequence_CodeMeaning"
)
SPLIT_HEADER = "dicom_id,study_id,subject_id,split"
FINDINGS = tuple(sorted(COLUMNS))  # the order of the columns differs from CheXpert's
LABELER_HEADER = ",".join(["subject_id", "study_id", *FINDINGS])
EXPERTS_HEADER = ",".join(["study_id", *FINDINGS]).replace("Lung Opacity", "Airspace Opacity")
UNLABELLED_SHARE = 0.02  # studies of which the text labeler has no row, and as many with a row of blanks
UNKNOWN_VIEW_SHARE = 0.04  # published: 15,769 of 377,110
FIRST_SUBJECT, FIRST_STUDY = 10_000_000, 50_000_001
SUBJECTS, SUBJECTS_APART = 10_000_000, 1_000_003  # without common divisor: every number once, ten folders in turn
STUDIES_PER_PATIENT = 100
FIRST_YEAR = 2110
_VIEWS = {"PA": "postero-anterior", "AP": "antero-posterior", "LATERAL": "lateral", "": ""}


@dataclass(frozen=True)
class MimicRow:
    """One image: its rows in the tables; those of its study stand with its first image."""

    metadata: tuple[str, ...]
    split: tuple[str, ...]
    labels: tuple[str, ...] = ()
    experts: tuple[str, ...] = ()


def _count_images(patient: Patient) -> int:
    return sum(1 + study.has_lateral for study in patient.studies)


def _write_patient(patient: Patient, root: Path, size: int) -> list[MimicRow]:
    return [row for study in patient.studies for row in _write_study(patient, study, root, size)]


def _write_study(patient: Patient, study: Study, root: Path, size: int) -> list[MimicRow]:
    subject, number = subject_id(patient), study_id(patient, study)
    part = {8: "validate", 9: "test"}.get(patient.index % 10, "train")
    views: list[View] = [study.view, "LATERAL"] if study.has_lateral else [study.view]
    rows = []
    for i, view in enumerate(views, start=1):
        rng = np.random.default_rng([study.seed, 1 + i])
        phantom = render(rng, study.findings, size=size, style=STYLES["mimic"], view=view, thorax=patient.thorax)
        name = _dicom_id(f"{study.seed} {i}")
        write_image(root / f"files/p{subject[:2]}/p{subject}/s{number}/{name}.jpg", _equalise(phantom.pixels))
        shown = "" if rng.random() < UNKNOWN_VIEW_SHARE else view
        metadata = _describe(study, (name, subject, number), shown, phantom.pixels)
        labels = read_labels(study, subject, number) if i == 1 else ()
        experts = read_experts(study, number) if i == 1 and part == "test" else ()
        rows.append(MimicRow(metadata, (name, number, subject, part), labels, experts))
    return rows


def subject_id(patient: Patient) -> str:
    """Eight digits that begin with 1, spread over the folders p10 to p19."""
    return str(FIRST_SUBJECT + patient.index * SUBJECTS_APART % SUBJECTS)


def study_id(patient: Patient, study: Study) -> str:
    """Eight digits that begin with 5."""
    return str(FIRST_STUDY + patient.index * STUDIES_PER_PATIENT + study.number)


def read_labels(study: Study, subject: str, number: str) -> tuple[str, ...]:
    """The text labeler's row; empty where it has none, and blank where it found nothing to say."""
    rng = np.random.default_rng([study.seed, 1])
    cells = read_study(rng, study.findings, is_consensus=False)
    draw = rng.random()
    if draw < UNLABELLED_SHARE:
        return ()
    is_blank = draw < 2 * UNLABELLED_SHARE
    return (subject, number, *("" if is_blank else cells[finding] for finding in FINDINGS))


def read_experts(study: Study, number: str) -> tuple[str, ...]:
    """The experts' row: 1.0 or 0.0 of everything."""
    cells = read_study(np.random.default_rng([study.seed, 0]), study.findings, is_consensus=True)
    return (number, *(cells[finding] for finding in FINDINGS))


def _describe(study: Study, ids: tuple[str, str, str], view: str, pixels: NDArray[np.uint8]) -> tuple[str, ...]:
    height, width = pixels.shape
    date = f"{FIRST_YEAR + study.age_years}{1 + study.number:02d}15"
    what = ("CHEST (PORTABLE AP)", view, str(height), str(width), date, "120000.0", "CHEST (PORTABLE AP)")
    return (*ids, *what, _VIEWS[view], "Erect")


def _equalise(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """As the publisher did with every picture (Johnson et al. 2019)."""
    return cv2.equalizeHist(pixels).astype(np.uint8)


def _dicom_id(text: str) -> str:
    name = hashlib.sha256(text.encode()).hexdigest()
    return "-".join(name[start : start + 8] for start in range(0, 40, 8))


def _write_tables(rows: Sequence[MimicRow], root: Path) -> None:
    tables = {
        "metadata": csv_text(METADATA_HEADER, [row.metadata for row in rows]),
        "split": csv_text(SPLIT_HEADER, [row.split for row in rows]),
        "chexpert": csv_text(LABELER_HEADER, [row.labels for row in rows if row.labels]),
    }
    for name, text in tables.items():
        _write_gzip(root / f"mimic-cxr-2.0.0-{name}.csv.gz", text)
    experts = csv_text(EXPERTS_HEADER, [row.experts for row in rows if row.experts])
    write_text(root / "mimic-cxr-2.1.0-test-set-labeled.csv", experts)


def _write_gzip(path: Path, text: str) -> None:
    data = gzip.compress(text.encode(), mtime=0)
    write_atomically(path, lambda temporary: temporary.write_bytes(data))


LAYOUT = Layout(
    count_images=_count_images,
    write_patient=_write_patient,
    write_tables=_write_tables,
    entries=("files", "mimic-cxr-2.*.csv*"),
)
