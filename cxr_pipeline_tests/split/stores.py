"""Small image stores, and altered copies of a picture, for the tests of the search for duplicates."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import polars as pl

from cxr_pipeline.images.decode.letterbox import letterbox
from cxr_pipeline.images.store.hashing import difference_hash
from cxr_pipeline.images.store.shards import INDEX
from cxr_pipeline.storage.lake import write_table
from cxr_pipeline.tables.images import StoreIndex
from cxr_pipeline_tests.shards import write_pixels
from cxr_pipeline_tests.split.tables import index_rows

Picture = np.ndarray


def write_store(
    folder: Path, labels: pl.DataFrame, pictures: Sequence[Picture], *, size: int = 128, files: Sequence[str] = ()
) -> pl.DataFrame:
    """The store of `pictures`, in the order of `labels`, and its index; `files` names the bytes they came from."""
    boxes = [letterbox(*picture.shape, size=size) for picture in pictures]
    stored = np.zeros((len(pictures), size, size), np.uint8)
    for square, box, picture in zip(stored, boxes, pictures, strict=True):
        method = cv2.INTER_AREA if max(picture.shape) >= size else cv2.INTER_CUBIC
        box.content(square)[:] = cv2.resize(picture, (box.width, box.height), interpolation=method)
    names = files or labels["image_id"].to_list()
    index = index_rows(labels).with_columns(
        source_digest=pl.Series([hashlib.sha256(name.encode()).hexdigest() for name in names]),
        source_height=pl.Series([picture.shape[0] for picture in pictures], dtype=pl.Int32),
        source_width=pl.Series([picture.shape[1] for picture in pictures], dtype=pl.Int32),
        transform=pl.Series([asdict(box) for box in boxes]),
        dhash=pl.Series(
            [difference_hash(box.content(square)) for box, square in zip(boxes, stored, strict=True)], dtype=pl.Binary
        ),
    )
    write_pixels(folder / index["shard"][0], labels["image_id"].to_list(), stored)
    return write_table(folder / INDEX, index, StoreIndex)


def resized(picture: Picture, side: int) -> Picture:
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)


def compressed(picture: Picture, quality: int = 50) -> Picture:
    return cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_GRAYSCALE)


def brightened(picture: Picture, gain: float) -> Picture:
    return np.clip(np.rint(picture * gain), 0, 255).astype(np.uint8)


def cropped(picture: Picture, share: float = 0.02) -> Picture:
    """Without `share` of its height and width, half of it at each edge."""
    rows, columns = (round(side * share / 2) for side in picture.shape)
    return picture[rows : len(picture) - rows, columns : picture.shape[1] - columns]


COPIES: dict[str, Callable[[Picture], Picture]] = {
    "64 px": lambda picture: resized(picture, 64),
    "224 px": lambda picture: resized(picture, 224),
    "JPEG quality 50": compressed,
    "gain 0.9": lambda picture: brightened(picture, 0.9),
    "gain 1.1": lambda picture: brightened(picture, 1.1),
    "2 % cut off": cropped,
}
