"""CheXpert Plus: the images of CheXpert as PNG and DICOM, with reports and a table of its own. Parses, nothing more.

Chambon et al. 2024, https://arxiv.org/abs/2405.19538. Its labels are JSON Lines, apart in `chexbert_labels.zip`: a file
for each part of the report that was read. Never seen here: the form is that which public readers of the files expect.
"""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from cxr_pipeline.datasets.base import mark_silent
from cxr_pipeline.datasets.chexpert.codes import (
    AGE_CODES,
    FINDINGS,
    FRONTAL_CODES,
    PROJECTION_CODES,
    SEX,
    SEX_CODES,
    SPLITS,
    VIEW,
    official_split_of,
    view_of,
)
from cxr_pipeline.datasets.chexpert.paths import read_ids
from cxr_pipeline.datasets.files.folders import find_file
from cxr_pipeline.datasets.files.strict_csv import Codes, read_csv, require_match
from cxr_pipeline.datasets.files.strict_text import read_text
from cxr_pipeline.errors import SourceFormatError

TABLE = "df_chexpert_plus_240401.csv"
LABELLED_BY = "chexbert"  # as the publisher names the archive
# The impression is what CheXpert's own labels were read from; the whole report also tells of earlier images.
# `findings_fixed.json` is not read: most reports have no such section, and it says No Finding of them.
_LABELS = ("impression_fixed.json", "report_fixed.json")
_LABEL_FOLDERS = ("chexbert_labels", "labels", "label")
_COLUMNS = ("path_to_image", "frontal_lateral", "ap_pa", "deid_patient_id", "age", "sex")
_CODES: dict[str, Codes] = {
    "frontal_lateral": FRONTAL_CODES,
    "ap_pa": PROJECTION_CODES,
    "age": AGE_CODES,
    "sex": {**SEX_CODES, "": None},
}
_TYPES = {"sex": SEX, "ap_pa": VIEW}
_LINE = pl.Schema({"path_to_image": pl.String, **dict.fromkeys(FINDINGS, pl.Float64)})
_VALUES = (1.0, 0.0, -1.0)


def find_plus(folders: Sequence[Path]) -> dict[str, Path]:
    """`plus` and `plus labels`, where the table is in one of `folders`; else nothing.

    Raises SourceFormatError where the labels, which come in an archive of their own, are not beside the table.
    """
    table = find_file(folders, [TABLE, f"{TABLE}.gz"])
    if table is None:
        return {}
    homes = [home / name for home in dict.fromkeys((table.parent, *folders)) for name in (".", *_LABEL_FOLDERS)]
    found = (find_file(homes, [name, f"{name}.gz"]) for name in _LABELS)
    labels = next((path for path in found if path), None)
    if labels is None:
        raise SourceFormatError(
            f"CheXpert Plus: {table} has no labels. Expected {' or '.join(_LABELS)} beside it or in "
            f"{_LABEL_FOLDERS[0]}/: unpack chexbert_labels.zip of the release there. Or put the train.csv of CheXpert "
            "beside it, whose paths are the same."
        )
    return {"plus": table, "plus labels": labels}


def read_plus(table: Path, labels: Path) -> pl.DataFrame:
    """One row per image and one Int8 column per finding, as `Dataset.read_wide` says."""
    rows = read_csv(table, _COLUMNS, codes=_CODES, types=_TYPES)
    require_match(table, rows, "deid_patient_id", r"^patient[0-9]+$")
    keys = as_keys(rows["path_to_image"])
    ids = read_ids(table, keys, parts="|".join(SPLITS))
    said = keys.to_frame("path").join(_read_labels(labels), on="path", how="left", maintain_order="left")
    stated = rows.select(
        view=view_of("ap_pa", "frontal_lateral"),
        age_years=pl.col("age").cast(pl.Float32),
        sex="sex",
        official_split=official_split_of(keys),
    )
    wide = pl.concat([ids, stated, said.select(*FINDINGS, mark_silent(FINDINGS))], how="horizontal")
    named = wide.with_columns(deid=pl.format("chexpert/{}", rows["deid_patient_id"]), labelled_by=pl.lit(LABELLED_BY))
    # Two patients of the paths whom this table knows to be one are one; a patient of the paths is never cut in two.
    return named.with_columns(patient_id=pl.col("deid").min().over("patient_id")).drop("deid")


def count_plus_gaps(table: Path, labels: Path) -> list[str]:
    """A line where images have no line of labels, and one where lines are of no image, with their numbers."""
    keys = as_keys(read_csv(table, ["path_to_image"])["path_to_image"]).to_frame("path")
    said = _read_labels(labels)
    silent, strangers = keys.join(said, on="path", how="anti").height, said.join(keys, on="path", how="anti").height
    lines = [f"{labels}: {silent:,} of the {keys.height:,} images of {table.name} have no line and no labels"]
    more = [f"{labels}: {strangers:,} of its {said.height:,} lines are of no image of {table.name}"]
    return (lines if silent else []) + (more if strangers else [])


def as_keys(paths: pl.Series) -> pl.Series:
    """`PNG/train/patient00001/study1/view1_frontal.png` as the release spells it: from the part on, `.jpg`."""
    inner = paths.str.replace(r"^.*?((?:train|valid)/patient)", "$1")
    return inner.str.replace(r"\.(png|jpe?g)$", ".jpg")


def _read_labels(path: Path) -> pl.DataFrame:
    """`path`, and one Int8 column per finding, of each line."""
    text = read_text(path).to_pybytes()
    _require_keys(path, text.partition(b"\n")[0])
    try:
        lines = pl.read_ndjson(io.BytesIO(text), schema=_LINE)
    except PolarsError:
        raise _unreadable(path) from None  # the cause may quote a line
    known = pl.all_horizontal(pl.col(word).is_in(_VALUES) | pl.col(word).is_null() for word in FINDINGS)
    odd = lines.filter(~known | pl.col("path_to_image").is_null()).height
    keys = as_keys(lines["path_to_image"])
    if odd or keys.is_duplicated().any():
        raise SourceFormatError(
            f"{path}: {odd:,} of {lines.height:,} lines hold another value than 1, 0, -1 or null or name no image, and "
            f"{int(keys.is_duplicated().sum()):,} name an image again. Expected one line for each image. Get it again."
        )
    return lines.select(keys.alias("path"), pl.col(FINDINGS).cast(pl.Int8))


def _require_keys(path: Path, line: bytes) -> None:
    try:
        first = json.loads(line)
    except ValueError:
        raise _unreadable(path) from None
    missing = [name for name in _LINE if not isinstance(first, dict) or name not in first]
    if missing:
        raise SourceFormatError(
            f"{path}: its first line lacks {missing}. Expected lines of JSON with path_to_image and fourteen findings, "
            f"as in {_LABELS[0]} of CheXpert Plus. Get the file again."
        )


def _unreadable(path: Path) -> SourceFormatError:
    return SourceFormatError(
        f"{path} cannot be read as lines of JSON, one object for each image: is it cut? Get the file again."
    )
