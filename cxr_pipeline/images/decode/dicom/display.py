"""What a DICOM file shows black and white: PS3.3 C.11.1 (modality LUT, rescale), C.11.2 (VOI LUT, window).

The order is rescale -> window -> invert, once. The first VOI LUT counts, else the first window: further ones are other
views of the same exposure (lung, bone), and the standard leaves the choice to the reader. Where the file has neither,
8-bit values are shown as they are and others between percentiles.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pydicom

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode.exposure import WHOLE_BYTE, Plane

GREY_WINDOW = (0.5, 99.5)  # percentiles: leaves out burned-in markers and dead pixels

_SAMPLED_SIDE = 512  # pixels of each side that percentiles are taken from, at least
_WHITE = 65535


class Shown(NamedTuple):
    """As in `exposure.Exposure`."""

    plane: Plane
    window: tuple[float, float] | None
    is_inverted: bool


def is_linear(header: pydicom.Dataset) -> bool:
    """Whether a window on a straight line decides, not a table or a sigmoid.

    Then averaging before or after it gives the same greys, but for values that the window cuts off: there, averaging
    first is nearer to what a smaller detector would have seen.
    """
    is_table = header.get("ModalityLUTSequence") or header.get("VOILUTSequence")
    return not is_table and _function(header) != "SIGMOID"


def has_padding(header: pydicom.Dataset, values: npt.NDArray[Any]) -> bool:
    """Whether the detector saw nothing somewhere; many files name a padding value and do not use it.

    Of a picture at a fraction of its size, values within a padded part are still the padding's.
    """
    limits = _padding(header)
    return limits is not None and bool(_is_within(values, limits).any())


def show_linear(header: pydicom.Dataset, plane: Plane) -> Shown:
    """The stored values themselves, with the window moved to their unit: that spares a full-size copy in floats."""
    slope, intercept = _rescale(header)
    window = _window(header)
    is_inverted = header.PhotometricInterpretation == "MONOCHROME1"
    if window:
        black, white = ((edge - intercept) / slope for edge in window)
        return Shown(plane, (black, white), is_inverted)
    return Shown(plane, WHOLE_BYTE if _is_plain(header, plane.values) else None, is_inverted != (slope < 0))


def show(header: pydicom.Dataset, plane: Plane) -> Shown:
    """Each value looked up in a table of what is shown for it, uint16; padding is black, inverted or not."""
    stored = _stored_range(plane.values)
    is_padding = _is_within(stored, _padding(header))
    index = plane.values.view(f"u{plane.values.dtype.itemsize}")
    values, window = _through_luts(header, stored)
    low, high = window or _default_window(header, plane.values, values, is_padding)
    share = np.clip((values - low) / (high - low), 0, 1)
    if header.PhotometricInterpretation == "MONOCHROME1":
        share = 1 - share
    table = np.rint(np.where(is_padding, 0, share) * _WHITE).astype(np.uint16)
    return Shown(Plane(table[index]), (0.0, float(_WHITE)), is_inverted=False)


def _stored_range(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Every number of the type of `values`, int32, at the place of its bits as an unsigned number."""
    unsigned = np.arange(2 ** (8 * values.dtype.itemsize), dtype=f"u{values.dtype.itemsize}")
    return unsigned.view(values.dtype).astype(np.int32)


def _is_within(stored: npt.NDArray[Any], limits: tuple[float, float] | None) -> npt.NDArray[np.bool_]:
    low, high = limits or (math.inf, -math.inf)
    return (stored >= low) & (stored <= high)


def _through_luts(
    header: pydicom.Dataset, stored: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], tuple[float, float] | None]:
    """The values after whatever table the file has, and what of them is black and white; None where it says nothing."""
    if header.get("ModalityLUTSequence"):
        values: npt.NDArray[Any] = _look_up(header, stored, header.ModalityLUTSequence[0])[0].astype(np.float64)
    else:
        slope, intercept = _rescale(header)
        values = stored * slope + intercept
    if header.get("VOILUTSequence"):
        return _look_up(header, np.rint(values), header.VOILUTSequence[0])
    window = _window(header)
    if window and _function(header) == "SIGMOID":  # C.11.2.1.3.1
        centre, width = (window[0] + window[1]) / 2, window[1] - window[0]
        return 1 / (1 + np.exp(-4 * np.clip((values - centre) / width, -100, 100))), (0.0, 1.0)
    return values, window


def _look_up(
    header: pydicom.Dataset, values: npt.NDArray[Any], item: pydicom.Dataset
) -> tuple[npt.NDArray[np.uint16], tuple[float, float]]:
    """`values` through one LUT, and the nominal range of its entries; values beyond its ends get the entry there.

    pydicom's `apply_voi` is not used: it cuts the index to 8 bits where the entries have 8.
    """
    entries, first, bits = (int(number) for number in item.LUTDescriptor)
    table = item.LUTData
    if isinstance(table, bytes):
        order = "<" if header.file_meta.TransferSyntaxUID.is_little_endian else ">"
        table = np.frombuffer(table, f"{order}u2" if len(table) >= 2 * (entries or 2**16) else "u1")
    table = np.asarray(table, dtype=np.uint16)[: entries or 2**16]
    index = np.clip(values.astype(np.int64) - first, 0, len(table) - 1)
    return table[index], (0.0, float(2**bits - 1))


def _rescale(header: pydicom.Dataset) -> tuple[float, float]:
    return _number(header, "RescaleSlope") or 1.0, _number(header, "RescaleIntercept") or 0.0


def _window(header: pydicom.Dataset) -> tuple[float, float] | None:
    """The first window's ends, in the unit after rescale; None where there is none that leaves greys."""
    centre, width = _number(header, "WindowCenter"), _number(header, "WindowWidth")
    if centre is None or width is None or width <= 1:
        return None
    if _function(header) == "LINEAR":  # C.11.2.1.2.1: counts whole values; LINEAR_EXACT and SIGMOID do not
        centre, width = centre - 0.5, width - 1
    return centre - width / 2, centre + width / 2


def _function(header: pydicom.Dataset) -> str:
    return str(header.get("VOILUTFunction") or "LINEAR").upper()


def _padding(header: pydicom.Dataset) -> tuple[float, float] | None:
    """The stored values where the detector saw nothing (PS3.3 C.7.5.1.1.2); None where the file names none."""
    value, limit = _number(header, "PixelPaddingValue"), _number(header, "PixelPaddingRangeLimit")
    if value is None:
        return None
    return min(value, value if limit is None else limit), max(value, value if limit is None else limit)


def _is_plain(header: pydicom.Dataset, values: npt.NDArray[Any]) -> bool:
    return bool(values.dtype == np.uint8 and header.BitsStored == 8)


def _default_window(
    header: pydicom.Dataset,
    stored: npt.NDArray[Any],
    values: npt.NDArray[Any],
    is_padding: npt.NDArray[np.bool_],
) -> tuple[float, float]:
    """Percentiles of what is not padding; `values` and `is_padding` are by stored value."""
    if _is_plain(header, stored) and not header.get("ModalityLUTSequence"):
        return float(values.min()), float(values.max())
    step = max(1, min(stored.shape) // _SAMPLED_SIDE)
    sample = stored.view(f"u{stored.dtype.itemsize}")[::step, ::step]
    shown = values[sample[~is_padding[sample]]]
    low, high = np.percentile(shown, GREY_WINDOW) if shown.size else (0.0, 0.0)
    if low == high:
        raise ImageError("blank", "All pixels of the DICOM file but padding have one value. Replace the image.")
    return float(low), float(high)


def _number(header: pydicom.Dataset, keyword: str) -> float | None:
    """The first value of a tag; None where it is absent, empty or no number."""
    value = header.get(keyword)
    if isinstance(value, pydicom.multival.MultiValue):
        value = value[0] if value else None
    if value is None or value == "":
        return None
    return float(value) if math.isfinite(value) else None
