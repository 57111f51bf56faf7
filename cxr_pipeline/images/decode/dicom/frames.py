"""From the pixel data element of a DICOM file to the stored values, in every transfer syntax that is read.

The libraries are permissive (imagecodecs BSD, simplejpeg MIT, Pillow); pydicom's own path through plugins is not used:
it copies uncompressed pixels twice, has no JPEG Lossless without GPL code, and decodes nothing at a fraction.
"""

import struct
from collections.abc import Callable, Iterator
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode.dicom.checks import DEPTHS
from cxr_pipeline.images.decode.exposure import Plane
from cxr_pipeline.images.decode.jpeg import (
    decode_grey_frame,
    decode_jpeg_ls_frame,
    decode_precise_frame,
    read_frame_header,
)
from cxr_pipeline.images.decode.jpeg2000 import decode_jpeg_2000, read_code_stream

_LONG_FORM = (b"OB", b"OW", b"UN")  # value representations of pixel data, PS3.5 7.1.2
_UNDEFINED = 0xFFFFFFFF
_FIRST_ITEM = b"\xfe\xff\x00\xe0"
_MEND = "Export the file again from its archive."
_PIXEL_DATA, _ITEM, _DELIMITER = (0x7FE0, 0x0010), (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)


def decode_pixels(header: pydicom.Dataset, element: memoryview, *, stored_side: int | None) -> Plane:
    """The stored values uint8, uint16 or int16 of one frame; `element` starts at the tag of the pixel data.

    `stored_side`: see `dicom.decode_dicom`. Raises ImageError with reason `not_an_image`, `truncated`, `damaged` or
    `unsupported`.
    """
    syntax = UID(header.file_meta.TransferSyntaxUID)
    order = "<" if syntax.is_little_endian else ">"
    start, length, representation = _read_element_header(element, order)
    if not syntax.is_compressed:
        _check_length(header, element[start:], length)
        return Plane(_mask(header, _native_values(header, element[start:], order, representation)))
    decode = _DECODERS.get(syntax)
    if decode is None:
        raise ImageError("unsupported", f"The pixels are compressed as {syntax.name}, which is not read. Convert it.")
    if length != _UNDEFINED:
        raise ImageError("damaged", f"The pixels are not compressed as {syntax.name}, as the header says. {_MEND}")
    return decode(header, _join_fragments(element[start:]), stored_side)


def _read_element_header(element: memoryview, order: str) -> tuple[int, int, bytes]:
    """Where the value starts, how long it is, and its value representation (none in implicit syntaxes)."""
    if len(element) < 12 or struct.unpack_from(f"{order}2H", element) != _PIXEL_DATA:
        raise ImageError("not_an_image", "The DICOM file describes a picture but holds no pixels. Replace it.")
    representation = bytes(element[4:6])
    if representation in _LONG_FORM:
        return 12, struct.unpack_from(f"{order}I", element, 8)[0], representation
    return 8, struct.unpack_from(f"{order}I", element, 4)[0], b""


def _check_length(header: pydicom.Dataset, data: memoryview, length: int) -> None:
    """An element of another length than the header's picture holds another picture, or is followed by other bytes."""
    needed = header.Rows * header.Columns * (header.BitsAllocated // 8)
    if length == _UNDEFINED or (length != needed and data[:4] == _FIRST_ITEM):
        raise ImageError("damaged", f"The pixels are compressed, which the transfer syntax denies. {_MEND}")
    if len(data) < min(length, needed):
        raise ImageError("truncated", f"The DICOM file has {len(data)} of {needed} bytes of pixels. Fetch it again.")
    if length < needed:
        raise ImageError("truncated", f"The pixel data have {length} bytes, the header asks for {needed}. {_MEND}")
    if length > needed + needed % 2:  # PS3.5 8.1.1: an odd length is padded to an even one
        found = f"{length} bytes, {header.Columns} x {header.Rows} pixels of {header.BitsAllocated} bits are {needed}"
        raise ImageError("damaged", f"The pixel data have {found}: the header is of another picture. {_MEND}")


def _native_values(header: pydicom.Dataset, data: memoryview, order: str, representation: bytes) -> npt.NDArray[Any]:
    """A view of the file's bytes, or in native order a copy."""
    count, item = header.Rows * header.Columns, header.BitsAllocated // 8
    if item == 1 and order == ">" and representation == b"OW":  # PS3.5 8.1.1: bytes are swapped in pairs
        pairs = np.frombuffer(data[: count + count % 2], dtype=np.uint16).byteswap()
        values = pairs.view(np.uint8)[:count]
    else:
        values = np.frombuffer(data, dtype=f"{order}u{item}", count=count)
    return values.astype(values.dtype.newbyteorder("="), copy=False).reshape(header.Rows, header.Columns)


def _join_fragments(data: memoryview) -> bytes:
    """The compressed frame: every item but the first, which is the offset table (PS3.5 A.4)."""
    _, *fragments = _items(data)
    return b"".join(fragments)


def _items(data: memoryview) -> Iterator[memoryview]:
    start = 0
    while start + 8 <= len(data):
        tag, length = struct.unpack_from("<2H", data, start), struct.unpack_from("<I", data, start + 4)[0]
        if tag == _DELIMITER:
            return
        if tag != _ITEM:
            raise ImageError("damaged", "The compressed pixels are not in a sequence of items. Fetch the file again.")
        start += 8 + length
        if start <= len(data):
            yield data[start - length : start]
    raise ImageError("truncated", "The DICOM file ends within its compressed pixels. Fetch it again.")


def _decode_jpeg(header: pydicom.Dataset, frame: bytes, stored_side: int | None) -> Plane:
    """Baseline and extended JPEG. Signed values cannot be averaged before their sign is known."""
    _check_frame(header, frame)
    if read_frame_header(frame).precision > 8:
        return Plane(_sign(header, decode_precise_frame(frame)))
    plane = decode_grey_frame(frame, stored_side=None if header.PixelRepresentation else stored_side)
    return Plane(_sign(header, plane.values), plane.factor)


def _decode_lossless_jpeg(header: pydicom.Dataset, frame: bytes, stored_side: int | None) -> Plane:
    _check_frame(header, frame)
    return Plane(_sign(header, decode_precise_frame(frame)))


def _decode_jpeg_ls(header: pydicom.Dataset, frame: bytes, stored_side: int | None) -> Plane:
    _check_frame(header, frame)
    return Plane(_sign(header, decode_jpeg_ls_frame(frame)))


def _decode_jpeg_2000(header: pydicom.Dataset, frame: bytes, stored_side: int | None) -> Plane:
    """The code stream itself says whether it is signed; where only the header does, values wrap around."""
    stream = read_code_stream(frame)
    _check_claim(header, stream.height, stream.width, stream.components, stream.precision)
    must_wrap = header.PixelRepresentation and not stream.is_signed
    plane = decode_jpeg_2000(frame, stream, stored_side=None if must_wrap else stored_side)
    return Plane(_sign(header, plane.values) if must_wrap else plane.values, plane.factor, plane.phase)


def _decode_rle(header: pydicom.Dataset, frame: bytes, stored_side: int | None) -> Plane:
    item = header.BitsAllocated // 8
    length = header.Rows * header.Columns * item
    decoded = imagecodecs.dicomrle_decode(frame, f"<u{item}", out=length)
    if len(decoded) != length:
        raise ImageError("truncated", f"The RLE frame holds {len(decoded)} of {length} bytes. Fetch the file again.")
    values = np.frombuffer(decoded, dtype=f"<u{item}").reshape(header.Rows, header.Columns)
    return Plane(_mask(header, values))


_DECODERS: dict[str, Callable[[pydicom.Dataset, bytes, int | None], Plane]] = {
    JPEGBaseline8Bit: _decode_jpeg,
    JPEGExtended12Bit: _decode_jpeg,
    JPEGLossless: _decode_lossless_jpeg,
    JPEGLosslessSV1: _decode_lossless_jpeg,
    JPEGLSLossless: _decode_jpeg_ls,
    JPEGLSNearLossless: _decode_jpeg_ls,
    JPEG2000Lossless: _decode_jpeg_2000,
    JPEG2000: _decode_jpeg_2000,
    RLELossless: _decode_rle,
}


def _check_frame(header: pydicom.Dataset, frame: bytes) -> None:
    claim = read_frame_header(frame)
    _check_claim(header, claim.height, claim.width, claim.components, claim.precision)


def _check_claim(header: pydicom.Dataset, height: int, width: int, components: int, precision: int) -> None:
    """A frame of another size than the header's could unpack to anything."""
    if (height, width, components) != (header.Rows, header.Columns, 1):
        found, expected = f"{width} x {height} x {components}", f"{header.Columns} x {header.Rows} x 1"
        raise ImageError("damaged", f"The compressed frame has {found} values, expected {expected}. Fetch it again.")
    if precision > max(DEPTHS):
        raise ImageError("unsupported", f"The compressed frame has {precision} bits, expected at most 16. Convert it.")


def _sign(header: pydicom.Dataset, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Decoders give the stored bits as unsigned numbers; signed ones are two's complements within them."""
    if not header.PixelRepresentation:
        return values
    return _cut(values, min(header.BitsStored, 8 * values.dtype.itemsize), highest=None, is_signed=True)


def _mask(header: pydicom.Dataset, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Clears the bits that the file does not count as stored (old overlays), which most files leave empty."""
    bits, highest = header.BitsStored, header.get("HighBit", header.BitsStored - 1)
    is_signed = bool(header.PixelRepresentation)
    if not is_signed and highest == bits - 1 and int(values.max()) >> bits == 0:
        return values
    return _cut(values, bits, highest=highest, is_signed=is_signed)


def _cut(values: npt.NDArray[Any], bits: int, *, highest: int | None, is_signed: bool) -> npt.NDArray[Any]:
    allocated = 8 * values.dtype.itemsize
    top = bits - 1 if highest is None else highest
    signed = values.view(f"i{values.dtype.itemsize}") if is_signed else values
    cut = (signed << (allocated - 1 - top)) >> (allocated - bits)  # the shift back repeats the sign
    return cut.astype(np.int16) if cut.dtype == np.int8 else cut
