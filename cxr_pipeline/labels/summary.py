"""Counts of a label table for a person to read. How cells come about does not live here."""

import polars as pl

from cxr_pipeline.pathologies import NEGATIVE, PATHOLOGIES, POSITIVE, UNCERTAIN


def count_labels(table: pl.DataFrame) -> pl.DataFrame:
    """One row per class, also of an empty table: `pathology, positive, negative, uncertain, unknown`, in images."""
    cells = [table[name] for name in PATHOLOGIES]
    return pl.DataFrame(
        {
            "pathology": PATHOLOGIES,
            "positive": [(cell == POSITIVE).sum() for cell in cells],
            "negative": [(cell == NEGATIVE).sum() for cell in cells],
            "uncertain": [(cell == UNCERTAIN).sum() for cell in cells],
            "unknown": [cell.null_count() for cell in cells],
        }
    )
