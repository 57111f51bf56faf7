"""What is there of a source: its published rows against the files on disk. What its labels mean does not live here."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from cxr_pipeline.datasets.base import Dataset, Metadata
from cxr_pipeline.datasets.files.archives import archive_of
from cxr_pipeline.datasets.files.folders import PHANTOM_MARKER, count_phantoms, phantom_marker
from cxr_pipeline.datasets.files.misnamed import describe_misnamed
from cxr_pipeline.datasets.quality import describe_parts, edition_of, judge_completeness
from cxr_pipeline.errors import CxrError, TableError
from cxr_pipeline.storage.files import file_digest
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables.raw import RawTable

_MOST_NAMED = 10  # without a folder of one file for each report
_NAMED = 4  # metadata files in a message: OpenI has one per report


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
    _require_once(dataset, root, rows)
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


def _require_once(dataset: Dataset, root: Path, rows: pl.DataFrame) -> None:
    """Raises TableError that names the files and counts the rows of images that stand more than once."""
    repeated = int(rows["image_id"].is_duplicated().sum())
    if repeated:
        names = [path.name for path in dataset.find_metadata(root).files.values()]
        raise TableError(
            f"{', '.join(names[:_NAMED])} in {root}: {repeated:,} of {rows.height:,} rows are of images that stand "
            "more than once. Expected one row for each image: were two files put together, or rows copied? "
            "Compare the file with the published one."
        )


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

    `rows` is an ImageTable. Phantoms are no release: theirs are compared with the number that their marker states.
    """
    metadata = dataset.find_metadata(root)
    lines = [_describe_missing(metadata, root, name) for name in metadata.missing]
    lines += _compare_count(dataset, root, rows, entries=_name_entries(metadata))
    lines += dataset.find_gaps(root) if dataset.find_gaps else []
    return lines + _describe_box_gaps(dataset, root, images=rows.height)


def _describe_missing(metadata: Metadata, root: Path, name: str) -> str:
    home = next(iter(metadata.files.values())).parent
    misnamed = describe_misnamed(root, [name], home=home)
    return f"{name} is not in {root}: {metadata.missing[name]}{f'. {misnamed}' if misnamed else ''}"


def describe_unreadable_boxes(error: CxrError) -> str:
    """The line that stands for boxes which cannot be read; labels and images do without them."""
    return f"its boxes cannot be read: {error}"


def _describe_box_gaps(dataset: Dataset, root: Path, *, images: int) -> list[str]:
    try:
        lines = dataset.find_box_gaps(root) if dataset.find_box_gaps else []
        return lines + _count_boxes(dataset, root, images=images)
    except CxrError as error:
        return [describe_unreadable_boxes(error)]


def _count_boxes(dataset: Dataset, root: Path, *, images: int) -> list[str]:
    """A line where all images are here and not as many boxes as were published: no other file says which there were."""
    published, files = edition_of(dataset, dataset.describe_layout(root).name), dataset.find_metadata(root).files
    lists = [files[role] for role in dataset.box_files if role in files]
    if dataset.read_boxes is None or "boxes" not in published or images != published["images"] or not lists:
        return []
    boxes = dataset.read_boxes(root).select(pl.len()).collect().item()
    names = " and ".join(map(str, lists))
    line = f"{names}: {boxes:,} boxes, and {published['boxes']:,} were published: is the file cut, or edited?"
    return [line] if boxes != published["boxes"] else []


def _name_entries(metadata: Metadata) -> str:
    """The files among which those are that list the images; the folder where each report has its own (OpenI)."""
    files = list(metadata.files.values())
    return files[0].parent.name if len(files) > _MOST_NAMED else ", ".join(path.name for path in files)


def _compare_count(dataset: Dataset, root: Path, rows: pl.DataFrame, *, entries: str) -> list[str]:
    """A line where there are fewer or more images than were published, or than were rendered."""
    if rows["is_phantom"].any():
        rendered = count_phantoms(root)
        if rendered in (None, rows.height):
            return []
        return [f"{entries} has {rows.height:,} images, and {PHANTOM_MARKER} says that {rendered:,} were rendered"]
    facts = judge_completeness(dataset, rows, layout=dataset.describe_layout(root).name).facts
    published = int(facts.get("images_published", rows.height))
    parts = describe_parts(dataset, rows)
    shown = f" ({parts})" if parts else ""
    if rows.height < published:
        return [
            f"{entries} has {rows.height:,} of the {published:,} published images: the source is here in part{shown}"
        ]
    if rows.height > published:
        return [f"{entries} has {rows.height:,} images, and {published:,} were published: was a file extended?{shown}"]
    if "parts" in facts:
        return [f"{entries} has all images, in other official parts than published{shown}: are two files swapped?"]
    return []


def _warnings(dataset: Dataset, root: Path, table: pl.DataFrame, *, extra: int) -> tuple[str, ...]:
    absent = int((~table["is_present"]).sum())
    lines = describe_gaps(dataset, root, table)
    if absent:
        lines.append(f"{absent:,} of {table.height:,} published images have no file below {root}")
    if extra:
        lines.append(f"{extra:,} image files below {root} belong to no published row and are left out")
    return tuple(lines)
