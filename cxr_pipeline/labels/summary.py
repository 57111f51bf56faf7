"""Counts of a label table for a person to read. How cells come about does not live here."""

import polars as pl

from cxr_pipeline.pathologies import NEGATIVE, PATHOLOGIES, POSITIVE, UNCERTAIN


def count_labels(table: pl.DataFrame) -> pl.DataFrame:
    """One row per class: `pathology, positive, negative, uncertain, unknown`, in images."""
    cells = table.select(PATHOLOGIES).unpivot(variable_name="pathology", value_name="cell")
    value = pl.col("cell")
    return cells.group_by("pathology", maintain_order=True).agg(
        positive=(value == POSITIVE).sum(),
        negative=(value == NEGATIVE).sum(),
        uncertain=(value == UNCERTAIN).sum(),
        unknown=value.is_null().sum(),
    )
