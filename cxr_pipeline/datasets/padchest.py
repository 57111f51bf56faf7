"""PadChest: 160,861 images of 67,625 patients of one Spanish hospital, 193 findings read from reports. Parses only.

Bustos et al. 2020, https://arxiv.org/abs/1901.07441. A quarter of the reports was read by physicians, the rest by a
network that learned from them; `reader` says which. The reports are published as the stems of their words.
"""

from pathlib import Path

import polars as pl

from cxr_pipeline.datasets.base import Dataset, Display, Layout, Metadata
from cxr_pipeline.datasets.files.folders import as_published, index_files, require_file, walk_pictures
from cxr_pipeline.datasets.files.strict_csv import Codes, decode, number_words, read_csv, require_match
from cxr_pipeline.pathologies import POSITIVE
from cxr_pipeline.tables.raw import LABELLERS, SEXES, VIEWS

_TABLE = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
_COLUMNS = (
    "ImageID",
    "StudyID",
    "PatientID",
    "StudyDate_DICOM",
    "PatientBirth",
    "PatientSex_DICOM",
    "Projection",
    "MethodLabel",
    "Labels",
)
_FOLDERS = {
    "[0-9]*/": "numbered folders",
    "images/[0-9]*/": "numbered folders below images",
    "*.png": "flat",
}
_MISSING = ("", "nan", "None")  # three spellings, which differ from column to column
# AP_horizontal is a lying patient seen from the front, COSTAL a view of the ribs; EXCLUDE and UNK name no view.
_VIEWS = {
    "PA": "PA",
    "AP": "AP",
    "AP_horizontal": "AP",
    "L": "LATERAL",
    "COSTAL": "UNKNOWN",
    "EXCLUDE": "UNKNOWN",
    "UNK": "UNKNOWN",
}
_SEXES = {"F": "F", "M": "M", "O": None, **dict.fromkeys(_MISSING)}
_READERS = {"Physician": "Physician", "RNN_model": "RNN_model"}
_TYPES = {"Projection": pl.Enum(VIEWS), "PatientSex_DICOM": pl.Enum(SEXES), "MethodLabel": pl.Enum([*_READERS])}
_LABELLER = pl.Enum(LABELLERS)
_WORD = r"""(?:'[^'\\]*'|"[^"\\]*")"""  # as Python writes a string: in double quotes when it holds an apostrophe
_LIST = rf"^(?:\[(?:{_WORD}(?:,\s*{_WORD})*)?\]|nan|None|)$"
_IMAGES, _UNLABELLED = 160_861, 880  # 103 cells without a list, 777 lists without a word
_POOR_QUALITY = "suboptimal study"
_ALONE = f"({_POOR_QUALITY} alone)"
_OLDEST_YEARS = 120


def find_metadata(root: Path) -> Metadata:
    """The one table, plain or gzipped."""
    return Metadata({"labels": require_file(PADCHEST, [root], [_TABLE, f"{_TABLE}.gz"])})


def read_images(root: Path) -> pl.LazyFrame:
    """One row per image, as `Dataset.read_images` says. There is no official split."""
    path = find_metadata(root).files["labels"]
    rows = _read_table(path)
    require_match(path, rows, "ImageID", r"^[^/\s]+\.png$")
    require_match(path, rows, "PatientID", r"^\d+$")  # 35 to 39 digits: no integer type holds them
    begins_name = pl.col("ImageID").str.starts_with(pl.col("StudyID")) & (pl.col("StudyID") != "")
    if not rows.select(begins_name.all()).item():  # in the release it does, and has been matched as part of the name
        require_match(path, rows, "StudyID", r"^[^/\s]+$")
    require_match(path, rows, "StudyDate_DICOM", r"^\d{8}$")
    require_match(path, rows, "PatientBirth", r"^(\d{4}(\.0)?|nan|None|)$")
    born = decode(rows["PatientBirth"], _year)  # null where none is written
    return rows.lazy().select(
        image_id=_image_id(),
        patient_id=pl.format("padchest/{}", "PatientID"),
        study_id=pl.format("padchest/{}", "StudyID"),
        dataset=pl.lit("padchest"),
        view="Projection",
        path=pl.col("ImageID"),
        age_years=_age_years(rows, born),
        sex="PatientSex_DICOM",
        official_split=pl.lit(None, pl.String),
        birth_year=born,
        labelled_by=pl.when(pl.col("MethodLabel") == "Physician")
        .then(pl.lit("physician", _LABELLER))
        .otherwise(pl.lit("program", _LABELLER)),
    )


def read_findings(root: Path) -> pl.LazyFrame:
    """One row per term of an image, and what the file says of the image itself.

    `(no labels)`: the cell is missing, or holds no word. `(suboptimal study alone)`: nothing was said but that.
    A term is there or is not mentioned: nothing is denied or doubted.
    """
    path = find_metadata(root).files["labels"]
    rows = _read_table(path)
    require_match(path, rows, "Labels", _LIST)
    stated = rows.select(image_id=_image_id(), finding=decode(rows["Labels"], _parse_cells), reader="MethodLabel")
    return (
        stated.lazy().explode("finding").select("image_id", "finding", value=pl.lit(POSITIVE, pl.Int8), reader="reader")
    )


def read_reports(root: Path) -> pl.LazyFrame:
    """The report of every study, in one section: stems of Spanish words, ` . ` between sentences, no commas."""
    path = find_metadata(root).files["labels"]
    rows = read_csv(path, ["StudyID", "Report"]).lazy().unique("StudyID", maintain_order=True)
    written = rows.filter(~pl.col("Report").is_in(_MISSING))
    return written.select(study_id=pl.format("padchest/{}", "StudyID"), section=pl.lit("informe"), text="Report")


def find_gaps(root: Path) -> list[str]:
    """Images whose cell of labels holds no word: nothing is known of them. The release has 880, which is no gap."""
    path = find_metadata(root).files["labels"]
    rows = _read_table(path)
    silent = int((~decode(rows["Labels"], _has_word)).sum())
    line = f"{path}: {silent:,} of {rows.height:,} images have no labels ({_UNLABELLED} in the release)"
    return [line] if silent and (rows.height, silent) != (_IMAGES, _UNLABELLED) else []


def find_pixels(root: Path) -> dict[str, Path]:
    """File name -> path, whatever the folders: `0/` to `54/`, `images/0/`, flat. File names are unique here."""
    return index_files(walk_pictures(root, ".png"), lambda path: [as_published(path.rpartition("/")[2], ".png")])


def describe_layout(root: Path) -> Layout:
    """How the images lie; any other way of laying them is read as well."""
    table = find_metadata(root).files["labels"].name
    pattern = next((pattern for pattern in _FOLDERS if any(root.glob(pattern))), None)
    name = _FOLDERS[pattern] if pattern else "unknown folders, or none"
    found = f"{pattern} is" if pattern else f"none of {', '.join(_FOLDERS)} is"
    return Layout(name, f"{table} is in {root}; {found} there")


def _read_table(path: Path) -> pl.DataFrame:
    """The columns that are used. Reports span several lines within quotes: 166,738 lines are 160,861 records."""
    codes: dict[str, Codes] = {"Projection": _VIEWS, "PatientSex_DICOM": _SEXES, "MethodLabel": _READERS}
    return read_csv(path, _COLUMNS, codes=codes, types=_TYPES, repeating=("StudyDate_DICOM", "PatientBirth", "Labels"))


def _image_id() -> pl.Expr:
    return pl.format("padchest/{}", "ImageID").str.head(-len(".png"))


def _parse_cells(labels: pl.Series) -> pl.Series:
    """The words of each cell, and what the file says of the image, in a list.

    A cell such as `['pneumonia', ' nodule', '']` is taken apart without evaluating it. Words lose their quotes and the
    blanks around them.
    """
    word = pl.element().str.slice(1).str.head(-1).str.strip_chars()
    words = labels.str.extract_all(_WORD).list.eval(word.filter(word != "")).list.unique(maintain_order=True)
    is_alone = (words.list.len() == 1) & (words.list.first() == _POOR_QUALITY)
    alone, silent = pl.lit([_POOR_QUALITY, _ALONE]), pl.lit(["(no labels)"])
    noted = pl.when(words.list.len() == 0).then(silent).when(is_alone).then(alone).otherwise(words)
    return number_words(pl.select(noted).to_series())


def _has_word(labels: pl.Series) -> pl.Series:
    return labels.str.extract_all(_WORD).list.eval(pl.element().str.contains(r"[^\s'\"]")).list.any()


def _age_years(rows: pl.DataFrame, born: pl.Series) -> pl.Expr:
    """Years of study and birth differ by 0 to 105 in this release; null beyond 0 to 120, or without a birth year."""
    age = pl.lit((decode(rows["StudyDate_DICOM"], _year) - born).cast(pl.Float32))
    return pl.when(age.is_between(0, _OLDEST_YEARS)).then(age)


def _year(cells: pl.Series) -> pl.Series:
    """`1929.0` and `19290131` as 1929."""
    return cells.replace(dict.fromkeys(_MISSING)).str.slice(0, 4).cast(pl.Int16)


PADCHEST = Dataset(
    name="padchest",
    title="PadChest",
    home_page="https://bimcv.cipf.es/bimcv-projects/padchest/",
    citation="Bustos et al. 2020, PadChest, https://arxiv.org/abs/1901.07441",
    licence="PadChest Dataset Research Use Agreement",
    access="registration",
    commercial_use=False,
    redistribution=False,
    thumbnails=Display(False, "PadChest Dataset Research Use Agreement: for those who signed it"),
    unstated_is="negative",
    read_images=read_images,
    read_findings=read_findings,
    read_reports=read_reports,
    find_metadata=find_metadata,
    find_pixels=find_pixels,
    describe_layout=describe_layout,
    find_gaps=find_gaps,
    known_gap=f"{_UNLABELLED} of the {_IMAGES:,} published images have no labels",
    suffixes=(".png",),
    expected={"images": _IMAGES, "patients": 67_625},
)
