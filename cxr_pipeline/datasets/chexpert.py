"""CheXpert: 223,648 images of 64,740 patients, fourteen observations labelled 1, 0, -1 or blank. Parses, nothing more.

Irvin et al. 2019, https://arxiv.org/abs/1901.07031. Labels are those of a study, copied to each of its images. The test
set that ships with CheXlocalize is not read yet: its label file has no view, sex or age.
"""

import re
from pathlib import Path

import polars as pl

from cxr_pipeline.datasets.base import Dataset, Metadata
from cxr_pipeline.datasets.files import find_file, index_files, require_file, walk_files
from cxr_pipeline.datasets.strict_csv import read_csv, recode, require_match
from cxr_pipeline.pathologies import NEGATIVE, POSITIVE, UNCERTAIN

_FINDINGS = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
_COLUMNS = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *_FINDINGS)
_SPLITS = {"train": "train", "valid": "val"}
_SEXES = {"Female": "F", "Male": "M", "Unknown": None}
_ORIENTATIONS = {"Frontal": "frontal", "Lateral": "lateral"}
# LL and RL are the left and right lateral projection (DICOM View Position); 17 images, all in rows that also say
# `Frontal`. As the row contradicts itself, the image must not pass for a frontal one.
_PROJECTIONS = {"AP": "AP", "PA": "PA", "LL": "LATERAL", "RL": "LATERAL", "": "UNKNOWN"}
_VALUES = {
    "1.0": POSITIVE, "0.0": NEGATIVE, "-1.0": UNCERTAIN, "1": POSITIVE, "0": NEGATIVE, "-1": UNCERTAIN
}  # fmt: skip
_IMAGE_PATH = r"^([^/]+/)?(train|valid)/patient\d+/study\d+/view\d+_(frontal|lateral)\.jpg$"
_PIXEL_PATH = re.compile(r"(?:.*(train|valid)[^/]*/)?(?:.*/)?(patient\d+/study\d+/view\d+_(?:frontal|lateral)\.jpg)")


def find_metadata(root: Path) -> Metadata:
    """`train.csv`, and `valid.csv` where it is: in the root or in a `CheXpert*` folder below it (the zip's own)."""
    folders = [root, *sorted(path for path in root.glob("[Cc]he[Xx]pert*") if path.is_dir())]
    train = require_file(CHEXPERT, folders, ["train.csv", "train.csv.gz"])
    valid = find_file([train.parent], ["valid.csv", "valid.csv.gz"])
    if valid is None:
        return Metadata({"train": train}, {"valid.csv": "the official validation set is left out"})
    return Metadata({"train": train, "valid": valid})


def read_images(root: Path) -> pl.LazyFrame:
    """One row per image, training set first, as `Dataset.read_images` says."""
    parts = find_metadata(root).files.values()
    return pl.concat([_read_part_images(path) for path in parts]).lazy()


def read_findings(root: Path) -> pl.LazyFrame:
    """One row per filled cell; a blank cell states nothing."""
    return pl.concat([_read_part_findings(path) for path in find_metadata(root).files.values()]).lazy()


def find_pixels(root: Path) -> dict[str, Path]:
    """`train/patient00001/study1/view1_frontal.jpg` -> path, in the zip's folder, without it, or in batch folders.

    The whole collection has six different base names, so the part and the patient's folders are the key. The part is
    the last folder that names it (`train/`, `CheXpert-v1.0 batch 2 (train 1)/`). A file below no such folder answers
    for either part: no patient is in two.
    """
    return index_files(walk_files(root, ".jpg"), _keys)


def _keys(path: str) -> list[str]:
    match = _PIXEL_PATH.fullmatch(path)
    if match is None:
        return []
    part, file = match.groups()
    return [f"{part}/{file}" for part in ([part] if part else _SPLITS)]


def _read_part(path: Path) -> pl.DataFrame:
    """One CSV, checked cell by cell, with the column `key`: the path without the name of the zip."""
    rows = read_csv(path, _COLUMNS)
    require_match(path, rows, "Path", _IMAGE_PATH)
    require_match(path, rows, "Age", r"^\d{0,3}$")
    return rows.with_columns(key=pl.col("Path").str.extract(r"((?:train|valid)/patient.*)$"))


def _read_part_images(path: Path) -> pl.DataFrame:
    rows = _read_part(path)
    folders = pl.col("key").str.split("/")
    orientation = recode(path, rows, "Frontal/Lateral", _ORIENTATIONS)
    projection = recode(path, rows, "AP/PA", _PROJECTIONS)
    return rows.select(
        image_id=_image_id(),
        patient_id=pl.format("chexpert/{}", folders.list.get(1)),
        study_id=pl.format("chexpert/{}/{}", folders.list.get(1), folders.list.get(2)),
        dataset=pl.lit("chexpert"),
        view=pl.when(orientation == "frontal").then(projection).otherwise(pl.lit("LATERAL")),
        path=pl.col("key"),
        age_years=_age_years(pl.col("Age")),
        sex=recode(path, rows, "Sex", _SEXES),
        official_split=folders.list.get(0).replace_strict(_SPLITS),
    )


def _read_part_findings(path: Path) -> pl.DataFrame:
    rows = _read_part(path).select(_image_id(), *_FINDINGS)
    stated = rows.unpivot(index="image_id", on=_FINDINGS, variable_name="finding").filter(pl.col("value") != "")
    return stated.with_columns(value=recode(path, stated, "value", _VALUES).cast(pl.Int8), reader=pl.lit(""))


def _image_id() -> pl.Expr:
    return pl.format("chexpert/{}", pl.col("key").str.strip_suffix(".jpg")).alias("image_id")


def _age_years(age: pl.Expr) -> pl.Expr:
    """Null for 0, which stands for "unknown": three training rows have it, and the next age is 18. 90 is a cap."""
    years = age.replace({"": "0"}).cast(pl.Float32)
    return pl.when(years > 0).then(years)


CHEXPERT = Dataset(
    name="chexpert",
    title="CheXpert",
    home_page="https://stanfordaimi.azurewebsites.net/datasets/8cbd9ed4-2eb9-4565-affc-111cf4f7ebe2",
    citation="Irvin et al. 2019, CheXpert, https://arxiv.org/abs/1901.07031",
    licence="Stanford University Dataset Research Use Agreement",
    access="registration",
    commercial_use=False,
    redistribution=False,
    unstated_is="negative",
    read_images=read_images,
    read_findings=read_findings,
    find_metadata=find_metadata,
    find_pixels=find_pixels,
    expected={"images": 223_648, "patients": 64_740},
)
