"""What MIMIC-CXR-JPG's label files say: text labeler, experts on 687 test studies, CXR-LT. Parses, nothing more.

Where these files lie is known to `source.py`. NegBio's labels, a second opinion on the same reports, are read
in place of the text labeler's where those are not there.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from cxr_pipeline.datasets.base import mark_silent
from cxr_pipeline.datasets.files.strict_csv import read_csv, require_match
from cxr_pipeline.errors import SourceFormatError
from cxr_pipeline.pathologies import NEGATIVE, POSITIVE, UNCERTAIN

FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Enlarged Cardiomediastinum",
    "Fracture",
    "Lung Lesion",
    "Lung Opacity",
    "No Finding",
    "Pleural Effusion",
    "Pleural Other",
    "Pneumonia",
    "Pneumothorax",
    "Support Devices",
)
STUDIES, UNLABELLED = 227_835, 8  # of the release, and those of them that the labeler's file lacks
# The seven of CXR-LT's 26 (2023) or 40 (2024) that speak of a class for which the text labeler has no column. The
# others are not read, so that no word of CXR-LT can override one of the release.
CXR_LT_FINDINGS = ("Emphysema", "Fibrosis", "Hernia", "Infiltration", "Mass", "Nodule", "Pleural Thickening")

_STATED = {"": None, "1.0": POSITIVE, "0.0": NEGATIVE, "-1.0": UNCERTAIN, "1": POSITIVE, "0": NEGATIVE, "-1": UNCERTAIN}
_MENTIONED = {"1": POSITIVE, "0": NEGATIVE, "1.0": POSITIVE, "0.0": NEGATIVE}
_EXPERT_HEADER = {"Airspace Opacity": "Lung Opacity"}  # the experts' file alone calls it so


def label_studies(study_ids: pl.Series, labeler: Path, experts: Path | None, *, reader: str = "") -> pl.DataFrame:
    """`reader` and one Int8 column for each of FINDINGS and NO_LABELS, in the order of `study_ids`, which may repeat.

    The experts' word (reader `expert`) replaces that of the text labeler (`reader`) for the whole study. NO_LABELS is 1
    where a study has no row (8 studies) or a row without a filled cell (2,414), else null.
    """
    read = _read_studies(labeler, reader=reader)
    if experts:
        corrected = _read_studies(experts, reader="expert")
        read = pl.concat([read.join(corrected, on="study_id", how="anti"), corrected])
    labels = _align(study_ids, read)
    return labels.with_columns(pl.col("reader").fill_null(""), mark_silent(FINDINGS))


def name_labeller(experts: Path | None) -> dict[str, pl.Expr]:
    """`labelled_by` of rows with a `study_id` where the labels are NegBio's: the experts of their studies, else it."""
    corrected = read_csv(experts, ["study_id"])["study_id"].to_list() if experts else []
    is_corrected = pl.col("study_id").is_in(corrected)
    return {"labelled_by": pl.when(is_corrected).then(pl.lit("physician")).otherwise(pl.lit("negbio"))}


def label_images(dicom_ids: pl.Series, parts: Sequence[Path]) -> pl.DataFrame:
    """One Int8 column for each of CXR_LT_FINDINGS, in the order of `dicom_ids`; null for images that no part names."""
    if not parts:
        nothing = pl.repeat(None, len(dicom_ids), dtype=pl.Int8, eager=True)
        return pl.DataFrame(dict.fromkeys(CXR_LT_FINDINGS, nothing))
    codes = dict.fromkeys(CXR_LT_FINDINGS, _MENTIONED)
    rows = pl.concat([read_csv(path, ("dicom_id", *CXR_LT_FINDINGS), codes=codes) for path in parts])
    if rows["dicom_id"].is_duplicated().any():
        raise SourceFormatError(
            f"{parts[0].parent} has images with more than one row: expected one each. Get it again."
        )
    return _align(dicom_ids, rows)


def count_gaps(study_ids: pl.Series, labeler: Path, experts: Path | None) -> list[str]:
    """One line where studies have no row in `labeler`, and one for each file with rows of no study.

    That 8 of all studies of the release have none is no gap.
    """
    studies, lines = study_ids.unique().to_frame("study_id"), []
    for path in filter(None, (labeler, experts)):
        rows = _read_studies(path, reader="")
        unlabelled = studies.join(rows, on="study_id", how="anti").height
        if path == labeler and unlabelled and (studies.height, unlabelled) != (STUDIES, UNLABELLED):
            lines.append(
                f"{path}: {unlabelled:,} of {studies.height:,} studies have no row and no labels ({UNLABELLED} in the "
                "release)"
            )
        strangers = rows.join(studies, on="study_id", how="anti").height
        if strangers:
            lines.append(f"{path}: {strangers:,} of its {rows.height:,} rows are of no study of the metadata")
    return lines


def count_untested(parts: pl.DataFrame, experts: Path) -> list[str]:
    """One line where `experts`, who read the test set, have rows of others; `parts`: `study_id official_split`."""
    others = parts.filter(pl.col("official_split") != "test").select(pl.col("study_id").unique())
    read = read_csv(experts, ["study_id"])
    strange = read.join(others, on="study_id", how="semi").height
    line = f"{experts}: {strange:,} of its {read.height:,} rows are of studies outside the official test set"
    return [f"{line}: is it the experts' file of the release?"] if strange else []


def count_strange_images(dicom_ids: pl.Series, parts: Sequence[Path]) -> list[str]:
    """One line for each of CXR-LT's files with rows of no image of the metadata."""
    lines = []
    for path in parts:
        named = read_csv(path, ["dicom_id"])
        strangers = named.join(dicom_ids.to_frame("dicom_id"), on="dicom_id", how="anti").height
        if strangers:
            lines.append(f"{path}: {strangers:,} of its {named.height:,} rows are of no image of the metadata")
    return lines


def _read_studies(path: Path, *, reader: str) -> pl.DataFrame:
    """`study_id`, one Int8 column per finding, `reader`. Columns go by name: their order differs from CheXpert's."""
    rows = read_csv(path, ("study_id", *FINDINGS), aliases=_EXPERT_HEADER, codes=dict.fromkeys(FINDINGS, _STATED))
    require_match(path, rows, "study_id", r"^\d{8}$")
    if rows["study_id"].is_duplicated().any():
        raise SourceFormatError(f"{path} has studies with more than one row: expected one each. Get the file again.")
    return rows.with_columns(reader=pl.lit(reader))


def _align(keys: pl.Series, rows: pl.DataFrame) -> pl.DataFrame:
    """The row of each key, nulls where there is none; without the key itself."""
    return keys.to_frame().join(rows, on=keys.name, how="left", maintain_order="left").drop(keys.name)
