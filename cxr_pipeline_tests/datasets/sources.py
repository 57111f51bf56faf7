"""Writes tiny collections in the published layouts, row by row, for the tests. Images are a few arbitrary bytes."""

from collections.abc import Iterable, Sequence
from pathlib import Path

NIH_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
NIH_ROWS = (
    "00000001_000.png,Cardiomegaly,0,1,57,M,PA,2682,2749,0.143,0.143",
    "00000001_001.png,Cardiomegaly|Emphysema,1,1,58,M,PA,2894,2729,0.143,0.143",
    "00000002_000.png,No Finding,0,2,80,F,AP,2500,2048,0.171,0.171",
)
CHEXPERT_FINDINGS = (
    "No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,Edema,Consolidation,Pneumonia,"
    "Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices"
)
CHEXPERT_HEADER = f"Path,Sex,Age,Frontal/Lateral,AP/PA,{CHEXPERT_FINDINGS}"
CHEXPERT_TRAIN = (
    "train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,AP,1.0,,,,,,,,,0.0,,,,1.0",
    "train/patient00002/study2/view1_frontal.jpg,Male,87,Frontal,PA,,,-1.0,1.0,,-1.0,-1.0,,-1.0,,-1.0,,1.0,",
    "train/patient00002/study2/view2_lateral.jpg,Male,87,Lateral,,,,-1.0,1.0,,-1.0,-1.0,,-1.0,,-1.0,,1.0,",
)
CHEXPERT_VALID = (
    "valid/patient64541/study1/view1_frontal.jpg,Male,73,Frontal,AP,0.0,1.0,1.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0",
)


def write_lines(path: Path, lines: Iterable[str]) -> Path:
    """A text file without a newline at its end, as NIH publishes its lists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def write_nih(root: Path, rows: Sequence[str] = NIH_ROWS, *, header: str = NIH_HEADER) -> Path:
    """The NIH entry list alone; returns `root`."""
    write_lines(root / "Data_Entry_2017_v2020.csv", [header, *rows])
    return root


def nih_row(
    name: str = "00000001_000.png",
    *,
    labels: str = "No Finding",
    patient: str | None = None,
    age: str = "57",
    sex: str = "M",
    view: str = "PA",
) -> str:
    return f"{name},{labels},0,{patient or int(name[:8])},{age},{sex},{view},2682,2749,0.143,0.143"


def write_chexpert(
    root: Path,
    train: Sequence[str] | None = CHEXPERT_TRAIN,
    valid: Sequence[str] | None = CHEXPERT_VALID,
    *,
    prefix: str = "CheXpert-v1.0-small/",
) -> Path:
    """The CheXpert CSV files alone, in `root`; `prefix` goes before every path in them."""
    for name, rows in (("train.csv", train), ("valid.csv", valid)):
        if rows is not None:
            write_lines(root / name, [CHEXPERT_HEADER, *(f"{prefix}{row}" for row in rows)])
    return root


def chexpert_row(
    path: str = "train/patient00001/study1/view1_frontal.jpg",
    *,
    sex: str = "Female",
    age: str = "68",
    orientation: str = "Frontal",
    projection: str = "AP",
    **findings: str,
) -> str:
    """One row; findings by name with `_` for a blank."""
    cells = [findings.get(name.replace(" ", "_"), "") for name in CHEXPERT_FINDINGS.split(",")]
    return ",".join([path, sex, age, orientation, projection, *cells])


def write_image(path: Path, content: bytes = b"pixels") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
