"""The step that keeps an image store equal to a table of images: what is new is decoded, what is unchanged is kept.

How a file is decoded does not live here (`decoding`, `pixels`), nor how shards are read (`store`).

A store folder holds shards `<size>px-rules<version>-<digest>.arrow`, for each of them its part of the index in
`parts/`, written after it, and `index.parquet`, put together from the parts at the end. So the parts are what a killed
run leaves behind and the next one goes on from, and readers see the old store until the new one is whole.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl

from cxr_pipeline.errors import SourceNotFoundError
from cxr_pipeline.images.decoding import BATCH_FILES, Decoded, decode_files
from cxr_pipeline.images.pixels import PIXEL_RULES
from cxr_pipeline.images.store import INDEX, write_shard
from cxr_pipeline.storage.files import file_digest
from cxr_pipeline.storage.lake import read_table, write_table
from cxr_pipeline.tables import StoreIndex

PARTS = "parts"
MAX_SHARD_BYTES = 256 * 2**20
MAX_SHARD_ROWS = 2048

Report = Callable[[int, int, int], object]  # images done, images in all, of the done ones in quarantine


@dataclass(frozen=True)
class PrepareSummary:
    """What a store holds after `prepare_images`, and how much of it this run had to do."""

    images: int  # rows of the index
    stored: int  # of these, with pixels
    decoded: int  # files opened for decoding in this run; the others were unchanged
    quarantined: dict[str, int]  # images by reason


def prepare_images(
    table: pl.DataFrame,
    root: Path,
    folder: Path,
    *,
    size: int,
    workers: int = 0,
    on_progress: Report | None = None,
) -> PrepareSummary:
    """Makes the store in `folder` hold exactly the images of `table`: `image_id`, and `path` relative to `root`.

    A file is decoded again when its id, path or SHA-256 is new, or when `size` or PIXEL_RULES is; modification times
    are not trusted. A file that cannot be used gets an index row with its reason. An image that is not in `table` any
    more leaves the index; its pixels go with the last image of their shard. The result does not depend on `workers`
    (0: one per core). One run at a time per folder.

    Raises SourceNotFoundError when none of the files exists: a disk that is not mounted must not empty the store.
    """
    wanted = table.select("image_id", source_path="path").sort("image_id")
    _check_source(wanted, root)
    _remove_temporaries(folder)
    kept = _unchanged(wanted, _read_parts(folder, _rules(size)), root, workers)
    pending = wanted.join(kept, on="image_id", how="anti", maintain_order="left")
    paths = [root / path for path in pending["source_path"]]
    with closing(decode_files(paths, size=size, workers=workers)) as files:
        decoded = _reported(files, kept, wanted.height, on_progress) if on_progress else files
        made = list(_write_parts(folder, pending, decoded, size))
    whole = pl.concat([kept, *made]).sort("image_id")
    write_table(folder / INDEX, whole, StoreIndex)
    _remove_unused(folder, whole)
    return _summarize(whole, pending.height)


def _check_source(wanted: pl.DataFrame, root: Path) -> None:
    if not any((root / path).is_file() for path in wanted["source_path"]):
        raise SourceNotFoundError(
            f"None of {wanted.height} images is under {root}, expected at least one. Mount or fetch the images of this "
            "source, or correct its folder in the settings."
        )


def _remove_temporaries(folder: Path) -> None:
    for path in folder.rglob(".*.tmp"):
        path.unlink()


def _rules(size: int) -> str:
    return f"{size}px-rules{PIXEL_RULES}"


def _read_parts(folder: Path, rules: str) -> pl.DataFrame:
    """Rows of StoreIndex from the finished parts of one set of rules, and the `part` each comes from."""
    paths = sorted((folder / PARTS).glob(f"{rules}-*.parquet"))
    frames = [read_table(path, StoreIndex).with_columns(part=pl.lit(path.stem)) for path in paths]
    empty = StoreIndex.create_empty().with_columns(part=pl.lit(None, pl.String))
    shards = [path.name for path in folder.glob("*.arrow")]
    return pl.concat([empty, *frames]).filter(pl.col("shard").is_null() | pl.col("shard").is_in(shards))


def _unchanged(wanted: pl.DataFrame, known: pl.DataFrame, root: Path, workers: int) -> pl.DataFrame:
    """The `known` rows whose file is wanted under the same id and path, and still has the same bytes."""
    candidates = known.join(wanted, on=["image_id", "source_path"], how="semi", maintain_order="left")
    paths = candidates["source_path"].unique().sort()
    with ThreadPoolExecutor(workers or os.cpu_count()) as threads:
        digests = list(threads.map(_digest, [root / path for path in paths]))
    now = pl.DataFrame({"source_path": paths, "source_digest": digests}, schema_overrides={"source_digest": pl.String})
    same = candidates.join(now, on=["source_path", "source_digest"], how="semi", maintain_order="left")
    return same.unique("image_id", keep="first", maintain_order=True)


def _digest(path: Path) -> str:
    try:
        return file_digest(path)
    except OSError:
        return ""  # as `decode_file` has it


def _reported(decoded: Iterator[Decoded], kept: pl.DataFrame, total: int, report: Report) -> Iterator[Decoded]:
    done, quarantined = kept.height, kept["quarantine"].count()
    for one in decoded:
        done += 1
        quarantined += one.quarantine is not None
        if done % BATCH_FILES == 0 or done == total:
            report(done, total, quarantined)
        yield one


def _write_parts(folder: Path, pending: pl.DataFrame, decoded: Iterator[Decoded], size: int) -> Iterator[pl.DataFrame]:
    """Cuts `pending` by count alone, so that a run that goes on after a kill makes the very same shards."""
    rows = max(1, min(MAX_SHARD_ROWS, MAX_SHARD_BYTES // size**2))
    for files in pending.iter_slices(rows):
        yield _write_part(folder, files, list(islice(decoded, files.height)), size)


def _write_part(folder: Path, files: pl.DataFrame, decoded: list[Decoded], size: int) -> pl.DataFrame:
    """Writes one shard, then its part of the index; the part's existence says that both are whole."""
    columns = [field.name for field in fields(Decoded) if field.name != "pixels"]
    rows = files.with_columns(pl.Series(name, [getattr(one, name) for one in decoded]) for name in columns)
    name = f"{_rules(size)}-{_content_digest(rows)}"
    is_usable = pl.col("quarantine").is_null()
    rows = rows.with_columns(
        shard=pl.when(is_usable).then(pl.lit(f"{name}.arrow")), row=pl.when(is_usable).then(is_usable.cum_sum() - 1)
    )
    pixels = [one.pixels for one in decoded if one.pixels is not None]
    if pixels:
        image_ids = rows.filter(is_usable)["image_id"].to_list()
        write_shard(folder / f"{name}.arrow", image_ids, np.stack(pixels), pixel_rules=PIXEL_RULES)
    return write_table(folder / PARTS / f"{name}.parquet", rows, StoreIndex).with_columns(part=pl.lit(name))


def _content_digest(rows: pl.DataFrame) -> str:
    text = rows.select(pl.concat_str("image_id", "source_digest", separator=" ").str.join("\n")).item()
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _remove_unused(folder: Path, whole: pl.DataFrame) -> None:
    """Removes the parts and then the shards that no row of the index needs, those of other rules among them."""
    parts, shards = set(whole["part"]), set(whole["shard"])
    for path in (folder / PARTS).glob("*.parquet"):
        if path.stem not in parts:
            path.unlink()
    for path in folder.glob("*.arrow"):
        if path.name not in shards:
            path.unlink()


def _summarize(whole: pl.DataFrame, decoded: int) -> PrepareSummary:
    reasons = whole.filter(pl.col("quarantine").is_not_null()).group_by("quarantine").len().sort("quarantine")
    return PrepareSummary(
        images=whole.height,
        stored=whole.height - int(reasons["len"].sum()),
        decoded=decoded,
        quarantined=dict(zip(reasons["quarantine"], reasons["len"], strict=True)),
    )
