"""VinDr-CXR: 18,000 PA images that radiologists read, three to each training image. Parses, nothing more.

Nguyen et al. 2022, https://arxiv.org/abs/2012.15029. Reads the release of PhysioNet (28 words, training and test set)
and that of Kaggle's VinBigData challenge (15 of these words, the same training images), with their original DICOM
files or resized PNG and JPEG copies.
"""

import re
from pathlib import Path

import polars as pl

from cxr_pipeline.datasets.base import Dataset, Display, Layout, Metadata
from cxr_pipeline.datasets.files.folders import find_file, index_files, require_file, walk_files
from cxr_pipeline.datasets.files.strict_csv import read_csv, recode, require_match
from cxr_pipeline.datasets.vindr.boxes import (
    BOX_FILES,
    IMAGE_ID,
    SIZE_FILES,
    find_sizes,
    read_part_boxes,
    read_stated_sizes,
)
from cxr_pipeline.datasets.vindr.gaps import count_gaps
from cxr_pipeline.datasets.vindr.words import KAGGLE_WORDS, WORDS
from cxr_pipeline.errors import SourceFormatError
from cxr_pipeline.pathologies import NEGATIVE, POSITIVE
from cxr_pipeline.tables.labels import BoxTable

READERS = 3
_OTHER_SPELLINGS = {"Other disease": "Other diseases", "Other disease(s)": "Other diseases"}  # test set, paper
_ANSWERS = {"1": POSITIVE, "0": NEGATIVE, "1.0": POSITIVE, "0.0": NEGATIVE, "": None}
_KAGGLE = "Kaggle VinBigData"
_READER = r"^R\d+$"
_LOST = {
    "image_labels_test.csv": "the official test set is left out",
    "annotations_train.csv": "the boxes of the training set are left out",
    "annotations_test.csv": "the boxes of the test set are left out",
}
_SUFFIXES = (".dicom", ".dcm", ".png", ".jpg", ".jpeg")  # originals before resized copies
_PIXEL_NAME = re.compile(r"[0-9a-f]{32}")


def find_metadata(root: Path) -> Metadata:
    """PhysioNet's label files in `annotations/` or the folder itself; else Kaggle's `train.csv`."""
    folders = [root, root / "annotations", root / "1.0.0" / "annotations"]  # 1.0.0: as wget leaves it
    train = find_file(folders, _plain_or_zipped("image_labels_train.csv"))
    if train is None:
        names = [*_plain_or_zipped("image_labels_train.csv"), *_plain_or_zipped("train.csv")]
        marks = require_file(VINDR, folders, names)
        return Metadata({"marks": marks, **find_sizes(marks.parent, root)})
    others = {name: find_file([train.parent], _plain_or_zipped(name)) for name in _LOST}
    return Metadata(
        files={
            "image_labels_train.csv": train,
            **{name: path for name, path in others.items() if path},
            **find_sizes(train.parent, root),
        },
        missing={name: _LOST[name] for name, path in others.items() if not path},
    )


def read_images(root: Path) -> pl.LazyFrame:
    """One row per image, training set first. No patient is named, so each image is its own patient and study.

    All are PA, as the paper says; age and sex are in the tags of some DICOM files alone, and are not read.
    """
    files = find_metadata(root).files
    train = files.get("marks") or files["image_labels_train.csv"]
    parts = [_image_rows(train, "train")]
    if "image_labels_test.csv" in files:
        parts.append(_image_rows(files["image_labels_test.csv"], "test"))
    return pl.concat(parts).lazy()


def read_findings(root: Path) -> pl.LazyFrame:
    """One row per word that a reader was asked about: 1 or 0; a blank cell states nothing.

    Kaggle's file lists what readers marked. They were asked about its 15 words, so the others are 0, and the words
    that it does not have are not stated at all. The test set is a consensus: one voice, without a name.
    """
    answers = read_answers(root)
    stated = answers.unpivot(index=["image_id", "reader"], variable_name="finding").drop_nulls("value")
    return stated.select("image_id", "finding", "value", "reader").lazy()


def read_answers(root: Path) -> pl.DataFrame:
    """One row per image and reader: `image_id reader`, and one Int8 column per word; null where nothing is said."""
    files = find_metadata(root).files
    if "marks" in files:
        return _read_marks(files["marks"])
    parts = [_read_sheet(files[name]) for name in ("image_labels_train.csv", "image_labels_test.csv") if name in files]
    return pl.concat(parts)


def read_boxes(root: Path) -> pl.LazyFrame:
    """One row per box, in pixels of the DICOM file; rows without one (`No finding`) are left out. Test boxes are a
    consensus."""
    files = find_metadata(root).files
    parts = [read_part_boxes(files[role]) for role in BOX_FILES if role in files]
    return pl.concat([BoxTable.create_empty().drop("pathology", "placement"), *parts]).lazy()


def read_frames(root: Path) -> pl.LazyFrame:
    """The size of the DICOM file, of each image of which a file of a mirror states it."""
    files = find_metadata(root).files
    lists, sizes = ([files[role] for role in roles if role in files] for roles in (BOX_FILES, SIZE_FILES))
    return read_stated_sizes(lists, sizes).lazy()


def find_pixels(root: Path) -> dict[str, Path]:
    """`<32 hex digits>.dicom` -> path, in any folder, also of a `.png` or `.jpg` copy: ids are unique across parts."""
    images = [path for path in walk_files(root, "") if Path(path).suffix.lower() in _SUFFIXES]
    return index_files(sorted(images, key=lambda path: _SUFFIXES.index(Path(path).suffix.lower())), _keys)


def find_box_gaps(root: Path) -> list[str]:
    """Where labels, boxes and sizes do not name the same images."""
    return count_gaps(find_metadata(root).files)


def describe_layout(root: Path) -> Layout:
    """PhysioNet's or Kaggle's, by the label file that is there."""
    files = find_metadata(root).files
    if "marks" in files:
        return Layout(_KAGGLE, f"{files['marks'].name} lists one mark per row, and there is no image_labels_train.csv")
    labels = files["image_labels_train.csv"].relative_to(root).as_posix()
    return Layout("PhysioNet 1.0.0", f"{labels} has one row per image and reader")


def _keys(path: str) -> list[str]:
    name = Path(path).stem.lower()
    return [f"{name}.dicom"] if _PIXEL_NAME.fullmatch(name) else []


def _plain_or_zipped(name: str) -> list[str]:
    return [name, f"{name}.gz"]


def _image_rows(path: Path, part: str) -> pl.DataFrame:
    names = read_csv(path, ["image_id"]).unique("image_id", maintain_order=True)
    require_match(path, names, "image_id", IMAGE_ID)
    image_id = pl.format("vindr/{}", "image_id")
    return names.select(
        image_id=image_id,
        patient_id=image_id,
        study_id=image_id,
        dataset=pl.lit("vindr"),
        view=pl.lit("PA"),
        path=pl.format("{}.dicom", "image_id"),
        age_years=pl.lit(None, pl.Float32),
        sex=pl.lit(None, pl.String),
        official_split=pl.lit(part),
    )


def _read_sheet(path: Path) -> pl.DataFrame:
    """One PhysioNet label file: a row per image and reader (train) or per image (test), a column per word."""
    is_test = "test" in path.name.lower()
    named = () if is_test else ("rad_id",)
    rows = read_csv(path, ("image_id", *named, *WORDS), aliases=_OTHER_SPELLINGS)
    _check_readers(path, rows, readers=1 if is_test else READERS)
    answers = [recode(path, rows, word, _ANSWERS).cast(pl.Int8) for word in WORDS]
    return rows.select(_image_id(), _reader(rows)).with_columns(answers)


def _read_marks(path: Path) -> pl.DataFrame:
    """Kaggle's list of marks, turned into one row per image and reader. A reader marks something in every image."""
    marks = read_csv(path, ("image_id", "rad_id", "class_name"))
    numbers = {word: number for number, word in enumerate(KAGGLE_WORDS)}  # compared faster than words
    is_marked = {word: (pl.col("word") == number).any().cast(pl.Int8) for word, number in numbers.items()}
    sheet = (
        marks.lazy()
        .with_columns(word=recode(path, marks, "class_name", numbers))
        .group_by("image_id", "rad_id", maintain_order=True)
        .agg(**is_marked)
        .collect()
    )
    _check_readers(path, sheet, readers=READERS)
    return sheet.select(_image_id(), _reader(sheet), *KAGGLE_WORDS)


def _check_readers(path: Path, rows: pl.DataFrame, *, readers: int) -> None:
    """Each image has a row of each of its readers: a vote over fewer would not be the published one."""
    counts = rows.group_by("image_id").len()
    require_match(path, counts, "image_id", IMAGE_ID)
    repeated = 0
    if "rad_id" in rows.columns:
        require_match(path, rows.select(pl.col("rad_id").unique()), "rad_id", _READER)
        repeated = rows.select(pl.struct("image_id", "rad_id").is_duplicated().sum()).item()
    odd = counts.filter(pl.col("len") != readers).height
    if odd or repeated:
        raise SourceFormatError(
            f"{path}: {odd} images do not have {readers} rows, and {repeated} rows repeat a reader of their image. "
            f"Expected {readers} rows for each image, of different readers. The file is cut or edited: get it again."
        )


def _image_id() -> pl.Expr:
    return pl.format("vindr/{}", "image_id").alias("image_id")


def _reader(rows: pl.DataFrame) -> pl.Expr:
    return (pl.col("rad_id") if "rad_id" in rows.columns else pl.lit("")).alias("reader")


VINDR = Dataset(
    name="vindr",
    title="VinDr-CXR",
    home_page="https://physionet.org/content/vindr-cxr/1.0.0/",
    citation="Nguyen et al. 2022, VinDr-CXR, https://arxiv.org/abs/2012.15029",
    licence="PhysioNet Credentialed Health Data License 1.5.0",
    access="credentialed",
    commercial_use=False,
    redistribution=False,
    thumbnails=Display(False, "PhysioNet Credentialed Health Data License 1.5.0: for credentialed users only"),
    unstated_is="unknown",  # readers answer every word that they are asked: silence is no answer
    read_images=read_images,
    read_findings=read_findings,
    find_metadata=find_metadata,
    find_pixels=find_pixels,
    describe_layout=describe_layout,
    find_box_gaps=find_box_gaps,
    suffixes=_SUFFIXES,
    read_boxes=read_boxes,
    read_frames=read_frames,
    box_files=BOX_FILES,
    readers=READERS,
    expected={"images": 18_000},
    expected_editions={_KAGGLE: {"images": 15_000, "boxes": 36_096}},  # its test set has no labels
    expected_parts={"train": 15_000, "test": 3_000},
)
