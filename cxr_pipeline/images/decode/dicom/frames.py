"""From the pixel data element of a DICOM file to the stored values, in every transfer syntax that is read.

The libraries are permissive (imagecodecs BSD, simplejpeg MIT, Pillow); pydicom's own path through plugins is not used:
it copies uncompressed pixels twice, has no JPEG Lossless without GPL code, and decodes nothing at a fraction.
"""

import struct
from collections.abc import Callable
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
from cxr_pipeline.images.decode.dicom.fragments import join_fragments
from cxr_pipeline.images.decode.dicom.native import UNDEFINED, arrange_planes, read_native
from cxr_pipeline.images.decode.exposure import Plane
from cxr_pipeline.images.decode.jpeg import (
    decode_colour_frame,
    decode_grey_frame,
    decode_jpeg_ls_frame,
    decode_precise_frame,
    read_frame_header,
)
from cxr_pipeline.images.decode.jpeg2000 import decode_jpeg_2000, read_code_stream

_LONG_FORM = (b"OB", b"OW", b"UN")  # value representations of pixel data, PS3.5 7.1.2
_PIXEL_DATA = (0x7FE0, 0x0010)
_MEND = "Export the file again from its archive."
_MEND_HEADER = "Mend the header, or export the file again from its archive."
_MANY_STEPS, _MOST = 0.001, 0.5  # shares of the steps from a pixel to the next


def decode_pixels(header: pydicom.Dataset, element: memoryview, *, stored_side: int | None, frame: int = 1) -> Plane:
    """The stored values uint8, uint16 or int16 of frame number `frame`; `element` starts at the tag of the pixel data.

    [rows, columns], and where the header counts three samples [rows, columns, 3]. `stored_side`: see
    `files.decode_dicom`. Raises ImageError with reason `not_an_image`, `truncated`, `damaged` or `unsupported`.
    """
    syntax = UID(header.file_meta.TransferSyntaxUID)
    order = "<" if syntax.is_little_endian else ">"
    start, length, representation = _read_element_header(element, order)
    if not syntax.is_compressed:
        is_swapped = header.BitsAllocated == 8 and order == ">" and representation == b"OW"
        native = read_native(header, element[start:], length, order=order, is_swapped=is_swapped, frame=frame)
        return Plane(_mask(header, native))
    decode = _DECODERS.get(syntax)
    if decode is None:
        raise ImageError("unsupported", f"The pixels are compressed as {syntax.name}, which is not read. Convert it.")
    if length != UNDEFINED:
        raise ImageError("damaged", f"The pixels are not compressed as {syntax.name}, as the header says. {_MEND}")
    frames = int(header.get("NumberOfFrames") or 1)
    return decode(header, join_fragments(element[start:], frame=frame, frames=frames), stored_side)


def _read_element_header(element: memoryview, order: str) -> tuple[int, int, bytes]:
    """Where the value starts, how long it is, and its value representation (none in implicit syntaxes)."""
    if len(element) < 12 or struct.unpack_from(f"{order}2H", element) != _PIXEL_DATA:
        raise ImageError("not_an_image", "The DICOM file describes a picture but holds no pixels. Replace it.")
    representation = bytes(element[4:6])
    if representation in _LONG_FORM:
        return 12, struct.unpack_from(f"{order}I", element, 8)[0], representation
    return 8, struct.unpack_from(f"{order}I", element, 4)[0], b""


def _decode_jpeg(header: pydicom.Dataset, frame: bytes, stored_side: int | None) -> Plane:
    """Baseline and extended JPEG. Signed values cannot be averaged before their sign is known."""
    _check_frame(header, frame)
    if read_frame_header(frame).precision > 8:
        return Plane(_sign(header, decode_precise_frame(frame)))
    if _samples(header) == 3:
        return Plane(decode_colour_frame(frame))
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
    if stream.components == 3:
        return Plane(imagecodecs.jpeg2k_decode(frame))
    must_wrap = header.PixelRepresentation and not stream.is_signed
    plane = decode_jpeg_2000(frame, stream, stored_side=None if must_wrap else stored_side)
    return Plane(_sign(header, plane.values) if must_wrap else plane.values, plane.factor, plane.phase)


def _decode_rle(header: pydicom.Dataset, frame: bytes, stored_side: int | None) -> Plane:
    item, samples = header.BitsAllocated // 8, _samples(header)
    length = header.Rows * header.Columns * item * samples
    found = int.from_bytes(frame[:4], "little")
    if found != item * samples:
        raise ImageError("damaged", f"The RLE frame has {found} segments, expected {item * samples}. {_MEND}")
    decoded = imagecodecs.dicomrle_decode(frame, f"<u{item}", out=length)
    if len(decoded) != length:
        raise ImageError("truncated", f"The RLE frame holds {len(decoded)} of {length} bytes. Fetch the file again.")
    values = np.frombuffer(decoded, dtype=f"<u{item}")
    planes = arrange_planes(values, header.Rows, header.Columns)
    return Plane(_mask(header, planes if samples > 1 else planes[..., 0]))


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


def _samples(header: pydicom.Dataset) -> int:
    return int(header.get("SamplesPerPixel") or 1)


def _check_frame(header: pydicom.Dataset, frame: bytes) -> None:
    claim = read_frame_header(frame)
    _check_claim(header, claim.height, claim.width, claim.components, claim.precision)


def _check_claim(header: pydicom.Dataset, height: int, width: int, components: int, precision: int) -> None:
    """A frame of another size than the header's could unpack to anything."""
    samples = _samples(header)
    if (height, width, components) != (header.Rows, header.Columns, samples):
        found, expected = f"{width} x {height} x {components}", f"{header.Columns} x {header.Rows} x {samples}"
        raise ImageError("damaged", f"The compressed frame has {found} values, expected {expected}. {_MEND}")
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
    cut = _cut(values, bits, highest=highest, is_signed=is_signed)
    if not is_signed and highest == bits - 1:
        _require_counted(values, cut, bits)
    return cut


def _require_counted(whole: npt.NDArray[Any], cut: npt.NDArray[Any], bits: int) -> None:
    """Raises ImageError `damaged` where values go on beyond the bits that the header counts: without the upper ones the
    picture would jump from white to black. Overlays are no smoother with the values below them than apart."""
    beyond = np.diff(whole.astype(np.int32) - cut, axis=1) != 0
    if beyond.mean() < _MANY_STEPS:
        return
    steps = np.abs(np.diff(whole.astype(np.int32), axis=1)), np.abs(np.diff(cut.astype(np.int32), axis=1))
    if (steps[0] <= steps[1])[beyond].mean() > _MOST:
        raise ImageError("damaged", f"The values go on beyond the {bits} bits that BitsStored counts. {_MEND_HEADER}")


def _cut(values: npt.NDArray[Any], bits: int, *, highest: int | None, is_signed: bool) -> npt.NDArray[Any]:
    allocated = 8 * values.dtype.itemsize
    top = bits - 1 if highest is None else highest
    signed = values.view(f"i{values.dtype.itemsize}") if is_signed else values
    cut = (signed << (allocated - 1 - top)) >> (allocated - bits)  # the shift back repeats the sign
    return cut.astype(np.int16) if cut.dtype == np.int8 else cut
