"""Metadata at full scale for the benchmarks: real files of five sources, made-up ones in the true form of two."""

import gzip
import json
import shutil
import tarfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl

PUBLISHED = {  # source -> its file in the torchxrayvision wheel, and its published name
    "nih": ("Data_Entry_2017_v2020.csv.gz", "Data_Entry_2017_v2020.csv"),
    "chexpert": ("chexpert_train.csv.gz", "train.csv"),
    "padchest": (
        "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz",
        "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv",
    ),
    "vindr": ("vinbigdata-train.csv.gz", "train.csv"),
}
MIMIC_FINDINGS = (
    "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Enlarged Cardiomediastinum", "Fracture", "Lung Lesion",
    "Lung Opacity", "No Finding", "Pleural Effusion", "Pleural Other", "Pneumonia", "Pneumothorax", "Support Devices",
)  # fmt: skip


def wheel_data() -> Path:
    """The folder of real metadata; ends the program where torchxrayvision is not installed."""
    spec = find_spec("torchxrayvision")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("torchxrayvision 1.5.7 is not installed: run this with `make bench`, which installs it.")
    return Path(spec.submodule_search_locations[0]) / "data"


def unpack_published(root: Path) -> None:
    """`root/<source>`: the real metadata of NIH, CheXpert, PadChest and VinDr (Kaggle) unzipped, OpenI's XML files."""
    data = wheel_data()
    for source, (packed, name) in PUBLISHED.items():
        (root / source).mkdir(parents=True)
        with gzip.open(data / packed) as file, (root / source / name).open("wb") as target:
            shutil.copyfileobj(file, target)
    with tarfile.open(data / "NLMCXR_reports.tgz") as archive:
        archive.extractall(root / "openi", filter="data")


def write_mimic(root: Path, *, images: int = 377_110, studies: int = 227_835, patients: int = 65_379) -> None:
    """MIMIC-CXR-JPG 2.0.0: metadata, split and labels, of made-up images in the true form."""
    rng = np.random.default_rng(0)
    root.mkdir(parents=True)
    study = np.sort(rng.integers(0, studies, images))
    patient = (np.arange(studies) * patients) // studies
    rows = pl.DataFrame({"number": np.arange(images), "study": study, "patient": patient[study]}).select(
        dicom_id=pl.format("{}-00000000-11111111-22222222-33333333", pl.col("number").cast(pl.String).str.zfill(8)),
        subject_id=pl.col("patient") + 10_000_000,
        study_id=pl.col("study") + 50_000_000,
        ViewPosition=pl.Series(rng.choice(["AP", "PA", "LATERAL", "LL", ""], images)),
        StudyDate=pl.lit("21800506"),
        split=pl.lit("train"),
    )
    blanks = dict.fromkeys(["PerformedProcedureStepDescription", "Rows", "Columns", "StudyTime"], pl.lit("x"))
    rows.drop("split").with_columns(**blanks).write_csv(root / "mimic-cxr-2.0.0-metadata.csv")
    rows.select("dicom_id", "study_id", "subject_id", "split").write_csv(root / "mimic-cxr-2.0.0-split.csv")
    cells = rng.choice(["", "", "", "1.0", "0.0", "-1.0"], (studies, len(MIMIC_FINDINGS)))
    labels = pl.DataFrame({"subject_id": patient + 10_000_000, "study_id": np.arange(studies) + 50_000_000})
    columns = {name: pl.Series(cells[:, k]) for k, name in enumerate(MIMIC_FINDINGS)}
    labels.with_columns(**columns).write_csv(root / "mimic-cxr-2.0.0-chexpert.csv", quote_style="never")


def write_rexgradient(root: Path, *, studies: int = 160_000, patients: int = 109_487) -> None:
    """ReXGradient: one JSON file of made-up studies in the true form, seven in ten with two images."""
    (root / "metadata").mkdir(parents=True)
    records = {f"pP{n % patients:06d}_aA{n}_s1.2.{n}": _rexgradient_study(n, n % patients) for n in range(studies)}
    (root / "metadata" / "train_metadata_view_position.json").write_text(json.dumps(records))


def repeat_rows(source: Path, target: Path, times: int, rename: Callable[[str, int], str]) -> None:
    """The table at `source` with all its rows `times` over, each time with other names."""
    header, *rows = source.read_text().splitlines()
    target.parent.mkdir(parents=True)
    with target.open("w") as file:
        file.write(f"{header}\n")
        for time in range(times):
            file.writelines(f"{rename(row, time)}\n" for row in rows)


def _rexgradient_study(number: int, patient: int) -> dict[str, object]:
    images = 2 if number % 10 < 7 else 1
    folder = f"../deid_png/P{patient:06d}/A{number}/studies/1.2.{number}/series/1/instances"
    return {
        "PatientID": f"P{patient:06d}",
        "AccessionNumber": f"A{number}",
        "StudyInstanceUid": f"1.2.{number}",
        "PatientSex": "F",
        "PatientAge": "064Y",
        "StudyDate": 20160411,
        "StudyDescription": "XR CHEST 2 VIEWS",
        "Indication": "Cough.",
        "Comparison": "None",
        "Findings": "The lungs are clear. No pleural effusion or pneumothorax. Heart size is normal. " * 4,
        "Impression": "No acute cardiopulmonary abnormality.",
        "ImagePath": [f"{folder}/1.2.{number}.{image}.png" for image in range(images)],
        "ImageModality": ["DX"] * images,
        "ImageShape": [[730, 600]] * images,
        "ImageBodyPart": ["CHEST"] * images,
        "ImageViewPosition": ["PA", "LATERAL"][:images],
    }
