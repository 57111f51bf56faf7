"""What a DICOM file shows black and white: PS3.3 C.11.1 (modality LUT, rescale), C.11.2 (VOI LUT, window).

The order is rescale -> window -> invert, once. The first VOI LUT counts, else the first window: further ones are other
views of the same exposure (lung, bone), and the standard leaves the choice to the reader. Where the file has neither,
or what it has lies beside all values of the picture, 8-bit values are shown as they are and others between percentiles.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pydicom

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode.dicom.luts import read_lut
from cxr_pipeline.images.decode.exposure import GREY_WINDOW, MIN_SHARE, WHOLE_BYTE, Plane, is_beside

_SAMPLED_SIDE = 512  # pixels of each side that percentiles are taken from, at least
_ENOUGH = 2**15  # pixels that say whether a window lies beside a picture
_WHITE = 65535


class Shown(NamedTuple):
    """As in `exposure.Exposure`."""

    plane: Plane
    window: tuple[float, float] | None
    is_inverted: bool
    is_window_stated: bool = False


def is_linear(header: pydicom.Dataset) -> bool:
    """Whether a window on a straight line decides, not a table, a threshold or a sigmoid.

    Then averaging before or after it gives the same greys, but for values that the window cuts off: there, averaging
    first is nearer to what a smaller detector would have seen.
    """
    if header.get("ModalityLUTSequence") or header.get("VOILUTSequence"):
        return False
    window = _window(header)
    return window is None or (_function(header) != "SIGMOID" and window[0] < window[1])


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
    is_inverted = (header.PhotometricInterpretation == "MONOCHROME1") != (slope < 0)
    if window:
        low, high = sorted((edge - intercept) / slope for edge in window)
        return Shown(plane, (low, high), is_inverted, is_window_stated=True)
    return Shown(plane, WHOLE_BYTE if _is_plain(header) else None, is_inverted)


def show(header: pydicom.Dataset, plane: Plane) -> Shown:
    """Each value looked up in a table of what is shown for it, uint16; padding is black, inverted or not."""
    stored = _stored_range(plane.values)
    is_padding = _is_within(stored, _padding(header))
    index = plane.values.view(f"u{plane.values.dtype.itemsize}")
    sample = _sample(index, is_padding)
    values = _through_modality(header, stored)
    share = _through_voi(header, values)
    if share is None or is_beside(share[sample[:: max(1, sample.size // _ENOUGH)]], white=1):
        share = _by_default(header, values, sample, is_stated=share is not None)
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


def _sample(index: npt.NDArray[Any], is_padding: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """Some of the pixels that are not padding, as places in a table of all stored values."""
    step = max(1, min(index.shape) // _SAMPLED_SIDE)
    sample = index[::step, ::step].ravel()
    if is_padding.any():
        sample = sample[~is_padding[sample]]
    if not sample.size:
        raise ImageError("blank", "All pixels of the DICOM file are padding. Replace the image.")
    return sample


def _through_modality(header: pydicom.Dataset, stored: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The values in the unit that windows are in, float64."""
    if header.get("ModalityLUTSequence"):
        item = header.ModalityLUTSequence[0]
        lut = read_lut(header, item.get("LUTDescriptor"), item.get("LUTData"), limits=_stored_limits(header))
        return lut.look_up(stored).astype(np.float64)
    slope, intercept = _rescale(header)
    return stored * slope + intercept


def _through_voi(header: pydicom.Dataset, values: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
    """What share of white each value is shown as, 0..1; None where the file says nothing."""
    if header.get("VOILUTSequence"):
        item = header.VOILUTSequence[0]
        lut = read_lut(header, item.get("LUTDescriptor"), item.get("LUTData"), limits=_voi_limits(header, values))
        return np.minimum(lut.look_up(values) / lut.top, 1)
    window = _window(header)
    if window is None:
        return None
    black, white = window
    if black == white:
        return (values > black).astype(np.float64)
    if _function(header) == "SIGMOID":  # C.11.2.1.3.1
        return 1 / (1 + np.exp(-4 * np.clip((values - (black + white) / 2) / (white - black), -100, 100)))
    return np.clip((values - black) / (white - black), 0, 1)


def _stored_limits(header: pydicom.Dataset) -> tuple[float, float]:
    below = 2 ** (header.BitsStored - 1) if header.PixelRepresentation else 0
    return -below, 2**header.BitsStored - 1 - below


def _voi_limits(header: pydicom.Dataset, values: npt.NDArray[Any]) -> tuple[float, float]:
    """The values that a VOI LUT may meet: entries of a modality LUT, or what rescaling makes of the stored bits."""
    if header.get("ModalityLUTSequence"):
        return 0, float(values.max())
    slope, intercept = _rescale(header)
    low, high = sorted(edge * slope + intercept for edge in _stored_limits(header))
    return low, high


def _rescale(header: pydicom.Dataset) -> tuple[float, float]:
    return _number(header, "RescaleSlope") or 1.0, _number(header, "RescaleIntercept") or 0.0


def _window(header: pydicom.Dataset) -> tuple[float, float] | None:
    """The first window's ends, in the unit after rescale; None where it has no width, equal where it is a threshold."""
    centre, width = _number(header, "WindowCenter"), _number(header, "WindowWidth")
    if centre is None or width is None or width <= 0:
        return None
    # C.11.2.1.2.1: counts whole values; LINEAR_EXACT and SIGMOID do not. LINEAR below 1 is not defined: who writes it
    # has small units and means LINEAR_EXACT, as fo-dicom reads it (its pull request 1951).
    if _function(header) == "LINEAR" and width >= 1:
        centre, width = centre - 0.5, width - 1
    return centre - width / 2, centre + width / 2


def _function(header: pydicom.Dataset) -> str:
    return str(header.get("VOILUTFunction") or "LINEAR").upper()


def _padding(header: pydicom.Dataset) -> tuple[float, float] | None:
    """The stored values where the detector saw nothing (PS3.3 C.7.5.1.1.2); None where the file names none."""
    value, limit = _number(header, "PixelPaddingValue"), _number(header, "PixelPaddingRangeLimit")
    if value is None:
        return None
    ends = [_as_stored(header, int(end)) for end in (value, value if limit is None else limit)]
    return min(ends), max(ends)


def _as_stored(header: pydicom.Dataset, number: int) -> int:
    """A number written as if unsigned for signed pixels, or the other way round: the bits count."""
    low, high = _stored_limits(header)
    same_bits = (number, number - 2**16, number + 2**16, number - 2**header.BitsStored)
    return next((one for one in same_bits if low <= one <= high), number)


def _is_plain(header: pydicom.Dataset) -> bool:
    return bool(header.BitsStored == 8 and not header.PixelRepresentation)


def _by_default(
    header: pydicom.Dataset, values: npt.NDArray[Any], sample: npt.NDArray[Any], *, is_stated: bool
) -> npt.NDArray[Any]:
    """8-bit values as they are, others between the percentiles of `values[sample]`; as `_through_voi` has it.

    `is_stated`: the file does say something, but that lies beside its values.
    """
    low, high = np.percentile(values[sample], GREY_WINDOW)
    least, greatest = _voi_limits(header, values)
    if low == high or (is_stated and high - low < (greatest - least) * MIN_SHARE):
        raise ImageError("blank", "All pixels of the DICOM file but padding have nearly one value. Replace the image.")
    if not is_stated and _is_plain(header) and not header.get("ModalityLUTSequence"):
        low, high = least, greatest
    return np.clip((values - low) / (high - low), 0, 1)


def _number(header: pydicom.Dataset, keyword: str) -> float | None:
    """The first value of a tag; None where it is absent, empty or no number."""
    value = header.get(keyword)
    if isinstance(value, pydicom.multival.MultiValue):
        value = value[0] if value else None
    if value is None or value == "":
        return None
    return float(value) if math.isfinite(value) else None
