"""Pictures of many sources by row number, read from their stores in the stores' order. Comparing does not live here."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from cxr_pipeline.images.decode.letterbox import Letterbox
from cxr_pipeline.images.store.shards import ImageStore

_READ_AT_ONCE = 64


class StoredPictures:
    """The pictures of the rows of a table: `image_id dataset transform`, all of them stored.

    `folder` holds the stores, one folder for each dataset. Raises StoreError as `ImageStore` does.
    """

    def __init__(self, images: pl.DataFrame, folder: Path) -> None:
        self._transforms = images["transform"]
        self._positions = np.zeros(images.height, dtype=np.int64)
        self._sources: list[tuple[ImageStore, npt.NDArray[np.bool_]]] = []
        for (name,), part in images.with_row_index("_row").group_by("dataset", maintain_order=True):
            store, rows = ImageStore(folder / str(name)), part["_row"].to_numpy()
            self._positions[rows] = store.locate(part["image_id"].to_list())
            is_own = np.zeros(images.height, dtype=bool)
            is_own[rows] = True
            self._sources.append((store, is_own))

    def read(self, rows: npt.NDArray[np.int64]) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
        """(place in `rows`, pixels [height, width] without letterbox bars) of each of `rows`, in the stores' order."""
        for store, is_own in self._sources:
            places = np.flatnonzero(is_own[rows])
            places = places[np.argsort(self._positions[rows[places]], kind="stable")]
            for start in range(0, len(places), _READ_AT_ONCE):
                some = places[start : start + _READ_AT_ONCE]
                for place, pixels in zip(some, store.read(self._positions[rows[some]]), strict=True):
                    yield int(place), self._content(int(rows[place]), pixels)

    def _content(self, row: int, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        return Letterbox(**self._transforms[row]).content(pixels)
