"""Brush strokes on float fields: soft edges, ridges, textures, boxes. Knows nothing of the body.

Lengths are in units of half the picture's height: x grows to the right, y downwards, (0, 0) is the centre. A chest film
is about 40 cm high, so one unit is about 20 cm.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating]  # float32 throughout; numpy's type stubs lose that in arithmetic
Box = tuple[int, int, int, int]
"""x, y, width, height in pixels, as in the NIH list of boxes."""


@dataclass(frozen=True)
class Grid:
    """Coordinates of the pixel centres: `x` is float32 [1, width], `y` float32 [height, 1]."""

    x: Field
    y: Field

    @property
    def shape(self) -> tuple[int, int]:
        return self.y.shape[0], self.x.shape[1]

    def to_pixels(self, x: float, y: float) -> tuple[float, float]:
        """Column and row of a point, in pixels from the upper left corner."""
        height, width = self.shape
        return (x * height + width) / 2, (y + 1) * height / 2


def make_grid(height: int, width: int) -> Grid:
    """Square pixels; y runs from -1 to 1 and x from -width/height to width/height."""
    x = (np.arange(width, dtype=np.float32) + 0.5) * (2 / height) - width / height
    y = (np.arange(height, dtype=np.float32) + 0.5) * (2 / height) - 1
    return Grid(x[None, :].astype(np.float32), y[:, None].astype(np.float32))


def soft_step(distance: Field, width: float) -> Field:
    """0 where `distance` is below -width, 1 above width, smooth between (smoothstep: no transcendental function)."""
    t = np.clip(distance * np.float32(0.5 / width) + np.float32(0.5), 0, 1)
    return t * t * (3 - 2 * t)


def ridge(distance: Field, width: float) -> Field:
    """A line of Gaussian profile: 1 where `distance` is 0, 1/e at `width`."""
    return np.exp(-np.square(distance * np.float32(1 / width)))


def disc(grid: Grid, centre: tuple[float, float], radius: float, edge: float) -> Field:
    """A round shadow with a soft edge of half-width `edge`."""
    return soft_step(radius - distance_to(grid, centre), edge)


def distance_to(grid: Grid, centre: tuple[float, float], *, flatten: float = 1.0) -> Field:
    """Distance of every pixel from `centre`; vertical distances count `flatten` times."""
    return np.hypot(grid.x - np.float32(centre[0]), (grid.y - np.float32(centre[1])) * np.float32(flatten))


def texture(rng: np.random.Generator, shape: tuple[int, int], cell: float) -> Field:
    """Smooth noise of mean 0 and spread about 0.7, whose lattice has one knot every `cell` units at any resolution."""
    rows = max(2, round(2 / cell) + 1)
    columns = max(2, round(2 / cell * shape[1] / shape[0]) + 1)
    lattice = rng.standard_normal((rows, columns), dtype=np.float32)
    return np.asarray(cv2.resize(lattice, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC), np.float32)


def box_of(field: Field, *, level: float = 0.4) -> list[Box]:
    """The box around all pixels above `level` times the maximum; empty when the field is flat zero."""
    peak = float(field.max())
    if peak <= 0:
        return []
    mask = field > level * peak
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return [(int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1)]
