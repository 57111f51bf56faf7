"""SHA-256 of source files, remembered with what `stat` said of each: what is the same is not read again, as in git.

A file of the same size, modification time, change time and inode is taken to hold the same bytes. Nobody can set a
change time back (`touch` and `cp -p` set the modification time), so that only a tick of the clock could hide a change:
what was written within the last two seconds is not trusted (git calls it racy, Documentation/technical/racy-git.adoc).
Which images a store keeps does not live here.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import time_ns

import polars as pl
from polars.exceptions import PolarsError

from cxr_pipeline.storage.files import file_digest
from cxr_pipeline.storage.lake import write_parquet

MEMORY = ".digests.parquet"  # within a store's folder, hidden: no part of the store, and different on each machine
SETTLED_NS = 2_000_000_000  # FAT counts in two seconds, the others more finely

_STAT = {"size": pl.Int64, "mtime_ns": pl.Int64, "ctime_ns": pl.Int64, "inode": pl.UInt64}
_COLUMNS = pl.Schema({"source_path": pl.String, **_STAT, "source_digest": pl.String})


class SourceDigests:
    """The digests of files of `root`, some of them remembered in the store at `folder`.

    Make it before anything else reads the files: a file that changes afterwards then has another change time than the
    one that is remembered, whichever of its contents was read.
    """

    def __init__(self, folder: Path, root: Path, paths: pl.Series) -> None:
        """`paths` are relative to `root`; each is looked at once, none is read."""
        self._memory, self._root = folder / MEMORY, root
        settled = time_ns() - SETTLED_NS
        paths = paths.unique().sort()
        stats = pl.DataFrame([_stat(root / path) for path in paths], schema=_STAT, orient="row")
        is_settled = pl.max_horizontal("mtime_ns", "ctime_ns") < settled
        self._files = stats.select(paths.alias("source_path"), *_STAT, is_settled=is_settled)

    def of(self, paths: pl.Series) -> pl.DataFrame:
        """`source_path, source_digest` of those of `paths` that were looked at; empty where one cannot be read."""
        asked = self._files.filter(pl.col("source_path").is_in(paths.implode()))
        known = asked.join(self._recall(), on=["source_path", *_STAT], how="left")
        known = known.select("source_path", "source_digest")
        return pl.concat([known.drop_nulls(), self._read(known.filter(pl.col("source_digest").is_null()))])

    def remember(self, index: pl.DataFrame) -> None:
        """Writes down the digests that `index`, rows of StoreIndex, has of these files."""
        digests = index.filter(pl.col("source_digest") != "").unique("source_path", keep="first", maintain_order=True)
        seen = self._files.filter("is_settled").join(digests, on="source_path", maintain_order="left")
        write_parquet(self._memory, seen.select(_COLUMNS.names()))

    def _recall(self) -> pl.DataFrame:
        """What is remembered; nothing where that is absent or damaged, since reading the files tells the same."""
        try:
            memory = pl.read_parquet(self._memory)
        except (OSError, PolarsError):
            return _COLUMNS.to_frame()
        return memory if memory.schema == _COLUMNS else _COLUMNS.to_frame()

    def _read(self, files: pl.DataFrame) -> pl.DataFrame:
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            digests = list(threads.map(_digest, [self._root / path for path in files["source_path"]]))
        return files.with_columns(pl.Series("source_digest", digests, dtype=pl.String))


def forget_digests(folder: Path) -> None:
    """Lets the next run over the store at `folder` read every file: change times are not the kernel's on every disk."""
    (folder / MEMORY).unlink(missing_ok=True)


def _stat(path: Path) -> tuple[int, int, int, int] | tuple[None, None, None, None]:
    try:
        found = path.stat()
    except OSError:
        return None, None, None, None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _digest(path: Path) -> str:
    try:
        return file_digest(path) if path.is_file() else ""  # a pipe would be waited for
    except OSError:
        return ""  # as `decode_file` has it
