"""A lake with label tables and store indexes of small made-up sources, for what reads and writes whole lakes."""

from pathlib import Path

import polars as pl

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.pipeline.images import index_path
from cxr_pipeline.pipeline.origins import SOURCES, digests_of
from cxr_pipeline.storage.lake import Lake, write_table
from cxr_pipeline.storage.origins import write_origin
from cxr_pipeline.tables.images import StoreIndex
from cxr_pipeline.tables.labels import LabelTable
from cxr_pipeline.tables.split import DuplicateTable
from cxr_pipeline_tests.split.tables import index_rows


def write_lake(root: Path, *labels: pl.DataFrame) -> Lake:
    """Of these sources every image is stored; the others are not used."""
    lake = Lake(root)
    given = {table["dataset"][0]: table for table in labels}
    for name in DATASETS:
        table = given.get(name, LabelTable.create_empty())
        write_table(lake.table("labels", name), table, LabelTable)
        index = index_rows(table) if name in given else StoreIndex.create_empty()
        write_table(index_path(lake, name), index, StoreIndex)
    return lake


def write_pairs(lake: Lake, *pairs: tuple[str, str]) -> None:
    """`split/duplicates` with these pairs."""
    ordered = [sorted(pair) for pair in pairs]
    rows = pl.DataFrame(ordered, schema={"image_a": pl.String, "image_b": pl.String}, orient="row")
    filled = rows.with_columns(
        distance=0, kind=pl.lit("exact"), pixel_difference=0.0, same_patient=False, labels_disagree=0
    )
    missing = [name for name in DuplicateTable.column_names() if name not in filled.columns]
    nulls = filled.with_columns(pl.lit(None).alias(name) for name in missing)
    path = lake.table("split", "duplicates")
    write_table(path, nulls, DuplicateTable)
    write_origin(path, digests_of(lake, SOURCES))
