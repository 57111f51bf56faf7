"""VinDr-CXR's boxes, in pixels of the DICOM files, and the size of these where a mirror states it. Parses only.

Mirrors on Kaggle hold resized PNG or JPEG copies beside the boxes of the originals: as columns `width` and `height` of
the list of boxes, or in a list of their own, `train_meta.csv` (`image_id,dim0,dim1`: rows and columns).
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from cxr_pipeline.datasets.files.folders import find_file
from cxr_pipeline.datasets.files.strict_csv import read_csv, read_header, require_match

BOX_FILES = ("marks", "annotations_train.csv", "annotations_test.csv")
SIZE_FILES = ("train_meta.csv", "test_meta.csv")
IMAGE_ID = r"^[0-9a-f]{32}$"

_EDGES = ("x_min", "y_min", "x_max", "y_max")
_FILLED_EDGES = ("", "0", "1", "0.0", "1.0", "-1", "-1.0")
_SIDES = {"frame_width": "width", "frame_height": "height"}
_SIDES_APART = {"frame_width": "dim1", "frame_height": "dim0"}
_SCHEMA = {"image_id": pl.String, "frame_width": pl.Float64, "frame_height": pl.Float64}


def find_sizes(home: Path, root: Path) -> dict[str, Path]:
    """The lists of sizes, by name: beside the list of boxes in `home`, in `root`, or in a folder there, as mirrors of
    the pictures alone bring them."""
    inner = {name: next(iter(sorted(root.glob(f"*/{name}"))), None) for name in SIZE_FILES}
    found = {name: find_file([home, root], [name, f"{name}.gz"]) or inner[name] for name in SIZE_FILES}
    return {name: path for name, path in found.items() if path}


def read_part_boxes(path: Path) -> pl.DataFrame:
    """`image_id finding reader x y width height` of each box; rows without one (`No finding`) are left out.

    Mirrors fill the blank edges of these with 0, or with the pixel `0 0 1 1` that the challenge asked for.
    """
    reader = () if path.name.lower().startswith("annotations_test") else ("rad_id",)
    rows = read_csv(path, ("image_id", *reader, "class_name", *_EDGES))
    require_match(path, rows, "image_id", IMAGE_ID)
    boxes = rows.filter(pl.any_horizontal(pl.col(_EDGES) != "") & ~_is_filler())
    for edge in _EDGES:
        require_match(path, boxes, edge, r"^\d+(\.\d+)?$")
    x_min, y_min, x_max, y_max = (pl.col(edge).cast(pl.Float32) for edge in _EDGES)
    return boxes.select(
        _namespaced(),
        pl.col("class_name").str.strip_chars().alias("finding"),
        (pl.col("rad_id") if reader else pl.lit("")).alias("reader"),
        x=x_min,
        y=y_min,
        width=x_max - x_min,
        height=y_max - y_min,
    )


def read_stated_sizes(lists: Sequence[Path], sizes: Sequence[Path]) -> pl.DataFrame:
    """`image_id frame_width frame_height` of images whose size one of `lists` (of boxes), else of `sizes`, states."""
    stated = [_read_sides(path, _SIDES) for path in lists if set(_SIDES.values()) <= set(read_header(path))]
    apart = [_read_sides(path, _SIDES_APART) for path in sizes]
    named = pl.concat([pl.DataFrame(schema=_SCHEMA), *stated, *apart])
    return named.drop_nulls().unique("image_id", keep="first", maintain_order=True)


def _read_sides(path: Path, columns: dict[str, str]) -> pl.DataFrame:
    rows = read_csv(path, ("image_id", *columns.values()))
    for name in columns.values():
        require_match(path, rows, name, r"^([1-9]\d*(\.0)?)?$")  # blank: not stated
    sides = {side: pl.col(name).replace("", None).cast(pl.Float64) for side, name in columns.items()}
    stated = rows.select(_namespaced(), **sides).unique(maintain_order=True)
    return stated.filter(pl.len().over("image_id") == 1)  # two sizes are none


def _is_filler() -> pl.Expr:
    edges = pl.all_horizontal(pl.col(_EDGES).is_in(_FILLED_EDGES))
    return edges & (pl.col("class_name").str.strip_chars() == "No finding")


def _namespaced() -> pl.Expr:
    return pl.format("vindr/{}", "image_id").alias("image_id")
