"""CheXpert: 223,648 images of 64,740 patients, fourteen observations labelled 1, 0, -1 or blank. Parses, nothing more.

Irvin et al. 2019, https://arxiv.org/abs/1901.07031. Labels are those of a study, copied to each of its images. The test
set that ships with CheXlocalize is read by `localize.py`, the table of CheXpert Plus by `plus.py`.
"""

import re
from pathlib import Path

import polars as pl

from cxr_pipeline.datasets import lookalikes
from cxr_pipeline.datasets.base import NO_LABELS, Dataset, Display, Layout, Metadata, mark_silent
from cxr_pipeline.datasets.chexpert.codes import (
    AGE_CODES,
    FINDINGS,
    FRONTAL_CODES,
    PROJECTION_CODES,
    SEX,
    SEX_CODES,
    SPLITS,
    VALUE_CODES,
    VIEW,
    WIDE_SCHEMA,
    official_split_of,
    view_of,
)
from cxr_pipeline.datasets.chexpert.localize import with_test_set
from cxr_pipeline.datasets.chexpert.paths import read_ids
from cxr_pipeline.datasets.chexpert.plus import TABLE, count_plus_gaps, find_plus, read_plus
from cxr_pipeline.datasets.files.folders import as_published, find_file, index_files, require_file, walk_pictures
from cxr_pipeline.datasets.files.strict_csv import Codes, read_csv

_LABELLED = {  # file of the release -> who labelled it, where that is not the labeler of the paper
    "train.csv": None,
    "train_cheXbert.csv": "chexbert",
    "train_visualCheXbert.csv": "program",
}
_COLUMNS = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *FINDINGS)
_PLUS = "CheXpert Plus"
_RELEASES = {
    "chexpert-v1.0": "full size",
    "chexpert-v1.0-small": "small",
    "train": "without the zip's folder",
}
_CODES: dict[str, Codes] = dict.fromkeys(FINDINGS, VALUE_CODES) | {
    "Sex": SEX_CODES,
    "Age": AGE_CODES,
    "Frontal/Lateral": FRONTAL_CODES,
    "AP/PA": PROJECTION_CODES,
}
_TYPES = {"Sex": SEX, "AP/PA": VIEW}
_LOST_VALID = {
    "train": "the official validation set is left out",
    "plus": "the official validation set keeps the word of the text labeler",
}
_PIXEL_PATH = re.compile(r"(?:.*(train|valid)[^/]*/)?(?:.*/)?(patient\d+/study\d+/view\d+_(?:frontal|lateral)\.jpg)")


def find_metadata(root: Path) -> Metadata:
    """`train.csv`, and `valid.csv` where it is: in the root or in a `CheXpert*` folder below it (the zip's own).

    Where it is not there, CheXbert's labels of the same images, or the table of CheXpert Plus and its labels.
    """
    folders = [root, *sorted(path for path in root.glob("[Cc]he[Xx]pert*") if path.is_dir())]
    tables = [_plain_or_zipped(name) for name in _LABELLED]
    train = next((path for names in tables if (path := find_file(folders, names))), None)
    found = {"train": train} if train else find_plus(folders)
    if not found:
        found = {"train": require_file(CHEXPERT, folders, [*_plain_or_zipped("train.csv"), *[*_LABELLED][1:], TABLE])}
    first = next(iter(found))
    valid = find_file([found[first].parent, *folders], _plain_or_zipped("valid.csv"))
    if valid is None:
        return Metadata(found, {"valid.csv": _LOST_VALID[first]})
    return Metadata({**found, "valid": valid})


def read_images(root: Path) -> pl.LazyFrame:
    """One row per image, training set first, as `Dataset.read_images` says."""
    return read_wide(root).drop(*FINDINGS, NO_LABELS)


def read_findings(root: Path) -> pl.LazyFrame:
    """One row per filled cell; a blank cell states nothing, and a row of blanks that there are no labels."""
    words = [*FINDINGS, NO_LABELS]
    cells = read_wide(root).unpivot(index="image_id", on=words, variable_name="finding").drop_nulls("value")
    return cells.with_columns(reader=pl.lit(""))


def read_wide(root: Path) -> pl.LazyFrame:
    """One row per image and one column per finding, as `Dataset.read_wide` says."""
    files = find_metadata(root).files
    parts = [_read_part(files[name]) for name in ("train", "valid") if name in files]
    if "plus" in files:
        plus = read_plus(files["plus"], files["plus labels"])
        parts.insert(0, plus.filter(official_split="train") if "valid" in files else plus)
    return pl.concat(parts, how="diagonal").lazy()


def find_gaps(root: Path) -> list[str]:
    """Images of CheXpert Plus without labels, and labels of no image."""
    files = find_metadata(root).files
    return count_plus_gaps(files["plus"], files["plus labels"]) if "plus" in files else []


def find_pixels(root: Path) -> dict[str, Path]:
    """`train/patient00001/study1/view1_frontal.jpg` -> path, in the zip's folder, without it, or in batch folders.

    The whole collection has six different base names, so the part and the patient's folders are the key. The part is
    the last folder that names it (`train/`, `CheXpert-v1.0 batch 2 (train 1)/`). A file below no such folder answers
    for either part: no patient is in two.
    """
    return index_files(walk_pictures(root, ".jpg"), _keys)


def describe_layout(root: Path) -> Layout:
    """The release, told by the zip's name that its CSV puts before every path, and whether batches lie apart."""
    files = find_metadata(root).files
    if "plus" in files:
        return Layout(_PLUS, f"{TABLE} is there, and its labels are those of {files['plus labels'].name}")
    train = files["train"]
    first = read_csv(train, ["Path"]).item(0, "Path").split("/")[0]
    release = _RELEASES.get(first.lower(), f"unknown release {first}")
    batches = any(root.glob("*batch*"))
    labels = "" if _labelled_by(train) is None else f", labels of {_name_of(train)}"
    beside = [name for name in (*_LABELLED, TABLE) if name != _name_of(train) and (train.parent / name).is_file()]
    spare = f"; {' and '.join(beside)}, of the same images, is there too and not read" if beside else ""
    name = f"{release}, {'batch folders' if batches else 'one folder'}{labels}"
    reason = f"the paths in {train.relative_to(root)} begin with {first}/; *batch* is {'' if batches else 'not '}there"
    return Layout(name, f"{reason}{spare}")


def _keys(path: str) -> list[str]:
    match = _PIXEL_PATH.fullmatch(as_published(path, ".jpg"))
    if match is None:
        return []
    part, file = match.groups()
    return [f"{part}/{file}" for part in ([part] if part else SPLITS)]


def _read_part(path: Path) -> pl.DataFrame:
    """One CSV, checked cell by cell."""
    rows = read_csv(path, _COLUMNS, codes=_CODES, types=_TYPES)
    keys = _strip_zip_name(rows["Path"])
    ids = read_ids(path, keys, parts="|".join(SPLITS))
    stated = rows.select(
        view=view_of("AP/PA", "Frontal/Lateral"),
        age_years=pl.col("Age").cast(pl.Float32),
        sex="Sex",
        official_split=official_split_of(keys),
    )
    wide = pl.concat([ids, stated, rows.select(*FINDINGS, mark_silent(FINDINGS))], how="horizontal")
    labelled_by = _labelled_by(path)
    return wide.with_columns(labelled_by=pl.lit(labelled_by)) if labelled_by else wide


def _labelled_by(path: Path) -> str | None:
    return {name.lower(): by for name, by in _LABELLED.items()}.get(_name_of(path).lower())


def _name_of(path: Path) -> str:
    return path.name.removesuffix(".gz")


def _plain_or_zipped(name: str) -> list[str]:
    return [name, f"{name}.gz"]


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
    find_gaps=find_gaps,
    lookalikes=lookalikes.CHEXPERT,
    suffixes=(".jpg",),
    read_wide=read_wide,
    expected={"images": 223_648, "patients": 64_740},
    expected_editions={_PLUS: {"images": 223_462, "patients": 64_725}},
    expected_parts={"train": 223_414, "val": 234, "test": 668},
)
CHEXPERT = with_test_set(_RELEASED, WIDE_SCHEMA)
