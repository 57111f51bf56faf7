"""NIH ChestX-ray14: 112,120 frontal images of 30,805 patients, findings mined from reports. Parses, nothing more.

Wang et al. 2017, https://arxiv.org/abs/1705.02315. Reads the release of 2017, that of 2020, and Kaggle's sample.
"""

from pathlib import Path

import polars as pl

from cxr_pipeline.datasets.base import Dataset, Metadata
from cxr_pipeline.datasets.files import find_file, index_files, require_file, walk_files
from cxr_pipeline.datasets.strict_csv import read_csv, read_lines, recode, require_match
from cxr_pipeline.errors import SourceFormatError
from cxr_pipeline.pathologies import POSITIVE

_ENTRIES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv", "sample_labels.csv")
_LISTS = {"train_val_list.txt": "train_val", "test_list.txt": "test"}
_COLUMNS = ("Image Index", "Finding Labels", "Patient ID", "Patient Age", "Patient Sex", "View Position")
_OLD_HEADER = {"Patient Gender": "Patient Sex"}
_IMAGE_NAME = r"^\d{8}_\d{3}\.png$"
_YEARS_PER_UNIT = {"": 1.0, "Y": 1.0, "M": 1 / 12, "D": 1 / 365.25}
_OLDEST_YEARS = 120
_RESIZED = "images-224/"


def find_metadata(root: Path) -> Metadata:
    """The entry list, and the official lists where they are."""
    entries = require_file(NIH, [root], [name for entry in _ENTRIES for name in (entry, f"{entry}.gz")])
    lists = {name: find_file([root], [name]) for name in _LISTS}
    return Metadata(
        files={"entries": entries, **{name: path for name, path in lists.items() if path}},
        missing={name: "the official split of its images is unknown" for name, path in lists.items() if not path},
    )


def read_images(root: Path) -> pl.LazyFrame:
    """One row per image, as `Dataset.read_images` says. A study is one image: the release has no study ids."""
    metadata = find_metadata(root)
    path = metadata.files["entries"]
    entries = _read_entries(path)
    image_id = pl.format("nih/{}", pl.col("Image Index").str.strip_suffix(".png"))
    return entries.lazy().select(
        image_id=image_id,
        patient_id=pl.format("nih/{}", pl.col("Patient ID").str.zfill(8)),
        study_id=image_id,
        dataset=pl.lit("nih"),
        view=recode(path, entries, "View Position", {"PA": "PA", "AP": "AP"}),
        path=pl.col("Image Index"),
        age_years=_age_years(pl.col("Patient Age")),
        sex=recode(path, entries, "Patient Sex", {"F": "F", "M": "M"}),
        official_split=_official_split(metadata, entries["Image Index"]),
    )


def read_findings(root: Path) -> pl.LazyFrame:
    """One row per term of an image. The text miner states what it found and never a doubt or a negative."""
    entries = _read_entries(find_metadata(root).files["entries"])
    return (
        entries.lazy()
        .select(
            image_id=pl.format("nih/{}", pl.col("Image Index").str.strip_suffix(".png")),
            finding=pl.col("Finding Labels").str.split("|"),
        )
        .explode("finding")
        .with_columns(pl.col("finding").str.strip_chars(), value=pl.lit(POSITIVE, pl.Int8), reader=pl.lit(""))
    )


def find_pixels(root: Path) -> dict[str, Path]:
    """File name -> path, whatever the folders: `images_001/images/`, `images/`, `images-224/`, flat.

    File names are unique in this release. Where an image is there twice, its 224 px copy is the spare one.
    """
    originals_first = sorted(walk_files(root, ".png"), key=lambda path: _RESIZED in path)
    return index_files(originals_first, lambda path: [path.rpartition("/")[2]])


def _read_entries(path: Path) -> pl.DataFrame:
    """The entry list as published, checked cell by cell.

    Two cells of its header hold commas and are not quoted (`OriginalImage[Width,Height]`), as many as their values;
    the release of 2017 has a twelfth column without name or values. Neither is read.
    """
    entries = read_csv(path, _COLUMNS, aliases=_OLD_HEADER)
    require_match(path, entries, "Image Index", _IMAGE_NAME)
    require_match(path, entries, "Finding Labels", r"^[^|]+(\|[^|]+)*$")
    require_match(path, entries, "Patient ID", r"^\d{1,8}$")
    require_match(path, entries, "Patient Age", r"^(\d+[YMD]?)?$")
    strangers = entries.filter(pl.col("Image Index").str.slice(0, 8) != pl.col("Patient ID").str.zfill(8)).height
    if strangers:
        raise SourceFormatError(
            f"{path}: {strangers} images are named after another patient than their Patient ID. Expected the number "
            "before the underscore to be the patient: has a column been sorted by itself? Get the file again."
        )
    return entries


def _age_years(age: pl.Expr) -> pl.Expr:
    """`57`, `060Y`, `013M`, `004D` in years; null above 120: the release of 2017 has 16 ages of 148 to 414."""
    number = age.str.extract(r"^(\d+)").cast(pl.Float32)
    years = number * age.str.extract(r"([YMD]?)$").replace_strict(_YEARS_PER_UNIT, return_dtype=pl.Float32)
    return pl.when(years <= _OLDEST_YEARS).then(years)


def _official_split(metadata: Metadata, names: pl.Series) -> pl.Series:
    """`train_val`, `test`, or null for an image that no list holds; the order is that of `names`."""
    lists = [
        pl.DataFrame({"name": read_lines(metadata.files[file]), "split": split}, schema_overrides={"name": pl.String})
        for file, split in _LISTS.items()
        if file in metadata.files
    ]
    if not lists:
        return pl.repeat(None, len(names), dtype=pl.String, eager=True)
    listed = pl.concat(lists)
    twice = listed["name"].is_duplicated().sum()
    if twice:
        folder = metadata.files["entries"].parent
        raise SourceFormatError(
            f"{' and '.join(_LISTS)} in {folder} hold {twice} names more than once: expected each image in one list, "
            "once. Get them again."
        )
    return names.to_frame("name").join(listed, on="name", how="left", maintain_order="left")["split"]


NIH = Dataset(
    name="nih",
    title="NIH ChestX-ray14",
    home_page="https://nihcc.app.box.com/v/ChestXray-NIHCC",
    citation="Wang et al. 2017, ChestX-ray8, https://arxiv.org/abs/1705.02315",
    licence="Unrestricted use with citation and credit to the NIH Clinical Center",
    access="open",
    commercial_use=True,
    redistribution=True,
    unstated_is="negative",
    read_images=read_images,
    read_findings=read_findings,
    find_metadata=find_metadata,
    find_pixels=find_pixels,
    expected={"images": 112_120, "patients": 30_805},
)
