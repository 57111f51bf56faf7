"""What a decoder hands over: pixel values, how they are meant to be shown, and the limits that any image keeps to.

How each format is decoded does not live here, nor what becomes of the values (`pixels`).
"""

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from cxr_pipeline.errors import ImageError

MAX_SOURCE_PIXELS = 100_000_000  # detectors give at most ~20 million; a 379 KiB PNG can hold 400 million
MIN_SOURCE_SIDE = 32
MAX_ASPECT = 3.0  # chest radiographs lie between 0.5 and 2

GREY_WINDOW = (0.5, 99.5)  # percentiles: leaves out burned-in markers and dead pixels
MIN_SHARE = 8 / 256  # of the way from black to white: what spreads less is no picture

WHOLE_BYTE = (0.0, 255.0)  # the window of 8-bit values that stay as published


@dataclass(frozen=True)
class Plane:
    """Grey `values` [rows, columns] or RGB [rows, columns, 3] of a picture, maybe at a fraction of its size.

    `factor` pixels of the picture are one value. A distance of x pixels from the picture's left edge lies
    `x / factor + phase` values from the left edge of `values`, and so from the top.
    """

    values: npt.NDArray[Any]
    factor: int = 1
    phase: float = 0.0


@dataclass(frozen=True)
class Exposure:
    """One decoded file: its plane, and how that is meant to be shown."""

    plane: Plane
    height: int  # of the file's picture, pixels
    width: int
    bit_depth: int  # stored bits
    photometric: str  # MONOCHROME1, MONOCHROME2, RGB, PALETTE, YCBCR, CMYK or YCCK
    mode: str  # "L8", "RGBA8", "DICOM12-MONOCHROME1": as in `StoreIndex.source_mode`
    window: tuple[float, float] | None = None  # these values and those beyond are black and white; None: percentiles
    is_window_stated: bool = False  # by a DICOM header, which may be that of another picture
    is_inverted: bool = False  # low values are white
    pixel_aspect: float = 1.0  # height of a pixel / its width


def check_shape(height: int, width: int, *, pixel_aspect: float = 1.0) -> None:
    """Refuses what no radiograph is; runs on the header alone, since a small file can unpack to gigabytes.

    Raises ImageError with reason `too_large`, `too_small` or `absurd_aspect`.
    """
    found = f"The image has {width} x {height} pixels"
    if height * width > MAX_SOURCE_PIXELS:
        raise ImageError(
            "too_large", f"{found}, expected at most {MAX_SOURCE_PIXELS} in all. Scale it down, or leave it out."
        )
    if min(height, width) < MIN_SOURCE_SIDE:
        raise ImageError(
            "too_small", f"{found}, expected at least {MIN_SOURCE_SIDE} on each side. Take it at its full size."
        )
    sides = height * pixel_aspect, width
    if max(sides) > MAX_ASPECT * min(sides):
        raise ImageError("absurd_aspect", f"{found}, expected sides of at most 1 : {MAX_ASPECT:g}. Leave it out.")


def is_beside(shown: npt.NDArray[Any], *, white: float) -> bool:
    """Whether a stated window lies beside the values: nearly all of what is `shown`, 0 to `white`, is at one end.

    Such a window is from another picture or in another unit, and says nothing of this one.
    """
    few, margin = GREY_WINDOW[0] / 100, white * MIN_SHARE
    return bool((shown > margin).mean() <= few or (shown < white - margin).mean() <= few)


def check_decoded(plane: Plane, height: int, width: int) -> Plane:
    """The plane itself; raises ImageError `damaged` where it does not cover a picture of `height` x `width`."""
    found, expected = plane.values.shape[:2], (-(-height // plane.factor), -(-width // plane.factor))
    if found != expected:
        raise ImageError("damaged", f"The data hold {found} pixels, expected {expected}. Fetch the file again.")
    return plane
