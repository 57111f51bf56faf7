"""The columns and words that the files of CheXpert share: of the release, and of CheXpert Plus. Parses nothing."""

import polars as pl

from cxr_pipeline.datasets.base import NO_LABELS
from cxr_pipeline.datasets.files.strict_csv import Codes
from cxr_pipeline.pathologies import NEGATIVE, POSITIVE, UNCERTAIN
from cxr_pipeline.tables.raw import OFFICIAL_SPLITS, SEXES, VIEWS

FINDINGS = (
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
SPLITS = {"train": "train", "valid": "val"}
SEX = pl.Enum(SEXES)
VIEW = pl.Enum(VIEWS)
SPLIT = pl.Enum(OFFICIAL_SPLITS)
SEX_CODES: Codes = {"Female": "F", "Male": "M", "Unknown": None}
FRONTAL_CODES: Codes = {"Frontal": 1, "Lateral": 0}
# LL and RL are the left and right lateral projection (DICOM View Position); 17 images, all in rows that also say
# `Frontal`. As the row contradicts itself, the image must not pass for a frontal one.
PROJECTION_CODES: Codes = {"AP": "AP", "PA": "PA", "LL": "LATERAL", "RL": "LATERAL", "": "UNKNOWN"}
# 0 stands for "unknown": three training rows have it, and the next age is 18. 90 is a cap.
# An editor that knows one blank age writes the others as `68.0`.
AGE_CODES: Codes = {"": None, "0": None, "0.0": None} | {
    f"{age}{ending}": age for age in range(1, 121) for ending in ("", ".0")
}
VALUE_CODES: Codes = {
    "1.0": POSITIVE, "0.0": NEGATIVE, "-1.0": UNCERTAIN, "1": POSITIVE, "0": NEGATIVE, "-1": UNCERTAIN, "": None
}  # fmt: skip
WIDE_SCHEMA = pl.Schema(  # of the rows that `Dataset.read_wide` describes
    [
        *((name, pl.String()) for name in ("image_id", "patient_id", "study_id", "dataset", "path")),
        ("view", VIEW),
        ("age_years", pl.Float32()),
        ("sex", SEX),
        ("official_split", SPLIT),
        *((name, pl.Int8()) for name in (*FINDINGS, NO_LABELS)),
    ]
)


def view_of(projection: str, is_frontal: str) -> pl.Expr:
    """The view that two coded columns tell together."""
    return pl.when(pl.col(is_frontal) == 1).then(projection).otherwise(pl.lit("LATERAL", VIEW))


def official_split_of(keys: pl.Series) -> pl.Expr:
    """The part that begins each of `keys`, `train/...` or `valid/...`."""
    return pl.when(keys.str.starts_with("train/")).then(pl.lit("train", SPLIT)).otherwise(pl.lit("val", SPLIT))
