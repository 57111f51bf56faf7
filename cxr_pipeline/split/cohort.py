"""The merged cohort: every usable frontal image of every source, one row each, with its split."""

from collections.abc import Mapping

import polars as pl

from cxr_pipeline.errors import TableError
from cxr_pipeline.pathologies import PATHOLOGIES, POSITIVE
from cxr_pipeline.split.assignment import assign_splits
from cxr_pipeline.split.config import SplitConfig
from cxr_pipeline.tables import CohortTable


def build_cohort(
    labels: Mapping[str, pl.DataFrame], indexes: Mapping[str, pl.DataFrame], config: SplitConfig
) -> pl.DataFrame:
    """The `CohortTable` of all sources: label rows whose image is in the source's store.

    `labels` and `indexes` map a source's name to its `LabelTable` and `StoreIndex`. Left out are quarantined images,
    images without pixels, and images of which no class is known: nothing can be learnt from them, nor measured.
    Raises TableError when nothing is left.
    """
    usable = [_usable_images(labels[name], indexes[name]) for name in labels]
    if not sum(map(len, usable)):
        raise TableError(
            "No image can be used: every source is empty, without labels or pixel files, or wholly in quarantine. "
            "`cxr sources` shows what was found where."
        )
    # The door for duplicates: patients who share an image will share the smallest of their keys.
    merged = pl.concat(usable).with_columns(group=pl.col("patient_id"))
    return assign_splits(merged, config).select(CohortTable.column_names()).sort("image_id")


def summarize_cohort(cohort: pl.DataFrame) -> pl.DataFrame:
    """Images, patients and positives of each class per source and split, for a person to read."""
    sizes = [pl.len().alias("images"), pl.col("patient_id").n_unique().alias("patients")]
    positives = [(pl.col(p) == POSITIVE).sum().alias(p) for p in PATHOLOGIES]
    return cohort.group_by("dataset", "split").agg(sizes + positives).sort("dataset", "split")


def _usable_images(labels: pl.DataFrame, index: pl.DataFrame) -> pl.DataFrame:
    stored = index.filter(pl.col("quarantine").is_null()).select("image_id", "shard", "row")
    is_labelled = pl.any_horizontal(pl.col(PATHOLOGIES).is_not_null())
    return labels.filter(is_labelled).join(stored, on="image_id", how="inner", maintain_order="left")
