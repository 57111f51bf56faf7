"""What is there of a source: its published rows against the files on disk. What its labels mean does not live here."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.datasets.files.archives import archive_of
from cxr_pipeline.datasets.files.folders import phantom_marker
from cxr_pipeline.storage.files import file_digest
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables.raw import RawTable


@dataclass(frozen=True)
class Inventory:
    """The rows of one source and what a person should know about them."""

    table: pl.DataFrame  # RawTable, in published order
    extra: int  # image files that no row means
    warnings: tuple[str, ...]  # one line each, without patient ids

    @property
    def missing(self) -> int:
        """Rows without a file."""
        return int((~self.table["is_present"]).sum())

    @classmethod
    def empty(cls) -> "Inventory":
        """The inventory of a source that is not used."""
        return cls(RawTable.create_empty(), extra=0, warnings=())


def take_inventory(dataset: Dataset, root: Path) -> Inventory:
    """One row per published image of the source at `root`, whether or not its file is there.

    Raises SourceNotFoundError when the folder or a required metadata file is absent, SourceFormatError when one is not
    as published, TableError when its rows break RawTable (an image twice).
    """
    rows = read_image_rows(dataset, root)
    pixels = dataset.find_pixels(root)
    table = validate_table(_join_files(rows, _measure(root, pixels)), RawTable)
    used = table.filter("is_present")["path"].n_unique()
    extra = len(set(pixels.values())) - used
    return Inventory(table, extra, _warnings(dataset, root, table, extra=extra))


def read_image_rows(dataset: Dataset, root: Path) -> pl.DataFrame:
    """What `dataset.read_images` says, collected, and whether the collection is a rendered one."""
    return dataset.read_images(root).with_columns(is_phantom=pl.lit(phantom_marker(root) is not None)).collect()


def count_labellers(rows: pl.DataFrame) -> pl.DataFrame:
    """`labelled_by, images`: how many rows of an ImageTable say who read their labels; empty where none does."""
    stated = rows.select(pl.col("labelled_by").cast(pl.String)).drop_nulls()
    return stated.group_by("labelled_by").agg(images=pl.len()).sort("labelled_by")


def fingerprint(dataset: Dataset, root: Path) -> str:
    """SHA-256 of the metadata files' contents and of path, size and modification time of every image file, and of
    every part of an archive that is to be unpacked.

    It changes when the source changes and does not depend on where the root is. Pixels are not read: preparing the
    images digests each file.
    """
    described = dataset.find_metadata(root).files
    marker = phantom_marker(root)
    if marker:
        described = {**described, "phantom": marker}
    digest = hashlib.sha256()
    for role, path in sorted(described.items()):
        digest.update(f"{role}\0{file_digest(path)}\n".encode())
    archive = archive_of(dataset, root)
    parts = archive.find_parts() if archive and archive.is_pending else []
    for path in sorted({*dataset.find_pixels(root).values(), *(part.relative_to(root) for part in parts)}):
        status = (root / path).stat()
        digest.update(f"{path.as_posix()}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _measure(root: Path, pixels: dict[str, Path]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "key": list(pixels),
            "found_at": [path.as_posix() for path in pixels.values()],
            "file_bytes": [(root / path).stat().st_size for path in pixels.values()],
        },
        schema={"key": pl.String, "found_at": pl.String, "file_bytes": pl.Int64},
    )


def _join_files(rows: pl.DataFrame, files: pl.DataFrame) -> pl.DataFrame:
    joined = rows.join(files, left_on="path", right_on="key", how="left", maintain_order="left")
    return joined.with_columns(path=pl.coalesce("found_at", "path"), is_present=pl.col("found_at").is_not_null())


def describe_gaps(dataset: Dataset, root: Path, rows: pl.DataFrame) -> list[str]:
    """What the metadata of a source lacks, one line each: files, rows of the release, names that files do not share.

    `rows` is an ImageTable. Phantoms are no release, so that theirs are not compared with the published number.
    """
    metadata = dataset.find_metadata(root)
    lines = [f"{name} is not in {root}: {loss}" for name, loss in metadata.missing.items()]
    expected = dataset.expected.get("images", rows.height)
    if rows.height < expected and not rows["is_phantom"].any():
        entries = next(iter(metadata.files.values())).name
        lines.append(f"{entries} has {rows.height:,} of the {expected:,} published images: the source is here in part")
    return lines + (dataset.find_gaps(root) if dataset.find_gaps else [])


def _warnings(dataset: Dataset, root: Path, table: pl.DataFrame, *, extra: int) -> tuple[str, ...]:
    absent = int((~table["is_present"]).sum())
    lines = describe_gaps(dataset, root, table)
    if absent:
        lines.append(f"{absent:,} of {table.height:,} published images have no file below {root}")
    if extra:
        lines.append(f"{extra:,} image files below {root} belong to no published row and are left out")
    return tuple(lines)
