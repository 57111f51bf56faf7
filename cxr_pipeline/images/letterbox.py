"""Where a picture of any shape lies within a stored square: for cutting it out again and for moving boxes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Letterbox:
    """A source picture, scaled to `height` x `width` and placed at (`top`, `left`) in a black square.

    The scales of the two axes differ by the rounding to whole pixels, so boxes move by their own axis.
    """

    top: int
    left: int
    height: int
    width: int
    scale_y: float
    scale_x: float

    def content(self, stored: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The picture without its bars, a view [height, width] of `stored` [size, size]."""
        return stored[self.top : self.top + self.height, self.left : self.left + self.width]

    def to_stored(self, boxes: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Boxes [n, 4] (x, y, width, height in pixels of the source) in pixels of the stored square."""
        return np.asarray(boxes, dtype=np.float64) * self._scales + self._offsets

    def to_source(self, boxes: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Boxes [n, 4] (x, y, width, height in pixels of the stored square) in pixels of the source."""
        return (np.asarray(boxes, dtype=np.float64) - self._offsets) / self._scales

    @property
    def _scales(self) -> npt.NDArray[np.float64]:
        return np.array([self.scale_x, self.scale_y, self.scale_x, self.scale_y])

    @property
    def _offsets(self) -> npt.NDArray[np.float64]:
        return np.array([self.left, self.top, 0.0, 0.0])


def letterbox(height: int, width: int, *, size: int) -> Letterbox:
    """The placement of a source of `height` x `width` pixels: aspect kept, long side `size`, centred."""
    scale = size / max(height, width)
    content_height, content_width = max(1, round(height * scale)), max(1, round(width * scale))
    return Letterbox(
        top=(size - content_height) // 2,
        left=(size - content_width) // 2,
        height=content_height,
        width=content_width,
        scale_y=content_height / height,
        scale_x=content_width / width,
    )
