"""Whether the shards of a store are those that its index speaks of. How they are read is in `shards`."""

from pathlib import Path

import polars as pl
import pyarrow as pa

from cxr_pipeline.errors import StoreError
from cxr_pipeline.images.store.shards import INDEX, open_shard
from cxr_pipeline.storage.lake import read_table
from cxr_pipeline.tables.images import StoreIndex


def check_shards(folder: Path) -> None:
    """Compares the image ids in the shards with those of the index; no pixel is read.

    Raises StoreError where a shard is missing or unreadable, or holds other images in the rows that the index names.
    """
    index = read_table(folder / INDEX, StoreIndex).drop_nulls("shard")
    for (name,), rows in index.group_by("shard"):
        path = folder / str(name)
        open_shard(path)
        expected = rows.select(pl.col("row").cast(pl.Int64), "image_id")
        other = expected.join(_read_ids(path), on=["row", "image_id"], how="anti").height
        if other:
            raise StoreError(
                f"The shard {path} holds other images than {INDEX} says in {other} of {rows.height} rows: one of them "
                f"is from another store. Delete the shard and prepare images/{folder.name} again (`cxr images "
                f"{folder.name}`); only its images are decoded anew."
            )


def _read_ids(path: Path) -> pl.DataFrame:
    """Columns `row` and `image_id` of a readable shard."""
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
        ids = pl.Series("image_id", reader.get_batch(0).column("image_id").to_pylist(), pl.String)
    return pl.DataFrame({"row": pl.int_range(len(ids), eager=True, dtype=pl.Int64), "image_id": ids})
