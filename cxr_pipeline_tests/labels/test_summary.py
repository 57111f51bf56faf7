"""Counts of a label table add up to its images, class by class."""

import polars as pl

from cxr_pipeline.labels.summary import count_labels
from cxr_pipeline.pathologies import PATHOLOGIES


def test_every_cell_is_counted_once_in_the_order_of_the_classes():
    cells = {name: pl.Series([1, 0, 0, -1, None, None], dtype=pl.Int8) for name in PATHOLOGIES}
    cells["Hernia"] = pl.Series([None] * 6, dtype=pl.Int8)
    counts = count_labels(pl.DataFrame(cells))
    assert counts["pathology"].to_list() == list(PATHOLOGIES)
    assert counts.row(by_predicate=pl.col("pathology") == "Mass")[1:] == (1, 2, 1, 2)
    assert counts.row(by_predicate=pl.col("pathology") == "Hernia")[1:] == (0, 0, 0, 6)
