"""Uncompressed pixel data: whether they are as long as the header says, and the values of one frame."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode.dicom.fragments import FIRST_ITEM

UNDEFINED = 0xFFFFFFFF  # length of an element that ends with a delimiter
HALVED = "YBR_FULL_422"  # two pixels share their colour: Y Y Cb Cr (PS3.3 C.7.6.3.1.2)

_MEND = "Export the file again from its archive."


def read_native(
    header: pydicom.Dataset, data: memoryview, length: int, *, order: str, is_swapped: bool, frame: int
) -> npt.NDArray[Any]:
    """Frame number `frame`, from 1, as [rows, columns] or [rows, columns, samples]: a view of `data` where that can be.

    `is_swapped`: bytes lie in words of the other order (PS3.5 8.1.1). Raises ImageError `truncated` or `damaged`.
    """
    frames, samples = int(header.get("NumberOfFrames") or 1), header.get("SamplesPerPixel") or 1
    item, pixels = header.BitsAllocated // 8, header.Rows * header.Columns
    count = 2 * pixels if header.PhotometricInterpretation == HALVED else samples * pixels
    _check_length(header, data, length, frames * count * item)
    if is_swapped:
        whole = frames * count
        pairs = np.frombuffer(data[: whole + whole % 2], dtype=np.uint16).byteswap()
        values = pairs.view(np.uint8)[(frame - 1) * count : frame * count]
    else:
        values = np.frombuffer(data, dtype=f"{order}u{item}", count=count, offset=(frame - 1) * count * item)
    return _arrange(header, values.astype(values.dtype.newbyteorder("="), copy=False), samples)


def arrange_planes(values: npt.NDArray[Any], rows: int, columns: int) -> npt.NDArray[Any]:
    """Samples that lie one plane after the other, as [rows, columns, samples]."""
    return np.moveaxis(values.reshape(-1, rows, columns), 0, -1)


def _arrange(header: pydicom.Dataset, values: npt.NDArray[Any], samples: int) -> npt.NDArray[Any]:
    rows, columns = header.Rows, header.Columns
    if header.PhotometricInterpretation == HALVED:
        pairs = values.reshape(rows, columns // 2, 4)
        light = pairs[..., :2].reshape(rows, columns, 1)
        return np.concatenate([light, np.repeat(pairs[..., 2:], 2, axis=1)], axis=2)
    if samples == 1:
        return values.reshape(rows, columns)
    if header.get("PlanarConfiguration"):
        return arrange_planes(values, rows, columns)
    return values.reshape(rows, columns, samples)


def _check_length(header: pydicom.Dataset, data: memoryview, length: int, needed: int) -> None:
    """An element of another length than the header's picture holds another picture, or is followed by other bytes."""
    if length == UNDEFINED or (length != needed and data[:4] == FIRST_ITEM):
        raise ImageError("damaged", f"The pixels are compressed, which the transfer syntax denies. {_MEND}")
    if len(data) < min(length, needed):
        raise ImageError("truncated", f"The DICOM file has {len(data)} of {needed} bytes of pixels. Fetch it again.")
    if length < needed:
        raise ImageError("truncated", f"The pixel data have {length} bytes, the header asks for {needed}. {_MEND}")
    if length > needed + needed % 2:  # PS3.5 8.1.1: an odd length is padded to an even one
        found = f"{length} bytes, {header.Columns} x {header.Rows} pixels of {header.BitsAllocated} bits are {needed}"
        raise ImageError("damaged", f"The pixel data have {found}: the header is of another picture. {_MEND}")
