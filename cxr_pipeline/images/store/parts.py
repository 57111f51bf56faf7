"""Shards and, beside each, its part of the index: written, found again, packed anew, removed. Nothing is decoded here.

A part is written after its shard, so its existence says that both are whole.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from cxr_pipeline.images.decode.pixels import PIXEL_RULES
from cxr_pipeline.images.store.codecs import encode
from cxr_pipeline.images.store.shards import StoreForm, open_shard, read_rows, write_shard
from cxr_pipeline.storage.lake import read_table, write_table
from cxr_pipeline.tables.images import StoreIndex

PARTS = "parts"
MAX_SHARD_BYTES = 256 * 2**20  # of raw pixels
MAX_SHARD_ROWS = 2048


def shard_rows(form: StoreForm) -> int:
    """How many files a full shard covers."""
    return max(1, min(MAX_SHARD_ROWS, MAX_SHARD_BYTES // form.size**2))


def read_parts(folder: Path, form: StoreForm) -> pl.DataFrame:
    """Rows of StoreIndex from the finished parts of this size and PIXEL_RULES, with `part` and its `part_rows`.

    Rows whose shard is lost are left out, so that its images are decoded again.
    """
    frames = [_read_part(path) for path in sorted((folder / PARTS).glob(f"{_rules(form)}-*.parquet"))]
    empty = StoreIndex.create_empty().with_columns(
        part=pl.lit(None, pl.String), part_rows=pl.lit(None, pl.get_index_type())
    )
    shards = [path.name for path in folder.glob("*.arrow")]
    return pl.concat([empty, *frames]).filter(pl.col("shard").is_null() | pl.col("shard").is_in(shards))


def write_part(folder: Path, rows: pl.DataFrame, frames: Sequence[bytes], form: StoreForm) -> pl.DataFrame:
    """Writes one shard, then its part of the index; the part's rows of StoreIndex, with `part`.

    `rows` lacks only `shard` and `row`; `frames` are those of its rows that are not in quarantine.
    """
    name = f"{_rules(form)}-{_content_digest(rows)}"
    shard = f"{name}.{form.codec}.arrow"
    is_usable = pl.col("quarantine").is_null()
    rows = rows.with_columns(
        shard=pl.when(is_usable).then(pl.lit(shard)), row=pl.when(is_usable).then(is_usable.cum_sum() - 1)
    )
    if frames:
        image_ids = rows.filter(is_usable)["image_id"].to_list()
        write_shard(folder / shard, image_ids, frames, form, pixel_rules=PIXEL_RULES)
    return write_table(folder / PARTS / f"{name}.parquet", rows, StoreIndex).with_columns(part=pl.lit(name))


def has_codec(form: StoreForm) -> pl.Expr:
    """Rows whose pixels, if they have any, are spelled as `form` asks."""
    return pl.col("shard").is_null() | pl.col("shard").str.ends_with(f".{form.codec}.arrow")


def needs_repacking(form: StoreForm) -> pl.Expr:
    """Rows of parts of which less than half is still wanted, or whose shard has another codec."""
    is_sparse = 2 * pl.len().over("part") < pl.col("part_rows")
    return is_sparse | ~has_codec(form).all().over("part")


def repack(folder: Path, moved: pl.DataFrame, form: StoreForm) -> Iterator[pl.DataFrame]:
    """Writes `moved` rows of the folder's parts into new ones, pixel by pixel the same; the old ones stay.

    Raises StoreError when the pixels of an old shard are damaged.
    """
    for rows in moved.sort("image_id").iter_slices(shard_rows(form)):
        frames = [encode(image, form.codec) for image in _read_pixels(folder, rows.drop_nulls("shard"))]
        yield write_part(folder, rows.drop("shard", "row", "part", "part_rows"), frames, form)


def remove_unused(folder: Path, whole: pl.DataFrame) -> None:
    """Removes the parts and then the shards that no row of `whole` needs, those of other rules among them."""
    parts, shards = set(whole["part"]), set(whole["shard"])
    for path in (folder / PARTS).glob("*.parquet"):
        if path.stem not in parts:
            path.unlink()
    for path in folder.glob("*.arrow"):
        if path.name not in shards:
            path.unlink()


def _rules(form: StoreForm) -> str:
    return f"{form.size}px-rules{PIXEL_RULES}"


def _read_part(path: Path) -> pl.DataFrame:
    return read_table(path, StoreIndex).with_columns(part=pl.lit(path.stem), part_rows=pl.len())


def _read_pixels(folder: Path, rows: pl.DataFrame) -> list[npt.NDArray[np.uint8]]:
    if rows.is_empty():
        return []
    names = rows["shard"].unique().sort()
    numbers = names.search_sorted(rows["shard"]).to_numpy().astype(np.int64)
    shards = [open_shard(folder / name) for name in names]
    return list(read_rows(shards, numbers, rows["row"].to_numpy().astype(np.int64)))


def _content_digest(rows: pl.DataFrame) -> str:
    text = rows.select(pl.concat_str("image_id", "source_digest", separator=" ").str.join("\n")).item()
    return hashlib.sha256(text.encode()).hexdigest()[:16]
