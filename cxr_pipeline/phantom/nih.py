"""Phantoms in the layout of NIH ChestX-ray14: folders, table with its unquoted header, lists, ragged boxes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cxr_pipeline.phantom.cohort import Patient, Study
from cxr_pipeline.phantom.layout import Layout, csv_text, write_image
from cxr_pipeline.phantom.render import STYLES, Phantom, render
from cxr_pipeline.storage.files import write_text

# Two of the names hold a comma and are not quoted: as published.
DATA_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
# Nine cells over rows of six: as published.
BOX_HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,"
BOX_NAMES = {
    "Atelectasis": "Atelectasis",
    "Cardiomegaly": "Cardiomegaly",
    "Effusion": "Effusion",
    "Infiltration": "Infiltrate",  # the list of boxes alone spells it so
    "Mass": "Mass",
    "Nodule": "Nodule",
    "Pneumonia": "Pneumonia",
    "Pneumothorax": "Pneumothorax",
}
BOX_FRAME = 1024  # boxes are stated in the published 1024 x 1024 frame, whatever the size of the files at hand
RGBA_SHARE = 0.005
PATIENTS_PER_FOLDER, FOLDERS = 25, 12
DETECTORS = ((2500, 2048, "0.168"), (2048, 2500, "0.171"), (3056, 2544, "0.139"), (2992, 2991, "0.143"))


@dataclass(frozen=True)
class NihRow:
    """One image as the published files describe it."""

    name: str
    fields: tuple[str, ...]
    boxes: tuple[tuple[str, ...], ...]
    is_test: bool


def _count_images(patient: Patient) -> int:
    return len(patient.studies)


def _write_patient(patient: Patient, root: Path, size: int) -> list[NihRow]:
    folder = root / f"images_{min(1 + patient.index // PATIENTS_PER_FOLDER, FOLDERS):03d}" / "images"
    return [_write_study(patient, study, folder, size) for study in patient.studies]


def _write_study(patient: Patient, study: Study, folder: Path, size: int) -> NihRow:
    rng = np.random.default_rng(study.seed)
    phantom = render(rng, study.findings, size=size, style=STYLES["nih"], view=study.view, thorax=patient.thorax)
    name = f"{patient.index + 1:08d}_{study.number:03d}.png"
    write_image(folder / name, phantom.pixels, is_rgba=is_rgba(study))
    is_test = patient.index % 5 == 4
    # The published boxes are all on test images.
    return NihRow(name, _fields(patient, study, name), _box_rows(name, phantom) if is_test else (), is_test)


def is_rgba(study: Study) -> bool:
    """Whether the file has four channels: 519 of the 112,120 published ones do."""
    return bool(np.random.default_rng([study.seed, 1]).random() < RGBA_SHARE)


def _fields(patient: Patient, study: Study, name: str) -> tuple[str, ...]:
    width, height, spacing = DETECTORS[study.seed % len(DETECTORS)]
    labels = "|".join(study.findings) or "No Finding"
    person = (str(patient.index + 1), str(study.age_years), patient.sex)
    return (name, labels, str(study.number), *person, study.view, str(width), str(height), spacing, spacing)


def _box_rows(name: str, phantom: Phantom) -> tuple[tuple[str, ...], ...]:
    scale = BOX_FRAME / phantom.pixels.shape[0]
    return tuple(
        (name, BOX_NAMES[finding], *(str(edge * scale) for edge in box))
        for finding, boxes in phantom.boxes.items()
        if finding in BOX_NAMES
        for box in boxes
    )


def _write_tables(rows: Sequence[NihRow], root: Path) -> None:
    write_text(root / "Data_Entry_2017_v2020.csv", csv_text(DATA_HEADER, [row.fields for row in rows]))
    write_text(root / "BBox_List_2017.csv", csv_text(BOX_HEADER, [box for row in rows for box in row.boxes]))
    # Neither list ends with a newline: as published.
    write_text(root / "train_val_list.txt", "\n".join(row.name for row in rows if not row.is_test))
    write_text(root / "test_list.txt", "\n".join(row.name for row in rows if row.is_test))


LAYOUT = Layout(
    count_images=_count_images,
    write_patient=_write_patient,
    write_tables=_write_tables,
    entries=("images_0*", "Data_Entry_2017_v2020.csv", "BBox_List_2017.csv", "train_val_list.txt", "test_list.txt"),
)
