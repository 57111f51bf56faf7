"""Where VinDr-CXR's files do not name the same images: labels, boxes, sizes of mirrors. Counts, and names no image."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from cxr_pipeline.datasets.files.strict_csv import read_csv
from cxr_pipeline.datasets.vindr.boxes import BOX_FILES, SIZE_FILES, read_part_boxes
from cxr_pipeline.datasets.vindr.words import LOCAL_WORDS


def count_gaps(files: Mapping[str, Path]) -> list[str]:
    """A line for each pair of `files` (those of `vindr.find_metadata`) and each way in which they differ."""
    pairs = [(f"image_labels_{part}.csv", f"annotations_{part}.csv") for part in ("train", "test")]
    lines = [_count_box_gaps(files[a], files[b]) for a, b in pairs if a in files and b in files]
    labels = [files[role] for role in ("marks", *(role for role, _ in pairs)) if role in files]
    lists = [files[role] for role in BOX_FILES if role in files]
    lines += [_count_size_gaps(lists, files[role], labels) for role in SIZE_FILES if role in files and lists]
    return [line for found in lines for line in found]


def _count_box_gaps(labels: Path, boxes: Path) -> list[str]:
    """Images of `labels` with a finding that has a place, or with none at all, have rows in `boxes`; others may not."""
    sheet = read_csv(labels, ["image_id", *LOCAL_WORDS, "No finding"])
    is_named = pl.any_horizontal(pl.col(*LOCAL_WORDS, "No finding").is_in(["1", "1.0"]))
    drawn, boxed = sheet.filter(is_named).select("image_id").unique(), _image_ids(boxes)
    lost = drawn.join(boxed, on="image_id", how="anti").height
    lines = [f"{boxes}: {lost:,} of {drawn.height:,} images of {labels.name} are not there, so no box of them is known"]
    return (lines if lost else []) + _count_strangers(boxes, boxed, sheet, labels.name)


def _count_size_gaps(lists: Sequence[Path], sizes: Path, labels: Sequence[Path]) -> list[str]:
    """A line where images with a box have no row in `sizes`, and one where its rows are of no image of `labels`."""
    sized = _image_ids(sizes)
    boxed = pl.concat([read_part_boxes(path).select(pl.col("image_id").str.strip_prefix("vindr/")) for path in lists])
    unsized = boxed.unique().join(sized, on="image_id", how="anti").height
    lines = [f"{sizes}: {unsized:,} of the {boxed.n_unique():,} images with a box have no size there"]
    named = pl.concat([_image_ids(path) for path in labels])
    strangers = _count_strangers(sizes, sized, named, " and ".join(path.name for path in labels))
    return (lines if unsized else []) + strangers


def _count_strangers(path: Path, images: pl.DataFrame, known: pl.DataFrame, names: str) -> list[str]:
    strangers = images.join(known, on="image_id", how="anti").height
    return [f"{path}: {strangers:,} of its {images.height:,} images are not in {names}"] if strangers else []


def _image_ids(path: Path) -> pl.DataFrame:
    return read_csv(path, ["image_id"]).unique()
