"""CheXpert: 223,648 images of 64,740 patients, fourteen observations labelled 1, 0, -1 or blank. Parses, nothing more.

Irvin et al. 2019, https://arxiv.org/abs/1901.07031. Labels are those of a study, copied to each of its images. The test
set that ships with CheXlocalize is read by `chexlocalize.py`.
"""

import re
from pathlib import Path

import polars as pl

from cxr_pipeline.datasets.base import NO_LABELS, Dataset, Display, Layout, Metadata, mark_silent
from cxr_pipeline.datasets.chexlocalize import with_test_set
from cxr_pipeline.datasets.chexpert_paths import read_ids
from cxr_pipeline.datasets.files.folders import as_published, find_file, index_files, require_file, walk_pictures
from cxr_pipeline.datasets.files.strict_csv import Codes, read_csv
from cxr_pipeline.pathologies import NEGATIVE, POSITIVE, UNCERTAIN
from cxr_pipeline.tables.raw import OFFICIAL_SPLITS, SEXES, VIEWS

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
_RELEASES = {
    "chexpert-v1.0": "full size",
    "chexpert-v1.0-small": "small",
    "train": "without the zip's folder",
}
_SPLITS = {"train": "train", "valid": "val"}
_SEXES = {"Female": "F", "Male": "M", "Unknown": None}
_IS_FRONTAL = {"Frontal": 1, "Lateral": 0}
# LL and RL are the left and right lateral projection (DICOM View Position); 17 images, all in rows that also say
# `Frontal`. As the row contradicts itself, the image must not pass for a frontal one.
_PROJECTIONS = {"AP": "AP", "PA": "PA", "LL": "LATERAL", "RL": "LATERAL", "": "UNKNOWN"}
# 0 stands for "unknown": three training rows have it, and the next age is 18. 90 is a cap.
# An editor that knows one blank age writes the others as `68.0`.
_AGES = {"": None, "0": None, "0.0": None} | {f"{age}{ending}": age for age in range(1, 121) for ending in ("", ".0")}
_VALUES = {
    "1.0": POSITIVE, "0.0": NEGATIVE, "-1.0": UNCERTAIN, "1": POSITIVE, "0": NEGATIVE, "-1": UNCERTAIN, "": None
}  # fmt: skip
_CODES: dict[str, Codes] = dict.fromkeys(_FINDINGS, _VALUES) | {
    "Sex": _SEXES,
    "Age": _AGES,
    "Frontal/Lateral": _IS_FRONTAL,
    "AP/PA": _PROJECTIONS,
}
_TYPES = {"Sex": pl.Enum(SEXES), "AP/PA": pl.Enum(VIEWS)}
_SPLIT = pl.Enum(OFFICIAL_SPLITS)
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
    return read_wide(root).drop(*_FINDINGS, NO_LABELS)


def read_findings(root: Path) -> pl.LazyFrame:
    """One row per filled cell; a blank cell states nothing, and a row of blanks that there are no labels."""
    words = [*_FINDINGS, NO_LABELS]
    cells = read_wide(root).unpivot(index="image_id", on=words, variable_name="finding").drop_nulls("value")
    return cells.with_columns(reader=pl.lit(""))


def read_wide(root: Path) -> pl.LazyFrame:
    """One row per image and one column per finding, as `Dataset.read_wide` says."""
    return pl.concat([_read_part(path) for path in find_metadata(root).files.values()]).lazy()


def find_pixels(root: Path) -> dict[str, Path]:
    """`train/patient00001/study1/view1_frontal.jpg` -> path, in the zip's folder, without it, or in batch folders.

    The whole collection has six different base names, so the part and the patient's folders are the key. The part is
    the last folder that names it (`train/`, `CheXpert-v1.0 batch 2 (train 1)/`). A file below no such folder answers
    for either part: no patient is in two.
    """
    return index_files(walk_pictures(root, ".jpg"), _keys)


def describe_layout(root: Path) -> Layout:
    """The release, told by the zip's name that its CSV puts before every path, and whether batches lie apart."""
    train = find_metadata(root).files["train"]
    first = read_csv(train, ["Path"]).item(0, "Path").split("/")[0]
    release = _RELEASES.get(first.lower(), f"unknown release {first}")
    batches = any(root.glob("*batch*"))
    name = f"{release}, {'batch folders' if batches else 'one folder'}"
    return Layout(
        name, f"the paths in {train.relative_to(root)} begin with {first}/; *batch* is {'' if batches else 'not '}there"
    )


def _keys(path: str) -> list[str]:
    match = _PIXEL_PATH.fullmatch(as_published(path, ".jpg"))
    if match is None:
        return []
    part, file = match.groups()
    return [f"{part}/{file}" for part in ([part] if part else _SPLITS)]


def _read_part(path: Path) -> pl.DataFrame:
    """One CSV, checked cell by cell."""
    rows = read_csv(path, _COLUMNS, codes=_CODES, types=_TYPES)
    keys = _strip_zip_name(rows["Path"])
    ids = read_ids(path, keys, parts="|".join(_SPLITS))
    is_train = keys.str.starts_with("train/")
    stated = rows.select(
        view=pl.when(pl.col("Frontal/Lateral") == 1).then("AP/PA").otherwise(pl.lit("LATERAL", _TYPES["AP/PA"])),
        age_years=pl.col("Age").cast(pl.Float32),
        sex="Sex",
        official_split=pl.when(is_train).then(pl.lit("train", _SPLIT)).otherwise(pl.lit("val", _SPLIT)),
    )
    return pl.concat([ids, stated, rows.select(*_FINDINGS, mark_silent(_FINDINGS))], how="horizontal")


def _strip_zip_name(paths: pl.Series) -> pl.Series:
    """`paths` from the part on; unchanged where the zip's folder does not stand before all: no id is read of these."""
    zip_name = paths[0].rpartition("/patient")[0].rpartition("/")[0]
    if not zip_name or not paths.str.starts_with(f"{zip_name}/").all():
        return paths
    return paths.str.slice(len(zip_name) + 1)


_RELEASED = Dataset(
    name="chexpert",
    title="CheXpert",
    home_page="https://stanfordaimi.azurewebsites.net/datasets/8cbd9ed4-2eb9-4565-affc-111cf4f7ebe2",
    citation="Irvin et al. 2019, CheXpert, https://arxiv.org/abs/1901.07031",
    licence="Stanford University Dataset Research Use Agreement",
    access="registration",
    commercial_use=False,
    redistribution=False,
    thumbnails=Display(False, "Stanford University Dataset Research Use Agreement: for those who signed it"),
    unstated_is="negative",
    read_images=read_images,
    read_findings=read_findings,
    find_metadata=find_metadata,
    find_pixels=find_pixels,
    describe_layout=describe_layout,
    suffixes=(".jpg",),
    read_wide=read_wide,
    expected={"images": 223_648, "patients": 64_740},
)
CHEXPERT = with_test_set(_RELEASED)
