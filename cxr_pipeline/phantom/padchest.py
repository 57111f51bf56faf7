"""Phantoms in the layout of PadChest: 12 bits in 16-bit PNG, numbered folders, one quoted table with Python lists."""

import csv
import gzip
import hashlib
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cxr_pipeline.phantom.cohort import Patient, Study
from cxr_pipeline.phantom.layout import Layout
from cxr_pipeline.phantom.render import STYLES, View, render
from cxr_pipeline.storage.files import write_atomically

TABLE = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz"
COLUMNS = (
    "", "ImageID", "ImageDir", "StudyDate_DICOM", "StudyID", "PatientID", "PatientBirth", "PatientSex_DICOM",
    "ViewPosition_DICOM", "Projection", "MethodProjection", "Pediatric", "Modality_DICOM", "Manufacturer_DICOM",
    "PhotometricInterpretation_DICOM", "PixelRepresentation_DICOM", "PixelAspectRatio_DICOM",
    "SpatialResolution_DICOM", "BitsStored_DICOM", "WindowCenter_DICOM", "WindowWidth_DICOM", "Rows_DICOM",
    "Columns_DICOM", "XRayTubeCurrent_DICOM", "Exposure_DICOM", "ExposureInuAs_DICOM", "ExposureTime",
    "RelativeXRayExposure_DICOM", "ReportID", "Report", "MethodLabel", "Labels", "Localizations",
    "LabelsLocalizationsBySentence", "labelCUIS", "LocalizationsCUIS",
)  # fmt: skip
"""As published: the first has no name."""

WORDS: dict[str, tuple[str, ...]] = {
    "Atelectasis": ("laminar atelectasis", "atelectasis", "lobar atelectasis"),
    "Cardiomegaly": ("cardiomegaly",),
    "Consolidation": ("consolidation",),
    "Edema": ("pulmonary edema",),
    "Effusion": ("pleural effusion", "loculated pleural effusion"),
    "Emphysema": ("emphysema",),
    "Fibrosis": ("pulmonary fibrosis",),
    "Hernia": ("hiatal hernia",),
    "Infiltration": ("infiltrates", "interstitial pattern"),
    "Mass": ("pulmonary mass",),
    "Nodule": ("nodule", "multiple nodules"),
    "Pleural_Thickening": ("pleural thickening", "apical pleural thickening"),
    "Pneumonia": ("pneumonia",),
    "Pneumothorax": ("pneumothorax",),
}
"""Finding -> words that the reports use for it."""

UNRELATED = {"scoliosis": 0.08, "NSG tube": 0.05, "pseudonodule": 0.04, "COPD signs": 0.05}
"""Word -> share; nothing of them is drawn. The third is no Nodule, the fourth no Emphysema."""

UNCHANGED_SHARE, POOR_SHARE, EXCLUDED_SHARE, UNLABELLED_SHARE = 0.09, 0.01, 0.01, 0.01
BLANK_SHARE = 0.2  # words with a blank before them
EMPTY_SHARE = 0.05  # lists that hold an empty word
PHYSICIAN_SHARE = 0.25
LYING_SHARE = 0.75  # AP pictures whose projection is AP_horizontal
PATIENTS_PER_FOLDER, FOLDERS = 25, 51
FIRST_YEAR = 2007
BITS = 12


@dataclass(frozen=True)
class PadchestRow:
    """One image as the table describes it, but for the number of its row."""

    cells: dict[str, str]


def _count_images(patient: Patient) -> int:
    return sum(1 + study.has_lateral for study in patient.studies)


def _write_patient(patient: Patient, root: Path, size: int) -> list[PadchestRow]:
    return [row for study in patient.studies for row in _write_study(patient, study, root, size)]


def _write_study(patient: Patient, study: Study, root: Path, size: int) -> list[PadchestRow]:
    shared = _describe_study(patient, study)
    views: list[View] = [study.view, "LATERAL"] if study.has_lateral else [study.view]
    rows = []
    for i, view in enumerate(views, start=1):
        rng = np.random.default_rng([study.seed, 1 + i])
        phantom = render(rng, study.findings, size=size, style=STYLES["padchest"], view=view, thorax=patient.thorax)
        name = f"{shared['StudyID']}_{i:06d}.png"
        _write_png(root / shared["ImageDir"] / name, phantom.pixels)
        height, width = phantom.pixels.shape
        projection = {"PA": "PA", "LATERAL": "L", "AP": shared["Projection"]}[view]
        picture = {"ImageID": name, "Projection": projection, "Rows_DICOM": str(height), "Columns_DICOM": str(width)}
        rows.append(PadchestRow(shared | picture))
    return rows


def _describe_study(patient: Patient, study: Study) -> dict[str, str]:
    """The cells that the images of a study share."""
    rng = np.random.default_rng([study.seed, 1])
    first = patient.studies[0]
    birth = FIRST_YEAR - first.age_years
    return {
        "ImageDir": str(patient.index // PATIENTS_PER_FOLDER % FOLDERS),
        "StudyDate_DICOM": f"{birth + study.age_years}{1 + study.number:02d}15",
        "StudyID": digits(f"study {study.seed}"),
        "PatientID": digits(f"patient {first.seed}"),
        "PatientBirth": f"{birth}.0",
        "PatientSex_DICOM": patient.sex,
        "Projection": "AP_horizontal" if rng.random() < LYING_SHARE else "AP",
        "Pediatric": "No",
        "Modality_DICOM": "CR",
        "PhotometricInterpretation_DICOM": "MONOCHROME2",
        "BitsStored_DICOM": str(BITS),
        "ReportID": str(study.seed % 10**7),
        "Report": " fantom dibuj .\n sin pacient . " if study.number else " fantom dibuj . ",
        "MethodLabel": "Physician" if rng.random() < PHYSICIAN_SHARE else "RNN_model",
        "Labels": write_labels(rng, describe_findings(rng, study.findings)),
    }


def digits(text: str) -> str:
    """An id of 38 digits, as PadChest has them: no integer type of a table library holds it."""
    return str(int(hashlib.sha256(text.encode()).hexdigest(), 16)).zfill(38)[-38:]


def describe_findings(rng: np.random.Generator, findings: Collection[str]) -> list[str]:
    """The words of a report. Some reports say only what has not changed, or that the picture is no good."""
    words = [str(rng.choice(WORDS[finding])) for finding in findings]
    words += [word for word, share in UNRELATED.items() if rng.random() < share]
    draw = rng.random()
    if draw < UNCHANGED_SHARE:
        return [*words[: int(rng.integers(len(words) + 1))], "unchanged"]
    if draw < UNCHANGED_SHARE + POOR_SHARE:
        return ["suboptimal study"]
    if draw < UNCHANGED_SHARE + POOR_SHARE + EXCLUDED_SHARE:
        return ["exclude"]
    return words or ["normal"]


def write_labels(rng: np.random.Generator, words: Sequence[str]) -> str:
    """The cell of `Labels`: the text of a Python list, with stray blanks and empty words; `nan` where it is lost."""
    if rng.random() < UNLABELLED_SHARE:
        return "nan"
    written = [f" {word}" if rng.random() < BLANK_SHARE else word for word in words]
    return str([*written, ""] if rng.random() < EMPTY_SHARE else written)


def _write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", pixels.astype(np.uint16) << (BITS - 8))[1].tobytes())


def _write_tables(rows: Sequence[PadchestRow], root: Path) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="None", lineterminator="\n")
    writer.writeheader()
    writer.writerows({"": str(number), **row.cells} for number, row in enumerate(rows))
    data = gzip.compress(text.getvalue().encode(), mtime=0)
    write_atomically(root / TABLE, lambda temporary: temporary.write_bytes(data))


LAYOUT = Layout(
    count_images=_count_images,
    write_patient=_write_patient,
    write_tables=_write_tables,
    entries=("[0-9]", "[0-9][0-9]", TABLE),
)
