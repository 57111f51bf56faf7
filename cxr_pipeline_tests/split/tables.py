"""Small label tables and store indexes for the tests of the split."""

from collections.abc import Sequence

import polars as pl

from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.split.cohort import SplitCohort, build_cohort
from cxr_pipeline.split.config import SplitConfig
from cxr_pipeline.split.history import Memory
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables.images import StoreIndex
from cxr_pipeline.tables.labels import LabelTable


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
            "labelled_by": None,
            **dict.fromkeys(PATHOLOGIES, 0),
            "evidence": [dict.fromkeys(PATHOLOGIES, "absence") for _ in ids],
            "reader_share": [None for _ in ids],
        },
        schema_overrides={"official_split": pl.String},
    )
    return validate_table(frame, LabelTable)


def pair_rows(*pairs: tuple[str, str]) -> pl.DataFrame:
    """Pairs of images that show the same picture, as far as the split reads them."""
    ordered = [sorted(pair) for pair in pairs]
    return pl.DataFrame(ordered, schema={"image_a": pl.String, "image_b": pl.String}, orient="row")


def split_labels(
    *labels: pl.DataFrame,
    config: SplitConfig | None = None,
    pairs: Sequence[tuple[str, str]] = (),
    memory: Memory | None = None,
    indexes: Sequence[pl.DataFrame] = (),
) -> SplitCohort:
    """The cohort of label tables, of which every image is stored unless `indexes` say otherwise."""
    names = [table["dataset"][0] for table in labels]
    stored = indexes or [index_rows(table) for table in labels]
    return build_cohort(
        dict(zip(names, labels, strict=True)),
        dict(zip(names, stored, strict=True)),
        config or SplitConfig(),
        pairs=pair_rows(*pairs),
        memory=memory or Memory.empty(),
    )


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
            bit_depth=8,
            photometric=pl.lit("MONOCHROME2"),
            transform=pl.lit(None),
            dhash=pl.lit(b"\0" * 32),
            mean=100.0,
            spread=20.0,
            quarantine=pl.when(is_bad).then(pl.lit("truncated")),
        )
    )
    emptied = [pl.when(~is_bad).then(pl.col(c)).alias(c) for c in ("shard", "row", "dhash", "mean", "spread")]
    return validate_table(frame.with_columns(emptied), StoreIndex)
