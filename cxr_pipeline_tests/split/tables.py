"""Small label tables and store indexes for the tests of the split."""

from collections.abc import Sequence

import polars as pl

from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables import LabelTable, StoreIndex


def label_rows(dataset: str, patients: Sequence[str], official: Sequence[str | None]) -> pl.DataFrame:
    """One image per entry, all classes negative by absence."""
    ids = [f"{dataset}/{patient}_{i:03}" for i, patient in enumerate(patients)]
    frame = pl.DataFrame(
        {
            "image_id": ids,
            "patient_id": [f"{dataset}/{patient}" for patient in patients],
            "study_id": ids,
            "dataset": dataset,
            "view": "PA",
            "age_years": 50.0,
            "sex": "F",
            "official_split": list(official),
            "is_phantom": True,
            **dict.fromkeys(PATHOLOGIES, 0),
            "evidence": [dict.fromkeys(PATHOLOGIES, "absence") for _ in ids],
            "reader_share": [None for _ in ids],
        },
        schema_overrides={"official_split": pl.String},
    )
    return validate_table(frame, LabelTable)


def index_rows(labels: pl.DataFrame, *, quarantined: Sequence[str] = ()) -> pl.DataFrame:
    """A store index over the images of `labels`, of which `quarantined` could not be read."""
    is_bad = pl.col("image_id").is_in(list(quarantined))
    frame = (
        labels.select("image_id")
        .with_row_index("row")
        .with_columns(
            shard=pl.lit("shard-00000.arrow"),
            source_path=pl.col("image_id") + ".png",
            source_bytes=1,
            source_digest=pl.lit("0"),
            source_height=64,
            source_width=64,
            source_mode=pl.lit("L8"),
            dhash=pl.lit(b"\0" * 32),
            mean=100.0,
            spread=20.0,
            quarantine=pl.when(is_bad).then(pl.lit("truncated")),
        )
    )
    emptied = [pl.when(~is_bad).then(pl.col(c)).alias(c) for c in ("shard", "row", "dhash", "mean", "spread")]
    return validate_table(frame.with_columns(emptied), StoreIndex)
