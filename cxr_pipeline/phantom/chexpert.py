"""Phantoms in the layout of CheXpert-v1.0-small: study folders, laterals, and labels as its text labeler gives them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cxr_pipeline.phantom.cohort import Patient, Study
from cxr_pipeline.phantom.layout import Layout, csv_text, write_image
from cxr_pipeline.phantom.render import STYLES, View, render
from cxr_pipeline.storage.files import write_text

FOLDER = "CheXpert-v1.0-small"
MEANINGS: dict[str, frozenset[str]] = {
    "Enlarged Cardiomediastinum": frozenset({"Cardiomegaly", "Hernia"}),
    "Cardiomegaly": frozenset({"Cardiomegaly"}),
    "Lung Opacity": frozenset(
        {"Atelectasis", "Consolidation", "Edema", "Infiltration", "Mass", "Nodule", "Pneumonia", "Fibrosis"}
    ),
    "Lung Lesion": frozenset({"Mass", "Nodule"}),
    "Edema": frozenset({"Edema"}),
    "Consolidation": frozenset({"Consolidation"}),
    "Pneumonia": frozenset({"Pneumonia"}),
    "Atelectasis": frozenset({"Atelectasis"}),
    "Pneumothorax": frozenset({"Pneumothorax"}),
    "Pleural Effusion": frozenset({"Effusion"}),
    "Pleural Other": frozenset({"Pleural_Thickening", "Fibrosis"}),
}
"""Column -> the findings that it speaks of. Emphysema has no column, and Hernia none of its own."""

UNRELATED = {"Fracture": 0.05, "Support Devices": 0.5}  # column -> share; nothing of them is drawn
COLUMNS = ("No Finding", *MEANINGS, *UNRELATED)
HEADER = "Path,Sex,Age,Frontal/Lateral,AP/PA," + ",".join(COLUMNS)

HEDGED_SHARE = 0.15  # positive findings that the report hedges: -1.0
DOUBTED_SHARE = 0.04  # absent findings that the report will not exclude: -1.0
DENIED_SHARE = 0.20  # absent findings that the report denies: 0.0; the rest stay blank
VALID_EVERY = 10  # every tenth patient is in valid.csv
FIRST_VALID_PATIENT = 64541
MAX_AGE_YEARS = 90  # published ages are capped


@dataclass(frozen=True)
class ChexpertRow:
    """One image as `train.csv` or `valid.csv` describes it."""

    part: str
    fields: tuple[str, ...]


def _count_images(patient: Patient) -> int:
    return sum(1 + study.has_lateral for study in patient.studies)


def _write_patient(patient: Patient, root: Path, size: int) -> list[ChexpertRow]:
    return [row for study in patient.studies for row in _write_study(patient, study, root, size)]


def _write_study(patient: Patient, study: Study, root: Path, size: int) -> list[ChexpertRow]:
    part, number = "train", patient.index + 1
    if patient.index % VALID_EVERY == VALID_EVERY - 1:
        part, number = "valid", FIRST_VALID_PATIENT + patient.index // VALID_EVERY
    labels = read_study(np.random.default_rng([study.seed, 1]), study.findings, is_consensus=part == "valid")
    sex, age = {"F": "Female", "M": "Male"}[patient.sex], str(min(study.age_years, MAX_AGE_YEARS))
    views: list[View] = [study.view, "LATERAL"] if study.has_lateral else [study.view]
    rows = []
    for i, view in enumerate(views, start=1):
        kind = "Lateral" if view == "LATERAL" else "Frontal"
        path = f"{FOLDER}/{part}/patient{number:05d}/study{study.number + 1}/view{i}_{kind.lower()}.jpg"
        rng = np.random.default_rng([study.seed, 1 + i])
        phantom = render(rng, study.findings, size=size, style=STYLES["chexpert"], view=view, thorax=patient.thorax)
        write_image(root / path, phantom.pixels)
        position = "" if view == "LATERAL" else view
        rows.append(ChexpertRow(part, (path, sex, age, kind, position, *(labels[column] for column in COLUMNS))))
    return rows


def read_study(rng: np.random.Generator, findings: Collection[str], *, is_consensus: bool) -> dict[str, str]:
    """The cells of one study. Radiologists' consensus (valid) says 1.0 or 0.0 of everything; the text labeler
    (train) also hedges and mostly leaves blank what is not there.
    """
    truth = {column: bool(meaning.intersection(findings)) for column, meaning in MEANINGS.items()}
    extra = {column: bool(rng.random() < share) for column, share in UNRELATED.items()}
    if is_consensus:
        stated = {column: "1.0" if is_there else "0.0" for column, is_there in (truth | extra).items()}
        return stated | {"No Finding": "0.0" if findings or extra["Fracture"] else "1.0"}
    stated = {column: _mention(rng, is_there=is_there) for column, is_there in truth.items()}
    stated |= {column: "1.0" if is_there else "" for column, is_there in extra.items()}
    # Devices do not count against No Finding, a finding without a column does (the labeler's no_finding.txt).
    spoken = [value for column, value in stated.items() if column != "Support Devices"]
    is_normal = not findings and not {"1.0", "-1.0"}.intersection(spoken)
    return stated | {"No Finding": "1.0" if is_normal else ""}


def _mention(rng: np.random.Generator, *, is_there: bool) -> str:
    draw = rng.random()
    if is_there:
        return "-1.0" if draw < HEDGED_SHARE else "1.0"
    if draw < DOUBTED_SHARE:
        return "-1.0"
    return "0.0" if draw < DOUBTED_SHARE + DENIED_SHARE else ""


def _write_tables(rows: Sequence[ChexpertRow], root: Path) -> None:
    for part in ("train", "valid"):
        fields = [row.fields for row in rows if row.part == part]
        write_text(root / FOLDER / f"{part}.csv", csv_text(HEADER, fields))


LAYOUT = Layout(
    count_images=_count_images,
    write_patient=_write_patient,
    write_tables=_write_tables,
    entries=(FOLDER,),
    roots=(FOLDER, "."),
)
