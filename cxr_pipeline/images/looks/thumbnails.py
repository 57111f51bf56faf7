"""Tiles of files in quarantine: what there is to see of them. How tiles are arranged is not decided here (`sheet`)."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import polars as pl

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode.pixels import read_file
from cxr_pipeline.images.looks.sheet import Tile

# Reasons of files that OpenCV can read. Others are not tried: a file that crashed a decoder would end this process.
_PICTURES = ("absurd_aspect", "blank", "colour_photo", "too_small")
_MAX_SIDE = 512  # of a thumbnail, pixels


def quarantine_tiles(index: pl.DataFrame, root: Path, *, limit: int) -> list[Tile]:
    """At most `limit` files in quarantine, as many of each reason as there is room for, under their reasons.

    The choice depends on the index alone. A file that is no picture is a blank tile.
    """
    turn = pl.int_range(pl.len()).over("quarantine")
    bad = index.filter(pl.col("quarantine").is_not_null()).sort("image_id").with_columns(turn=turn)
    chosen = bad.sort("turn", "quarantine").head(limit).sort("quarantine", "turn")
    return [
        Tile(_thumbnail(root / path, reason), reason.replace("_", " "))
        for path, reason in chosen.select("source_path", "quarantine").rows()
    ]


def _thumbnail(path: Path, reason: str) -> npt.NDArray[np.uint8] | None:
    """Grey or RGB, at most _MAX_SIDE on each side; None where the file shows nothing."""
    if reason not in _PICTURES:
        return None
    try:
        pixels = cv2.imdecode(np.frombuffer(read_file(path), dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    except (ImageError, cv2.error):
        return None
    return None if pixels is None else _small(pixels)


def _small(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    scale = min(1.0, _MAX_SIDE / max(pixels.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    small: npt.NDArray[Any] = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    if small.dtype != np.uint8:
        small = (small // 257).astype(np.uint8)  # 16 bits to 8; a blank file stays blank
    return small if small.ndim == 2 else np.ascontiguousarray(small[..., 2::-1])  # OpenCV gives BGR or BGRA
