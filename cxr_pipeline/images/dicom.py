"""From the bytes of a DICOM file to its pixel values and the two of them that are shown black and white.

Follows DICOM PS3.3 C.11.1 (modality LUT, rescale) and C.11.2 (VOI LUT, window). Resizing does not live here (`pixels`).
"""

import io
import math
import struct
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.pixels import get_decoder
from pydicom.uid import JPEGExtended12Bit, RLELossless

from cxr_pipeline.errors import ImageError

# Nothing else is parsed: the tags that name a patient stay bytes.
_TAGS = [
    "BitsAllocated", "BitsStored", "Columns", "HighBit", "ModalityLUTSequence", "NumberOfFrames",
    "PhotometricInterpretation", "PixelData", "PixelPaddingRangeLimit", "PixelPaddingValue", "PixelRepresentation",
    "PlanarConfiguration", "RescaleIntercept", "RescaleSlope", "Rows", "SamplesPerPixel", "VOILUTFunction",
    "VOILUTSequence", "WindowCenter", "WindowWidth",
]  # fmt: skip
# What pydicom and the decoders behind it raise for damaged files; none of them has an error class of its own.
_DAMAGE = (
    ArithmeticError, AssertionError, AttributeError, BytesLengthException, EOFError, Image.DecompressionBombError,
    InvalidDicomError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError, struct.error, zlib.error,
)  # fmt: skip
_SHOWN = ("MONOCHROME1", "MONOCHROME2")  # low values white, low values black
_SAMPLED_SIDE = 512  # pixels of each side that percentiles are taken from, at least

CheckShape = Callable[[int, int], None]


@dataclass(frozen=True)
class Exposure:
    """The values of a file, [height, width] uint8, uint16, int16 or float32, and how they are meant to be shown."""

    values: npt.NDArray[Any]
    black: float  # this value and those beyond it are black
    white: float  # may be below `black`: MONOCHROME1 shows low values white
    mode: str  # "DICOM12-MONOCHROME1": bits stored, photometric interpretation


def is_dicom(data: bytes) -> bool:
    """Whether `data` has the magic word of a DICOM file, after its preamble of 128 bytes."""
    return data[128:132] == b"DICM"


def decode_dicom(data: bytes, *, check_shape: CheckShape, percentiles: tuple[float, float]) -> Exposure:
    """Decodes a DICOM file with one grey frame: uncompressed, RLE, JPEG (8 bit) or JPEG 2000.

    What is black and white is said by the first VOI LUT, else by the first window; where the file has neither,
    8-bit values are shown as they are and others between `percentiles`. MONOCHROME1 is inverted here, once, by
    exchanging the two (a Presentation LUT Shape of INVERSE says the same again). Padding becomes black.
    `check_shape(height, width)` runs before the pixels are decoded.

    Raises ImageError whose `reason` is not_an_image (no pixels), truncated, damaged, blank, or unsupported (colour,
    several frames, another compression), or as `check_shape` does.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they quote values of the file
            header = pydicom.dcmread(io.BytesIO(data), specific_tags=_TAGS, stop_before_pixels=True)
            _check_kind(header)
            check_shape(header.Rows, header.Columns)
            whole = pydicom.dcmread(io.BytesIO(data), specific_tags=_TAGS)
            _check_length(whole)
            return _expose(whole, percentiles)
    except _DAMAGE as error:
        # `from None`: the cause may quote values of the file.
        raise ImageError(
            "damaged", f"The DICOM file cannot be decoded ({type(error).__name__}). Fetch it again."
        ) from None


def _check_kind(header: pydicom.Dataset) -> None:
    if "Rows" not in header:
        raise ImageError("not_an_image", "The DICOM file describes no picture, expected an image. Replace it.")
    frames, shown = int(header.get("NumberOfFrames") or 1), header.PhotometricInterpretation
    if shown not in _SHOWN or frames != 1:
        raise ImageError(
            "unsupported", f"The DICOM file has {frames} frames of {shown}, expected one of {' or '.join(_SHOWN)}."
        )
    if not _can_decode(header):
        name = header.file_meta.TransferSyntaxUID.name
        raise ImageError("unsupported", f"The pixels are compressed as {name}, expected JPEG 2000, JPEG, RLE or none.")


def _check_length(whole: pydicom.Dataset) -> None:
    """Of a file that ends within compressed pixels pydicom gives an empty data set, of others what there is."""
    if "Rows" not in whole:
        raise ImageError("truncated", "The DICOM file ends within its compressed pixels. Fetch it again.")
    if "PixelData" not in whole:
        raise ImageError("not_an_image", "The DICOM file describes a picture but holds no pixels. Replace it.")
    found, expected = len(whole.PixelData), whole.Rows * whole.Columns * whole.BitsAllocated // 8
    if found < expected and not whole.file_meta.TransferSyntaxUID.is_compressed:
        raise ImageError("truncated", f"The DICOM file has {found} of {expected} bytes of pixels. Fetch it again.")


def _can_decode(header: pydicom.Dataset) -> bool:
    syntax = header.file_meta.TransferSyntaxUID
    if syntax == JPEGExtended12Bit and header.BitsStored > 8:
        return False  # libjpeg reads 8 bits
    try:
        return get_decoder(syntax).is_available
    except NotImplementedError:
        return False


def _expose(header: pydicom.Dataset, percentiles: tuple[float, float]) -> Exposure:
    stored = _stored_values(header)
    is_padding = _find_padding(header, stored)
    values, window = _apply_luts(header, stored)
    black, white = window or _default_window(header, values, is_padding, percentiles)
    if header.PhotometricInterpretation == "MONOCHROME1":
        black, white = white, black
    values = _in_resizable_type(values)
    if is_padding is not None:
        limits = np.iinfo(values.dtype) if values.dtype.kind in "iu" else np.finfo(values.dtype)
        values = np.where(is_padding, np.clip(round(black), limits.min, limits.max).astype(values.dtype), values)
    return Exposure(values, black, white, f"DICOM{header.BitsStored}-{header.PhotometricInterpretation}")


def _stored_values(header: pydicom.Dataset) -> npt.NDArray[Any]:
    """The decoded values; bits that the file does not count as stored (old overlays) are cleared."""
    values = header.pixel_array
    if values.shape != (header.Rows, header.Columns):
        raise ValueError(f"{values.shape} pixels in place of {header.Rows} x {header.Columns}")
    spare, highest = header.BitsAllocated - header.BitsStored, header.get("HighBit", header.BitsStored - 1)
    syntax = header.file_meta.TransferSyntaxUID
    if spare <= 0 or (syntax.is_compressed and syntax != RLELossless):
        return values
    return (values << (header.BitsAllocated - 1 - highest)) >> spare  # keeps the sign of signed values


def _find_padding(header: pydicom.Dataset, stored: npt.NDArray[Any]) -> npt.NDArray[np.bool_] | None:
    """Where the detector saw nothing (PS3.3 C.7.5.1.1.2); None where the file names no such value."""
    value = _number(header, "PixelPaddingValue")
    if value is None:
        return None
    limit = _number(header, "PixelPaddingRangeLimit")
    low, high = sorted((value, value if limit is None else limit))
    return (stored >= low) & (stored <= high)


def _apply_luts(
    header: pydicom.Dataset, stored: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], tuple[float, float] | None]:
    """The values after whatever table the file has, and the window in their unit; None where the file names none.

    A linear window on a linear rescale is moved to the stored values, which spares a full-size copy in floats.
    """
    values, slope, intercept = (
        stored,
        _number(header, "RescaleSlope") or 1.0,
        _number(header, "RescaleIntercept") or 0.0,
    )
    if header.get("ModalityLUTSequence"):
        values, slope, intercept = _look_up(header, stored, header.ModalityLUTSequence[0])[0], 1.0, 0.0
    if header.get("VOILUTSequence"):
        rescaled = values if (slope, intercept) == (1.0, 0.0) else np.rint(values * slope + intercept)
        return _look_up(header, rescaled, header.VOILUTSequence[0])
    centre, width = _number(header, "WindowCenter"), _number(header, "WindowWidth")
    if centre is None or width is None or width <= 1:  # a window of one value would leave no greys
        return values, None
    function = str(header.get("VOILUTFunction") or "LINEAR").upper()
    if function == "SIGMOID":  # C.11.2.1.3.1
        share = 1 / (1 + np.exp(-4 * (values.astype(np.float32) * slope + intercept - centre) / width))
        return np.rint(share * 65535).astype(np.uint16), (0.0, 65535.0)
    if function == "LINEAR":  # C.11.2.1.2.1: counts whole values; LINEAR_EXACT does not
        centre, width = centre - 0.5, width - 1
    return values, ((centre - width / 2 - intercept) / slope, (centre + width / 2 - intercept) / slope)


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
    index = np.clip(values.astype(np.int32) - first, 0, len(table) - 1)
    return table[index], (0.0, float(2**bits - 1))


def _default_window(
    header: pydicom.Dataset,
    values: npt.NDArray[Any],
    is_padding: npt.NDArray[np.bool_] | None,
    percentiles: tuple[float, float],
) -> tuple[float, float]:
    if values.dtype == np.uint8 and header.BitsStored == 8:
        return 0.0, 255.0
    step = max(1, min(values.shape) // _SAMPLED_SIDE)
    sample = values[::step, ::step]
    if is_padding is not None:
        sample = sample[~is_padding[::step, ::step]]
    black, white = np.percentile(sample, percentiles) if sample.size else (0.0, 0.0)
    if black == white:
        raise ImageError("blank", "All pixels of the DICOM file but padding have one value. Replace the image.")
    return float(black), float(white)


def _in_resizable_type(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """OpenCV resizes these types; others (8-bit signed, 32-bit) become floats."""
    return values if values.dtype in (np.uint8, np.uint16, np.int16) else values.astype(np.float32)


def _number(header: pydicom.Dataset, keyword: str) -> float | None:
    """The first value of a tag; None where it is absent, empty or no number."""
    value = header.get(keyword)
    if isinstance(value, pydicom.multival.MultiValue):
        value = value[0] if value else None
    if value is None or value == "":
        return None
    return float(value) if math.isfinite(value) else None
