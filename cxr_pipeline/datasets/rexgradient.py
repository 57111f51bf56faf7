"""ReXGradient-160K: 273,004 images of 109,487 patients of 79 US sites, reports without labels. Parses, nothing more.

Zhang et al. 2025, https://arxiv.org/abs/2505.00228. Reads the three JSON files with per-image lists. The files are
gated; their form is known from three independent readers. So what identifies an image must be as they say, but a new
word for sex, age, view, body part or modality is unknown and no error.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from cxr_pipeline.datasets.base import Dataset, Display, Layout, Metadata
from cxr_pipeline.datasets.files.archives import Archive
from cxr_pipeline.datasets.files.folders import as_published, find_file, index_files, require_file, walk_pictures
from cxr_pipeline.datasets.files.strict_csv import require_match
from cxr_pipeline.errors import SourceFormatError

Fields = Mapping[str, Sequence[Any]]  # name of a field -> its values, study by study

_PARTS = {"train": "train", "valid": "val", "test": "test"}
_FOLDERS = ("metadata", ".")
_SECTIONS = ("Indication", "Comparison", "Findings", "Impression")
_STUDY_FIELDS = ("PatientID", "StudyInstanceUid", "PatientSex", "PatientAge")
_IMAGE_LISTS = ("ImagePath", "ImageViewPosition", "ImageBodyPart", "ImageModality")
_ID = r"^[^/\s]+$"
_MISSING = ("", "none", "nan", "n/a", "null")  # as written in text cells, in lower case
_VIEWS = {
    "PA": "PA",
    "POSTERO_ANTERIOR": "PA",
    "AP": "AP",
    "ANTERO_POSTERIOR": "AP",
    "LATERAL": "LATERAL",
    "LAT": "LATERAL",
    "LL": "LATERAL",
    "RL": "LATERAL",
}
"""Oblique views (LAO, RAO, LPO, RPO) and all other words are UNKNOWN: neither frontal nor lateral."""

_CHEST = r"(?i)CHEST|THORAX"
_RADIOGRAPHY = ("CR", "DX", "DR")
_YEARS_PER_UNIT = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
_OLDEST_YEARS = 120
_ARCHIVE = "deid_png"  # ten parts of about 15 GB


def find_metadata(root: Path) -> Metadata:
    """The JSON file of each part that is there; at least one must be."""
    folders = [root / folder for folder in _FOLDERS]
    found = {part: find_file(folders, [_file_name(part)]) for part in _PARTS}
    files = {part: path for part, path in found.items() if path}
    if not files:
        require_file(REXGRADIENT, [root], [f"metadata/{_file_name(part)}" for part in _PARTS])
    missing = {_file_name(part): "its studies are left out" for part, path in found.items() if path is None}
    if Archive(root, _ARCHIVE).is_pending:
        missing[_ARCHIVE] = (
            f"its pictures are still packed in {_ARCHIVE}.part*: materialize raw/rexgradient, or run "
            "`cxr sources unpack rexgradient`"
        )
    return Metadata(files, missing)


def read_images(root: Path) -> pl.LazyFrame:
    """One row per image, training set first, as `Dataset.read_images` says.

    The projection counts only where body part and modality do not say otherwise: an AP abdomen is no frontal chest.
    """
    return pl.concat([_read_part_images(part, path) for part, path in find_metadata(root).files.items()]).lazy()


def read_reports(root: Path) -> pl.LazyFrame:
    """The sections that are not missing, of every study; `findings` and `impression` are what was seen."""
    parts = [_read_texts(path) for path in find_metadata(root).files.values()]
    sections = pl.concat(parts).lazy().unpivot(index="study_id", variable_name="section", value_name="text")
    return sections.drop_nulls("text")


def find_pixels(root: Path) -> dict[str, Path]:
    """`<SopInstanceUid>.png` -> path, whatever the folders: UIDs are unique in the world."""
    return index_files(walk_pictures(root, ".png"), lambda path: [as_published(path.rpartition("/")[2], ".png")])


def describe_layout(root: Path) -> Layout:
    """Which of the three parts are there, and how the pictures are: packed, unpacked, or both."""
    files, archive = find_metadata(root).files, Archive(root, _ARCHIVE)
    folder, packed = next(iter(files.values())).parent, archive.find_parts()
    has_folder = "the folder" if archive.folder.is_dir() else "no folder"
    return Layout(
        f"JSON of {', '.join(files)}; {_describe_pictures(archive, parts=len(packed))}",
        f"{_file_name('*')} is in {folder}; {root} has {len(packed)} {_ARCHIVE}.part* and {has_folder} {_ARCHIVE}",
    )


def _describe_pictures(archive: Archive, *, parts: int) -> str:
    if archive.is_pending:
        return f"pictures packed in {parts} parts{', unpacked to some point' if archive.folder.is_dir() else ''}"
    if archive.folder.is_dir():
        return f"pictures unpacked{f', their {parts} parts still there' if parts else ''}"
    return "pictures in other folders, or none"


def _file_name(part: str) -> str:
    return f"{part}_metadata_view_position.json"


def _read_part_images(part: str, path: Path) -> pl.DataFrame:
    rows = _list_images(_read_fields(path, (*_STUDY_FIELDS, *_IMAGE_LISTS)))
    require_match(path, rows, "PatientID", _ID)
    require_match(path, rows, "StudyInstanceUid", _ID)
    require_match(path, rows, "ImagePath", r"(^|/)[^/]+\.png$")
    file_name = pl.col("ImagePath").str.extract(r"([^/]+)$")
    return rows.select(
        image_id=pl.format("rexgradient/{}", file_name.str.strip_suffix(".png")),
        patient_id=pl.format("rexgradient/{}", "PatientID"),
        study_id=_study_id(),
        dataset=pl.lit("rexgradient"),
        view=pl.when(_is_chest_radiograph()).then(_view()).otherwise(pl.lit("UNKNOWN")),
        path=file_name,
        age_years=_age_years(pl.col("PatientAge")),
        sex=pl.col("PatientSex").replace_strict({"F": "F", "M": "M"}, default=None, return_dtype=pl.String),
        official_split=pl.lit(_PARTS[part]),
    )


def _read_texts(path: Path) -> pl.DataFrame:
    """`study_id` and one column per section, null where nothing is written."""
    rows = pl.DataFrame(_text_columns(_read_fields(path, ("StudyInstanceUid", *_SECTIONS))))
    require_match(path, rows, "StudyInstanceUid", _ID)
    texts = (pl.when(~_is_missing(pl.col(name))).then(pl.col(name).str.strip_chars()) for name in _SECTIONS)
    return rows.select(_study_id(), *(text.alias(name.lower()) for text, name in zip(texts, _SECTIONS, strict=True)))


def _read_fields(path: Path, names: Sequence[str]) -> Fields:
    """The values of the named fields of every study, in published order; None where a study lacks one.

    A record is cut down to these while the JSON is decoded: most of it is text, and a part holds 140,000.
    """
    kept: list[tuple[Any, ...]] = []

    def cut_down(record: dict[str, Any]) -> dict[str, Any] | None:
        if "StudyInstanceUid" not in record:
            return record
        # Tuples: the garbage collector looks at lists again and again, which takes a third of the time.
        kept.append(tuple([tuple(v) if isinstance(v, list) else v for v in map(record.get, names)]))
        return None

    try:
        studies = json.loads(path.read_bytes(), object_hook=cut_down)
    except (ValueError, RecursionError) as error:
        # `from None`: the cause holds the whole file, reports and all.
        place = f" ({error})" if isinstance(error, json.JSONDecodeError) else ""
        raise SourceFormatError(
            f"{path} is not JSON{place}: is the download complete? If it is a Git LFS pointer, run `git lfs pull`."
        ) from None
    if not kept or not isinstance(studies, dict) or len(studies) != len(kept):
        held = f"{len(studies)} entries" if isinstance(studies, dict) else "no object"
        raise SourceFormatError(
            f"{path} holds {held} and {len(kept)} study records: expected one object, study id -> record with a "
            "StudyInstanceUid, each id once. Get the file again."
        )
    return dict(zip(names, zip(*kept, strict=True), strict=True))


def _list_images(fields: Fields) -> pl.DataFrame:
    """One row per entry of `ImagePath`. The lists beside it may be shorter, or missing altogether."""
    # A path list that is none becomes one row without a path, which is refused with a count.
    counts = [len(paths) if isinstance(paths, tuple) else 1 for paths in fields["ImagePath"]]
    studies = pl.DataFrame(_text_columns({name: fields[name] for name in _STUDY_FIELDS}))
    lists = {name: [*chain.from_iterable(map(_fit, fields[name], counts))] for name in _IMAGE_LISTS}
    return studies[np.repeat(np.arange(len(counts)), counts)].with_columns(**_text_columns(lists))


def _fit(values: Any, count: int) -> Sequence[Any]:
    if not isinstance(values, tuple):
        return [None] * count
    return values if len(values) == count else [*values, *[None] * count][:count]


def _text_columns(fields: Fields) -> dict[str, pl.Series]:
    """Every cell as String; what is no text (a number, NaN) as it prints, which later checks see."""
    return {name: pl.Series(name, values, dtype=pl.String, strict=False) for name, values in fields.items()}


def _study_id() -> pl.Expr:
    return pl.format("rexgradient/{}", "StudyInstanceUid").alias("study_id")


def _view() -> pl.Expr:
    return pl.col("ImageViewPosition").replace_strict(_VIEWS, default="UNKNOWN")


def _is_chest_radiograph() -> pl.Expr:
    """Unless body part or modality say otherwise; both are missing now and then."""
    body, modality = pl.col("ImageBodyPart").fill_null(""), pl.col("ImageModality").fill_null("")
    return (_is_missing(body) | body.str.contains(_CHEST)) & (_is_missing(modality) | modality.is_in(_RADIOGRAPHY))


def _is_missing(text: pl.Expr) -> pl.Expr:
    return text.str.strip_chars().str.to_lowercase().is_in(_MISSING)


def _age_years(age: pl.Expr) -> pl.Expr:
    """`064Y`, `007Y`, `018M`, `002D` in years; null for other words and above 120."""
    number = age.str.extract(r"^(\d+)[YMWD]$").cast(pl.Float32)
    unit = age.str.extract(r"^\d+([YMWD])$").replace_strict(_YEARS_PER_UNIT, default=None, return_dtype=pl.Float32)
    return pl.when(number * unit <= _OLDEST_YEARS).then(number * unit)


REXGRADIENT = Dataset(
    name="rexgradient",
    title="ReXGradient-160K",
    home_page="https://huggingface.co/datasets/rajpurkarlab/ReXGradient-160K",
    citation="Zhang et al. 2025, ReXGradient-160K, https://arxiv.org/abs/2505.00228",
    licence="ReXGradient-160K non-commercial data use agreement",
    access="registration",
    commercial_use=False,
    redistribution=False,
    thumbnails=Display(False, "ReXGradient-160K data use agreement: no display of a compilation"),
    unstated_is="unknown",
    read_images=read_images,
    read_findings=None,
    find_metadata=find_metadata,
    find_pixels=find_pixels,
    describe_layout=describe_layout,
    suffixes=(".png",),
    read_reports=read_reports,
    archive=_ARCHIVE,
    expected={"images": 273_004, "patients": 109_487},
    expected_parts={"train": 238_968, "val": 17_007, "test": 17_029},
)
