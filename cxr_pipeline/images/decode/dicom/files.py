"""From the bytes of a DICOM file to its exposure. What is read of the header is here.

Which files are refused is decided in `checks`, how pixels are decoded in `frames`, what is white in `display`.
"""

import io
import math
import struct
import warnings
import zlib
from typing import NamedTuple

import pydicom
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
)

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode.dicom.checks import GREY, check_header
from cxr_pipeline.images.decode.dicom.colours import NAMES, PALETTE, grey_of_channels, grey_of_palette
from cxr_pipeline.images.decode.dicom.display import Shown, has_padding, is_linear, show, show_linear
from cxr_pipeline.images.decode.dicom.frames import decode_pixels
from cxr_pipeline.images.decode.dicom.groups import GROUPS, lift_frame_tags
from cxr_pipeline.images.decode.dicom.preamble import find_start, guess_syntax, has_meta
from cxr_pipeline.images.decode.exposure import MAX_SOURCE_PIXELS, Exposure, Plane, check_decoded, check_shape

SPACING_TOLERANCE = 0.01  # spacings nearer than that are square pixels, written with few digits

_TAGS: list[BaseTag | int] = [
    Tag(keyword)
    for keyword in (
        "BitsAllocated", "BitsStored", "BluePaletteColorLookupTableData", "BluePaletteColorLookupTableDescriptor",
        "BodyPartExamined", "Columns", "GreenPaletteColorLookupTableData", "GreenPaletteColorLookupTableDescriptor",
        "HighBit", "ImagerPixelSpacing", "Modality",
        "ModalityLUTSequence", "NumberOfFrames", "PhotometricInterpretation", "PixelAspectRatio",
        "PixelPaddingRangeLimit", "PixelPaddingValue", "PixelRepresentation", "PixelSpacing", "PlanarConfiguration",
        "RedPaletteColorLookupTableData", "RedPaletteColorLookupTableDescriptor", "RescaleIntercept",
        "RescaleSlope", "Rows", "SamplesPerPixel", "VOILUTFunction", "VOILUTSequence", "WindowCenter", "WindowWidth",
        *GROUPS,
    )
]  # fmt: skip
_PIXEL_DATA = 0x7FE00010
_MAX_INFLATED = 4 * MAX_SOURCE_PIXELS
# What pydicom and the decoders behind it raise for damaged files; they have no error class in common.
_DAMAGE = (
    ArithmeticError, AssertionError, AttributeError, BytesLengthException, EOFError, Image.DecompressionBombError,
    InvalidDicomError, LookupError, MemoryError, OSError, RuntimeError, SyntaxError, TypeError, ValueError,
    struct.error, zlib.error,
)  # fmt: skip


class DicomFile(NamedTuple):
    """The tags of _TAGS, and the bytes from the pixel data element on. No tag that names a patient is parsed."""

    header: pydicom.Dataset
    element: memoryview


def decode_dicom(data: bytes, *, stored_side: int | None, frame: int | None = None) -> Exposure:
    """Decodes a grey frame of 8 or 16 allocated bits, in any compression of `frames`; colours that are grey count.

    `frame` is its number, from 1; None where the file should have only one.

    `stored_side` is the long side, pixels, that it will be resized to: where the values are shown linearly, which is
    when it makes no difference, no more of a frame is decoded than that asks for; None decodes every pixel.

    Raises ImageError whose `reason` is not_an_image (no pixels), not_radiograph, not_chest, truncated, damaged, blank,
    or unsupported (colours, several frames and none stated, another compression), or as `check_shape` does.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they quote values of the file
            return _decode(_read(data), stored_side, frame)
    except _DAMAGE as error:
        # `from None`: the cause may quote values of the file.
        raise ImageError(
            "damaged", f"The DICOM file cannot be decoded ({type(error).__name__}). Fetch it again."
        ) from None


def _read(data: bytes) -> DicomFile:
    """Stops before the pixels, which are never copied."""
    buffer = io.BytesIO(data)
    start = find_start(data) or 0
    buffer.seek(start)
    meta = FileMetaDataset()
    if has_meta(data[start : start + 8]):
        meta = FileMetaDataset(read_dataset(buffer, False, True, stop_when=lambda tag, *_: tag.group != 2))
    if "TransferSyntaxUID" not in meta:
        meta.TransferSyntaxUID = guess_syntax(data[buffer.tell() : buffer.tell() + 8])
    syntax = meta.TransferSyntaxUID
    if syntax == DeflatedExplicitVRLittleEndian:
        data = _inflate(data[buffer.tell() :])
        buffer = io.BytesIO(data)
    header = read_dataset(
        buffer, syntax.is_implicit_VR, syntax.is_little_endian, stop_when=_is_at_pixels, specific_tags=_TAGS
    )
    header.file_meta = meta
    return DicomFile(header, memoryview(data)[buffer.tell() :])


def _is_at_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
    return tag >= _PIXEL_DATA


def _inflate(data: bytes) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = inflater.decompress(data, _MAX_INFLATED)
    if inflater.unconsumed_tail:
        raise ImageError("too_large", f"The DICOM file inflates to more than {_MAX_INFLATED} bytes. Replace it.")
    if not inflater.eof:
        raise ImageError("truncated", "The DICOM file ends within its deflated part. Fetch it again.")
    return inflated


def _decode(file: DicomFile, stored_side: int | None, frame: int | None) -> Exposure:
    header = file.header
    lift_frame_tags(header, frame or 1)
    check_header(header, frame)
    aspect = _pixel_aspect(header)
    check_shape(header.Rows, header.Columns, pixel_aspect=aspect)
    shown = _show(file, stored_side if aspect == 1 else None, frame or 1)
    photometric = NAMES.get(header.PhotometricInterpretation, str(header.PhotometricInterpretation))
    return Exposure(
        plane=shown.plane,
        height=header.Rows,
        width=header.Columns,
        bit_depth=header.BitsStored,
        photometric=photometric,
        mode=f"DICOM{header.BitsStored}-{photometric}",
        window=shown.window,
        is_window_stated=shown.is_window_stated,
        is_inverted=shown.is_inverted,
        pixel_aspect=aspect,
    )


def _show(file: DicomFile, stored_side: int | None, frame: int) -> Shown:
    header = file.header
    if header.PhotometricInterpretation not in GREY:
        return _show_colours(header, _decode_plane(file, None, frame))
    plane = _decode_plane(file, stored_side if is_linear(header) else None, frame)
    is_padded = has_padding(header, plane.values)
    if is_padded and plane.factor > 1:  # padding must not be averaged with what the detector saw
        plane = _decode_plane(file, None, frame)
    return show(header, plane) if is_padded or not is_linear(header) else show_linear(header, plane)


def _show_colours(header: pydicom.Dataset, plane: Plane) -> Shown:
    if header.PhotometricInterpretation == PALETTE:
        return Shown(*grey_of_palette(header, plane.values), is_inverted=False)
    # The decoder of JPEG turns chroma back itself, that of JPEG 2000 what is named YBR_RCT and YBR_ICT.
    is_luma = header.PhotometricInterpretation.startswith("YBR_FULL")
    is_luma = is_luma and header.file_meta.TransferSyntaxUID not in (JPEGBaseline8Bit, JPEGExtended12Bit)
    return Shown(*grey_of_channels(plane.values, header.BitsStored, is_luma=is_luma), is_inverted=False)


def _decode_plane(file: DicomFile, stored_side: int | None, frame: int) -> Plane:
    plane = decode_pixels(file.header, file.element, stored_side=stored_side, frame=frame)
    return check_decoded(plane, file.header.Rows, file.header.Columns)


def _pixel_aspect(header: pydicom.Dataset) -> float:
    """Height over width of a pixel: PixelAspectRatio (PS3.3 C.7.6.3.1.7), else the spacings at detector or patient."""
    for keyword in ("PixelAspectRatio", "ImagerPixelSpacing", "PixelSpacing"):
        pair = header.get(keyword)
        if isinstance(pair, pydicom.multival.MultiValue) and len(pair) == 2:
            vertical, horizontal = (float(value) for value in pair)
            if min(vertical, horizontal) > 0 and math.isfinite(vertical / horizontal):
                aspect = vertical / horizontal
                return 1.0 if abs(aspect - 1) < SPACING_TOLERANCE else aspect
    return 1.0
