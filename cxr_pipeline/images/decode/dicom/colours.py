"""Grey pictures that DICOM files keep as colours: RGB, luma with chroma (YBR), or places in a palette.

Windows and padding are not defined for them (PS3.3 C.7.6.3.1.2); their values are shown from 0 to all bits.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode.dicom.luts import Lut, read_lut
from cxr_pipeline.images.decode.exposure import Plane

PALETTE = "PALETTE COLOR"
COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT", PALETTE)
NAMES = {PALETTE: "PALETTE", **{name: "YCBCR" for name in COLOURS if name.startswith("YBR")}}

TOLERANCE = 2  # of the difference of the channels: what their conversion rounds

_WHITE = 65535


def grey_of_channels(values: npt.NDArray[Any], bits: int, *, is_luma: bool) -> tuple[Plane, tuple[float, float]]:
    """[rows, columns, 3] as grey, and its window; raises ImageError `unsupported` where it has colours.

    `is_luma`: the channels are Y, Cb and Cr, not red, green and blue.
    """
    channels = values.astype(np.int32)
    chroma = channels[..., 1:] - 2 ** (bits - 1) if is_luma else channels[..., 1:] - channels[..., :1]
    _check_colours((np.abs(chroma) > TOLERANCE).any(axis=-1))
    grey = channels[..., 0] if is_luma else np.rint(channels.mean(axis=-1))
    return Plane(grey.astype(np.uint16 if bits > 8 else np.uint8)), (0.0, float(2**bits - 1))


def grey_of_palette(header: pydicom.Dataset, values: npt.NDArray[Any]) -> tuple[Plane, tuple[float, float]]:
    """Places in a palette as grey, and its window; entries that no pixel uses may be coloured."""
    limits = float(values.min()), float(values.max())
    luts = [_read_palette(header, name, limits) for name in ("Red", "Green", "Blue")]
    stored = np.arange(int(limits[0]), int(limits[1]) + 1)
    white = max(lut.top for lut in luts)
    table = np.stack([lut.look_up(stored) * (_WHITE / white) for lut in luts], axis=-1)
    place = values.astype(np.int32) - stored[0]
    is_coloured = np.ptp(table, axis=-1) > TOLERANCE * _WHITE / 255
    _check_colours(is_coloured[place])
    return Plane(np.rint(table.mean(axis=-1)).astype(np.uint16)[place]), (0.0, float(_WHITE))


def _read_palette(header: pydicom.Dataset, name: str, limits: tuple[float, float]) -> Lut:
    descriptor, data = f"{name}PaletteColorLookupTableDescriptor", f"{name}PaletteColorLookupTableData"
    for keyword in (descriptor, data):
        if header.get(keyword) is None:
            raise ImageError("unsupported", f"The DICOM palette has no {keyword}, expected whole tables. Convert it.")
    return read_lut(header, header[descriptor].value, header[data].value, limits=limits)


def _check_colours(is_coloured: npt.NDArray[np.bool_]) -> None:
    if is_coloured.any():
        part = float(is_coloured.mean())
        raise ImageError(
            "unsupported", f"The DICOM file has colours in {part:.1%} of its pixels, expected grey. Convert it to grey."
        )
