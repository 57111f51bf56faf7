"""The boxes that readers drew, with the class that each one's word means. Which words there are is in `mappings/`."""

from pathlib import Path

import polars as pl

from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.errors import TableError
from cxr_pipeline.labels.mapping import read_mapping, term
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables.labels import BoxTable


def box_table(dataset: Dataset, root: Path) -> pl.DataFrame:
    """The boxes of the source at `root` as a BoxTable, in published order; empty for a source without boxes.

    A box has a class only where its word means the same (rules `direct` and `stated`): a box of `Nodule/Mass` shows
    neither a mass nor a nodule for certain. Raises TableError for a word that the mapping lacks, and as readers do.
    """
    if dataset.read_boxes is None:
        return BoxTable.create_empty()
    mapping = read_mapping(dataset.name).with_columns(term=term(pl.col("finding")))
    boxes = dataset.read_boxes(root).with_columns(term=term(pl.col("finding"))).collect()
    _check_words(dataset, boxes, mapping)
    meanings = mapping.filter(pl.col("rule").is_in(["direct", "stated"])).select("term", "pathology")
    named = boxes.join(meanings, on="term", how="left", maintain_order="left")
    return validate_table(named.select(BoxTable.column_names()), BoxTable)


def _check_words(dataset: Dataset, boxes: pl.DataFrame, mapping: pl.DataFrame) -> None:
    unmapped = boxes.join(mapping, on="term", how="anti")["finding"].unique().sort().to_list()
    if unmapped:
        raise TableError(
            f"{dataset.title}: boxes are named {unmapped}, words that labels/mappings/{dataset.name}.csv lacks. "
            "Expected a row for each: add them with their reason."
        )
