"""NIH ChestX-ray14: 112,120 frontal images of 30,805 patients, findings mined from reports. Parses, nothing more.

Wang et al. 2017, https://arxiv.org/abs/1705.02315. Reads the release of 2017, that of 2020, and Kaggle's sample.
"""

from pathlib import Path

import polars as pl

from cxr_pipeline.datasets.base import Dataset, Display, Layout, Metadata
from cxr_pipeline.datasets.files.folders import as_published, find_file, index_files, require_file, walk_pictures
from cxr_pipeline.datasets.files.strict_csv import decode, number_words, read_csv, require_match
from cxr_pipeline.datasets.files.strict_text import read_lines
from cxr_pipeline.datasets.nih.lists import TEST, TRAIN_VAL, count_strangers, find_lists, read_official_split
from cxr_pipeline.errors import SourceFormatError
from cxr_pipeline.pathologies import POSITIVE
from cxr_pipeline.tables.labels import BoxTable

_ENTRIES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv", "sample_labels.csv")
_SAMPLE = "Kaggle's sample"
_EDITIONS = dict(zip(_ENTRIES, ("release of 2020", "release of 2017", _SAMPLE), strict=True))
_FOLDERS = {
    "images_*/images": "twelve folders",
    "images": "one folder",
    "images-224": "resized to 224 px",
    "*.png": "flat",
}
_COLUMNS = ("Image Index", "Finding Labels", "Patient ID", "Patient Age", "Patient Sex", "View Position")
_BOXES = "BBox_List_2017.csv"
_BOX_NAMES = (_BOXES, f"{_BOXES}.gz", "BBox_List_2017_Official_NIH.csv")  # the last is of Kaggle's mirrors
# Six cells a row under nine of the header, which no CSV reader takes; none is quoted.
_BOX_HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,"
_BOX_COLUMNS = ("name", "finding", "x", "y", "width", "height")
_OLD_HEADER = {"Patient Gender": "Patient Sex"}
_IMAGE_NAME = r"^[0-9]{8}_[0-9]{3}\.png$"
_YEARS_PER_UNIT = {"": 1.0, "Y": 1.0, "M": 1 / 12, "D": 1 / 365.25}
_OLDEST_YEARS = 120
_RESIZED = "images-224/"
_SIDE = 1024  # of the published pictures, in pixels; those of mirrors are smaller


def find_metadata(root: Path) -> Metadata:
    """The entry list, and the official lists and the boxes where they are."""
    entries = require_file(NIH, [root], [name for entry in _ENTRIES for name in (entry, f"{entry}.gz")])
    lists = find_lists(root)
    others = lists | {_BOXES: find_file([root], _BOX_NAMES)}
    losses = dict.fromkeys(lists, "the official split of its images is unknown") | {_BOXES: "there are no boxes"}
    return Metadata(
        files={"entries": entries, **{name: path for name, path in others.items() if path}},
        missing={name: losses[name] for name, path in others.items() if not path},
    )


def read_images(root: Path) -> pl.LazyFrame:
    """One row per image, as `Dataset.read_images` says. A study is one image: the release has no study ids."""
    metadata = find_metadata(root)
    path = metadata.files["entries"]
    entries = _read_entries(path)
    _require_people(path, entries)
    return entries.lazy().select(
        image_id=_image_id(),
        patient_id=_image_id().str.head(len("nih/00000001")),  # that of the column, as was checked
        study_id=_image_id(),
        dataset=pl.lit("nih"),
        view="View Position",
        path=pl.col("Image Index"),
        age_years=decode(entries["Patient Age"], _age_years),
        sex="Patient Sex",
        official_split=read_official_split(_lists(metadata), entries["Image Index"]),
    )


def read_findings(root: Path) -> pl.LazyFrame:
    """One row per term of an image. The text miner states what it found and never a doubt or a negative."""
    entries = _read_entries(find_metadata(root).files["entries"])
    return (
        entries.lazy()
        .select(
            image_id=_image_id(),
            finding=decode(entries["Finding Labels"], _split_words),
        )
        .explode("finding")
        .with_columns(value=pl.lit(POSITIVE, pl.Int8), reader=pl.lit(""))
    )


def read_boxes(root: Path) -> pl.LazyFrame:
    """One row per box, in the frame of the published 1024 x 1024 image; the word `Infiltrate` is of this file alone.

    Without the file there are no rows.
    """
    path = find_metadata(root).files.get(_BOXES)
    if path is None:
        return BoxTable.create_empty().drop("pathology", "placement").lazy()
    boxes = _read_box_rows(path)
    require_match(path, boxes, "name", _IMAGE_NAME)
    for edge in _BOX_COLUMNS[2:]:
        require_match(path, boxes, edge, r"^\d+(\.\d+)?$")
    return boxes.lazy().select(
        pl.format("nih/{}", pl.col("name").str.strip_suffix(".png")).alias("image_id"),
        pl.col("finding").str.strip_chars(),
        pl.lit("").alias("reader"),
        pl.col(_BOX_COLUMNS[2:]).cast(pl.Float32),
    )


def read_frames(root: Path) -> pl.LazyFrame:
    """The published 1024 x 1024 picture, for each image with a box; mirrors are smaller."""
    side = pl.lit(_SIDE, pl.Float64)
    return read_boxes(root).select("image_id", frame_width=side, frame_height=side).unique(maintain_order=True)


def find_pixels(root: Path) -> dict[str, Path]:
    """File name -> path, whatever the folders: `images_001/images/`, `images/`, `images-224/`, flat.

    File names are unique in this release. Where an image is there twice, its 224 px copy is the spare one.
    """
    originals_first = sorted(walk_pictures(root, ".png"), key=lambda path: _RESIZED in path)
    return index_files(originals_first, lambda path: [as_published(path.rpartition("/")[2], ".png")])


def find_gaps(root: Path) -> list[str]:
    """Names of the official lists that the entry list does not have."""
    metadata = find_metadata(root)
    return count_strangers(_lists(metadata), _read_entries(metadata.files["entries"])["Image Index"])


def find_box_gaps(root: Path) -> list[str]:
    """Names of the boxes that the entry list does not have."""
    files = find_metadata(root).files
    if _BOXES not in files:
        return []
    boxes, names = _read_box_rows(files[_BOXES]), _read_entries(files["entries"])["Image Index"]
    absent = boxes.join(names.to_frame("name"), on="name", how="anti").height
    line = f"{files[_BOXES]}: {absent:,} of its {boxes.height:,} boxes are of no image of the entry list"
    return [line] if absent else []


def describe_layout(root: Path) -> Layout:
    """The edition, told by its entry list, and how the images lie; any other way of laying them is read as well."""
    entries = find_metadata(root).files["entries"].name
    pattern = next((pattern for pattern in _FOLDERS if any(root.glob(pattern))), None)
    found = f"{pattern} is there" if pattern else "no image folder is there"
    edition = next(title for name, title in _EDITIONS.items() if entries.lower().startswith(name.lower()))
    name = f"{edition}, {_FOLDERS[pattern] if pattern else 'without images'}"
    return Layout(name, f"{entries} is in {root}; {found}")


def _read_entries(path: Path) -> pl.DataFrame:
    """The columns that are read of the entry list.

    Two cells of its header hold commas and are not quoted (`OriginalImage[Width,Height]`), as many as their values;
    the release of 2017 has a twelfth column without name or values. Neither is read.
    """
    codes = {"View Position": {"PA": "PA", "AP": "AP"}, "Patient Sex": {"F": "F", "M": "M"}}
    entries = read_csv(path, _COLUMNS, aliases=_OLD_HEADER, codes=codes, repeating=("Finding Labels", "Patient Age"))
    require_match(path, entries, "Image Index", _IMAGE_NAME)
    require_match(path, entries, "Finding Labels", r"^[^|]+(\|[^|]+)*$")
    return entries


def _require_people(path: Path, entries: pl.DataFrame) -> None:
    """Raises SourceFormatError where the columns about patients are not as published."""
    require_match(path, entries, "Patient ID", r"^[0-9]{1,8}$")
    require_match(path, entries, "Patient Age", r"^(\d+[YMD]?)?$")
    patient = pl.col("Image Index").str.head(8).cast(pl.Int32)
    strangers = entries.select((patient != pl.col("Patient ID").cast(pl.Int32)).sum()).item()
    if strangers:
        raise SourceFormatError(
            f"{path}: {strangers} images are named after another patient than their Patient ID. Expected the number "
            "before the underscore to be the patient: has a column been sorted by itself? Get the file again."
        )


def _image_id() -> pl.Expr:
    return pl.format("nih/{}", pl.col("Image Index")).str.head(-len(".png"))


def _split_words(labels: pl.Series) -> pl.Series:
    return number_words(labels.str.split("|").list.eval(pl.element().str.strip_chars()))


def _read_box_rows(path: Path) -> pl.DataFrame:
    header, *lines = read_lines(path)
    cells = pl.Series("cells", lines, dtype=pl.String).str.split(",")
    ragged = int((cells.list.len() != len(_BOX_COLUMNS)).sum())
    if header != _BOX_HEADER or ragged or not lines:
        raise SourceFormatError(
            f"{path}: the header is {header[:80]!r} and {ragged} of {len(lines)} rows do not have "
            f"{len(_BOX_COLUMNS)} cells. Expected the header {_BOX_HEADER!r} and rows of six. Get the file again."
        )
    return cells.to_frame().select(pl.col("cells").list.to_struct(fields=_BOX_COLUMNS)).unnest("cells")


def _age_years(ages: pl.Series) -> pl.Series:
    """`57`, `060Y`, `013M`, `004D` in years; null above 120: the release of 2017 has 16 ages of 148 to 414."""
    number = ages.str.extract(r"^(\d+)").cast(pl.Float32)
    years = number * ages.str.extract(r"([YMD]?)$").replace_strict(_YEARS_PER_UNIT, return_dtype=pl.Float32)
    return years.set(years > _OLDEST_YEARS, None)


def _lists(metadata: Metadata) -> dict[str, Path]:
    return {name: metadata.files[name] for name in (TRAIN_VAL, TEST) if name in metadata.files}


NIH = Dataset(
    name="nih",
    title="NIH ChestX-ray14",
    home_page="https://nihcc.app.box.com/v/ChestXray-NIHCC",
    citation="Wang et al. 2017, ChestX-ray8, https://arxiv.org/abs/1705.02315",
    licence="Unrestricted use with citation and credit to the NIH Clinical Center",
    access="open",
    commercial_use=True,
    redistribution=True,
    thumbnails=Display(True, "Unrestricted use with citation and credit to the NIH Clinical Center"),
    unstated_is="negative",
    read_images=read_images,
    read_findings=read_findings,
    find_metadata=find_metadata,
    find_pixels=find_pixels,
    read_boxes=read_boxes,
    read_frames=read_frames,
    box_files=(_BOXES,),
    describe_layout=describe_layout,
    find_gaps=find_gaps,
    find_box_gaps=find_box_gaps,
    suffixes=(".png",),
    expected={"images": 112_120, "patients": 30_805, "boxes": 984},
    expected_editions={_SAMPLE: {"images": 5_606}},
    expected_parts={"train_val": 86_524, "test": 25_596},
)
