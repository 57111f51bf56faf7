"""Where a picture of any shape lies within a stored square: for cutting it out again and for moving boxes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Letterbox:
    """A source picture, cut, scaled to `height` x `width` and placed at (`top`, `left`) in a black square.

    The scales of the two axes differ by the rounding to whole pixels, and where the source's pixels are not square, so
    boxes move by their own axis. The fields are those of `StoreIndex.transform`: `Letterbox(**row["transform"])` is
    the placement of a stored image, `dataclasses.asdict` the way back.
    """

    top: int
    left: int
    height: int
    width: int
    scale_y: float
    scale_x: float
    crop_top: int = 0  # rows and columns of the source that were cut off before
    crop_left: int = 0

    def content(self, stored: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The picture without its bars, a view [height, width] of `stored` [size, size]."""
        return stored[self.top : self.top + self.height, self.left : self.left + self.width]

    def to_stored(self, boxes: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Boxes [n, 4] (x, y, width, height in pixels of the source) in pixels of the stored square."""
        return (np.asarray(boxes, dtype=np.float64) - self._crops) * self._scales + self._offsets

    def to_source(self, boxes: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Boxes [n, 4] (x, y, width, height in pixels of the stored square) in pixels of the source."""
        return (np.asarray(boxes, dtype=np.float64) - self._offsets) / self._scales + self._crops

    @property
    def _scales(self) -> npt.NDArray[np.float64]:
        return np.array([self.scale_x, self.scale_y, self.scale_x, self.scale_y])

    @property
    def _offsets(self) -> npt.NDArray[np.float64]:
        return np.array([self.left, self.top, 0.0, 0.0])

    @property
    def _crops(self) -> npt.NDArray[np.float64]:
        return np.array([self.crop_left, self.crop_top, 0.0, 0.0])


def letterbox(
    height: int, width: int, *, size: int, pixel_aspect: float = 1.0, crop_top: int = 0, crop_left: int = 0
) -> Letterbox:
    """The placement of a source, or of the part of it that was kept: aspect kept, long side `size`, centred.

    `height` and `width` are those of the kept part, `pixel_aspect` is the height of a source pixel over its width.
    """
    true_height = height * pixel_aspect
    scale = size / max(true_height, width)
    content_height, content_width = max(1, round(true_height * scale)), max(1, round(width * scale))
    return Letterbox(
        top=(size - content_height) // 2,
        left=(size - content_width) // 2,
        height=content_height,
        width=content_width,
        scale_y=content_height / height,
        scale_x=content_width / width,
        crop_top=crop_top,
        crop_left=crop_left,
    )
