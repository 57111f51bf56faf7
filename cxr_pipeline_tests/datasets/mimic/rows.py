"""Writes MIMIC-CXR-JPG's tables in their published form for the tests. The rows are invented."""

import gzip
from collections.abc import Sequence
from pathlib import Path

from cxr_pipeline.phantom.mimic import METADATA_HEADER, SPLIT_HEADER
from cxr_pipeline_tests.datasets.sources import write_lines

FINDINGS = (
    "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Enlarged Cardiomediastinum", "Fracture", "Lung Lesion",
    "Lung Opacity", "No Finding", "Pleural Effusion", "Pleural Other", "Pneumonia", "Pneumothorax", "Support Devices",
)  # fmt: skip
CXR_LT_2023 = (
    "Atelectasis", "Calcification of the Aorta", "Cardiomegaly", "Consolidation", "Edema", "Emphysema",
    "Enlarged Cardiomediastinum", "Fibrosis", "Fracture", "Hernia", "Infiltration", "Lung Lesion", "Lung Opacity",
    "Mass", "No Finding", "Nodule", "Pleural Effusion", "Pleural Other", "Pleural Thickening", "Pneumomediastinum",
    "Pneumonia", "Pneumoperitoneum", "Pneumothorax", "Subcutaneous Emphysema", "Support Devices", "Tortuous Aorta",
)  # fmt: skip
CXR_LT_2024 = ("Adenopathy", *CXR_LT_2023, "Lobar Atelectasis", "Hydropneumothorax")  # some of its 40

SUBJECT, STUDY = "10000032", "50414267"


def dicom_id(number: int) -> str:
    return "-".join([f"{number:08x}"] * 5)


def mimic_row(
    number: int, *, subject: str = SUBJECT, study: str = STUDY, view: str = "PA", part: str = "train"
) -> tuple:
    """One image: (dicom_id, subject_id, study_id, ViewPosition, split)."""
    return dicom_id(number), subject, study, view, part


def write_mimic(root: Path, images: Sequence[tuple], labels: Sequence[str]) -> Path:
    """Metadata, split and text labels, plain, in `root`; returns `root`."""
    metadata = [
        f'{name},{subject},{study},"CHEST (PA, LAT)",{view},3056,2544,21800506,213014.531,CHEST (PA AND LAT),,Erect'
        for name, subject, study, view, _ in images
    ]
    split = [f"{name},{study},{subject},{part}" for name, subject, study, _, part in images]
    write_lines(root / "mimic-cxr-2.0.0-metadata.csv", [METADATA_HEADER, *metadata])
    write_lines(root / "mimic-cxr-2.0.0-split.csv", [SPLIT_HEADER, *split])
    write_lines(root / "mimic-cxr-2.0.0-chexpert.csv", [",".join(["subject_id", "study_id", *FINDINGS]), *labels])
    return root


def label_row(study: str = STUDY, **findings: str) -> str:
    """A row of the text labeler; findings by name with `_` for a blank."""
    return ",".join([SUBJECT, study, *_cells(FINDINGS, findings, "")])


def write_experts(root: Path, *rows: str) -> None:
    """The experts' labels: `label_row` without its first cell."""
    header = ",".join(["study_id", *FINDINGS]).replace("Lung Opacity", "Airspace Opacity")
    lines = [row.split(",", 1)[1] for row in rows]
    write_lines(root / "mimic-cxr-2.1.0-test-set-labeled.csv", [header, *lines])


def write_cxr_lt(path: Path, *rows: str, words: Sequence[str] = CXR_LT_2024) -> None:
    write_lines(path, [",".join(["dicom_id", "subject_id", "study_id", "fpath", *words]), *rows])


def cxr_lt_row(number: int, *, words: Sequence[str] = CXR_LT_2024, **findings: str) -> str:
    return ",".join([dicom_id(number), SUBJECT, f"s{STUDY}", "x.jpg", *_cells(words, findings, "0")])


def zip_all(root: Path) -> None:
    """Gzips every CSV file, as PhysioNet ships them."""
    for path in root.glob("*.csv"):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()


def _cells(words: Sequence[str], findings: dict[str, str], blank: str) -> list[str]:
    cells = [findings.pop(word.replace(" ", "_"), blank) for word in words]
    assert not findings
    return cells
