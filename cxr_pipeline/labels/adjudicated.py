"""Labels of 4,376 NIH images that radiologists agreed on: an evaluation table of its own, never merged into `labels`.

Majkowska et al. 2020, https://doi.org/10.1148/radiol.2019191293. Its four findings are not four of the fourteen
classes: compare `Nodule_or_mass` with the larger of the probabilities of Mass and Nodule, `Airspace_opacity` with the
largest of those of Consolidation, Infiltration, Pneumonia, Edema and Atelectasis.
"""

from pathlib import Path

import polars as pl

from cxr_pipeline.datasets.files.strict_csv import read_csv, recode, require_match
from cxr_pipeline.pathologies import NEGATIVE, POSITIVE
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables.labels import AdjudicatedTable

ADJUDICATED_FILE = "google2019_nih-chest-xray-labels.csv"  # as torchxrayvision ships it, plain or .gz

_FINDINGS = {
    "Pneumothorax": "Pneumothorax",
    "Nodule or mass": "Nodule_or_mass",
    "Airspace opacity": "Airspace_opacity",
    "Fracture": "Fracture",
}
_ANSWERS = {"YES": POSITIVE, "NO": NEGATIVE}
_SETS = {"val": "val", "test": "test"}


def adjudicated_table(path: Path) -> pl.DataFrame:
    """The published CSV at `path`, plain or gzipped, as an AdjudicatedTable in published order.

    The set `val` lies within the official train_val list of NIH, `test` within the official test list. Raises
    SourceFormatError when the file is not as published, TableError when an image is there twice.
    """
    codes = dict.fromkeys(_FINDINGS, _ANSWERS)
    rows = read_csv(path, ["Image Index", "Set Id", *_FINDINGS], codes=codes)
    require_match(path, rows, "Image Index", r"^\d{8}_\d{3}\.png$")
    named = rows.select(
        pl.format("nih/{}", pl.col("Image Index").str.strip_suffix(".png")).alias("image_id"),
        recode(path, rows, "Set Id", _SETS).alias("set_id"),
        *(pl.col(word).alias(name) for word, name in _FINDINGS.items()),
    )
    return validate_table(named, AdjudicatedTable)
