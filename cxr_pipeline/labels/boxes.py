"""The boxes that readers drew, with the class that each one's word means. Which words there are is in `mappings/`.

What pixels a box is of is decided in `placement.py`.
"""

from pathlib import Path

import polars as pl

from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.datasets.quality import Verdict
from cxr_pipeline.errors import TableError
from cxr_pipeline.labels.mapping import read_mapping, term
from cxr_pipeline.labels.placement import place_boxes, read_frames, read_sizes
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables.labels import BoxTable

_TOLD = {
    "scaled": "are scaled to the pictures here, which are not of the size that the boxes were drawn in",
    "unknown": "have no place in the pictures here, which are resized or cut, and so none in the table. Give the size "
    "of the originals (columns width and height of that file, or beside it train_meta.csv with image_id,dim0,dim1: "
    "rows and columns), or the originals themselves",
}


def box_table(dataset: Dataset, root: Path) -> pl.DataFrame:
    """The boxes of the source at `root` as a BoxTable, in published order; empty for a source without boxes.

    A box has a class only where its word means the same (rules `direct` and `stated`): a box of `Nodule/Mass` shows
    neither a mass nor a nodule for certain. Edges are pixels of the picture here, null where `place_boxes` knows none.
    Raises TableError for a word that the mapping lacks, and as readers do.
    """
    if dataset.read_boxes is None:
        return BoxTable.create_empty()
    mapping = read_mapping(dataset.name).with_columns(term=term(pl.col("finding")))
    boxes = dataset.read_boxes(root).with_columns(term=term(pl.col("finding"))).collect()
    _check_words(dataset, boxes, mapping)
    meanings = mapping.filter(pl.col("rule").is_in(["direct", "stated"])).select("term", "pathology")
    named = boxes.join(meanings, on="term", how="left", maintain_order="left")
    placed = place_boxes(named, read_frames(dataset, root), read_sizes(dataset, root, named["image_id"]))
    return validate_table(
        placed.select(BoxTable.column_names()).cast({"placement": BoxTable.placement.dtype}), BoxTable
    )


def judge_placement(boxes: pl.DataFrame) -> Verdict:
    """Whether each box of a BoxTable has its place in the picture that is here; how many were scaled to it."""
    counts = {kind: int((boxes["placement"] == kind).sum()) for kind in ("scaled", "unknown")}
    facts = {"boxes": boxes.height, "boxes_scaled": counts["scaled"], "boxes_of_unknown_place": counts["unknown"]}
    return Verdict(not counts["unknown"], facts)


def describe_placement(dataset: Dataset, root: Path, boxes: pl.DataFrame) -> list[str]:
    """A line where boxes of the source were scaled to its pictures, and one where they have no place in them.

    `boxes` is its BoxTable. The lines name the files and the numbers, and no image.
    """
    if boxes.is_empty():
        return []
    files = dataset.find_metadata(root).files
    names = " and ".join(files[role].name for role in dataset.box_files if role in files)
    lines = []
    for placement, what in _TOLD.items():
        mine = boxes.filter(placement=placement)
        count = f"{mine.height:,} of its {boxes.height:,} boxes, of {mine['image_id'].n_unique():,} images"
        lines += [f"{names}: {count}, {what}"] if mine.height else []
    return lines


def _check_words(dataset: Dataset, boxes: pl.DataFrame, mapping: pl.DataFrame) -> None:
    unmapped = boxes.join(mapping, on="term", how="anti")["finding"].unique().sort().to_list()
    if unmapped:
        raise TableError(
            f"{dataset.title}: boxes are named {unmapped}, words that labels/mappings/{dataset.name}.csv lacks. "
            "Expected a row for each: add them with their reason."
        )
