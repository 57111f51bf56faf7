"""JPEG: whole files, and the compressed frames of DICOM files (baseline, 12 bits, lossless)."""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import imagecodecs
import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode.exposure import WHOLE_BYTE, Exposure, Plane, check_decoded, check_shape
from cxr_pipeline.images.decode.jpeg_segments import END, START, find_other_process, has_scan, mend

T = TypeVar("T")

OVERSAMPLING = 1.75  # a fraction of the size keeps at least so many values per stored pixel: >= 53 dB, see benchmarks
FACTORS = (8, 4, 2)  # libjpeg's other fractions (7/8, 5/8, 3/8) lose 3 to 6 dB against these

_MAX_REPAIRS = 64  # a progressive file has about ten scans, each of which may be padded
_PHOTOMETRIC = {"Gray": "MONOCHROME2"}
_MODES = {"Gray": "L", "CMYK": "CMYK", "YCCK": "CMYK"}


@dataclass(frozen=True)
class FrameHeader:
    """The SOFn segment (ITU-T T.81 B.2.2; T.87 C.2.2 for JPEG-LS)."""

    precision: int
    height: int
    width: int
    components: int


def is_jpeg(data: bytes) -> bool:
    """Whether `data` starts as a JPEG file does."""
    return data.startswith(START + b"\xff")


def decode_jpeg(data: bytes, *, stored_side: int | None) -> Exposure:
    """Decodes a JPEG file of 8 bits, by libjpeg-turbo at 1/2, 1/4 or 1/8 of its size where that is enough.

    `stored_side` is the long side, pixels, that it will be resized to; None decodes every pixel. The decoder is
    strict: unlike OpenCV and Pillow it refuses damage that it notices in the middle of the data. What is no part of
    the picture (see `jpeg_segments`) is passed over, as they do.

    Raises ImageError with reason `truncated`, `damaged` or `unsupported` (12 bits, lossless, JPEG-LS), or as
    `check_shape` does.
    """
    return _decode_mended(data, lambda some: _decode_file(some, stored_side))


def decode_grey_frame(data: bytes, *, stored_side: int | None) -> Plane:
    """The one component of a JPEG frame of 8 bits, maybe at a fraction of its size, as `decode_jpeg` has it."""
    header = read_frame_header(data)
    shape = header.height, header.width
    return _decode_mended(data, lambda some: _decode_fraction(some, "GRAY", shape, stored_side))


def decode_colour_frame(data: bytes) -> npt.NDArray[np.uint8]:
    """The three components of a JPEG frame of 8 bits as RGB [rows, columns, 3]."""
    return _decode_mended(data, lambda some: simplejpeg.decode_jpeg(some, "RGB"))


def decode_precise_frame(data: bytes) -> npt.NDArray[Any]:
    """The values, uint8 or uint16, of a JPEG frame of 12 bits or of lossless JPEG.

    imagecodecs' libjpeg-turbo 3: 56 ms for 2500 x 3000 pixels, where its liblj92 takes 78 (2-core Xeon VM,
    2026-11-23). It gives truncated frames out as whole, so their end is looked for first.
    """
    _check_end(data)
    return imagecodecs.jpeg8_decode(data)


def decode_jpeg_ls_frame(data: bytes) -> npt.NDArray[Any]:
    """The values, uint8 or uint16, of a JPEG-LS frame; CharLS spends 10 s on a small one that lacks its end."""
    _check_end(data)
    return imagecodecs.jpegls_decode(data)


def read_frame_header(data: bytes) -> FrameHeader:
    """The size that a JPEG or JPEG-LS frame claims, before memory is set aside for it.

    Raises ImageError with reason `damaged` where there is none.
    """
    start = 2
    while data.startswith(START) and start + 10 <= len(data) and data[start] == 0xFF:
        code, length = struct.unpack_from(">xBH", data, start)
        if code == 0xF7 or (0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC)):
            return FrameHeader(*struct.unpack_from(">BHHB", data, start + 4))
        start += 1 if code == 0xFF else 2 + length  # 0xFF may be repeated before a marker
    raise ImageError("damaged", "The JPEG has no frame header. Fetch the file again.")


def _check_end(data: bytes) -> None:
    if not data[-64:].rstrip(b"\x00").endswith(END):
        raise ImageError("truncated", "The compressed frame has no end marker. Fetch the file again.")


def _decode_mended(data: bytes, decode: Callable[[bytes], T]) -> T:
    """`decode(data)`; where that raises ValueError, of `data` without what is no part of the picture."""
    whole, complaints = data, list[ValueError]()
    while True:
        try:
            return decode(whole)
        except ValueError as error:
            complaints.append(error)
            mended = mend(whole, f"{error}")
            if mended == whole or len(complaints) > _MAX_REPAIRS:
                raise _refusal(data, complaints) from error
            whole = mended


def _decode_file(data: bytes, stored_side: int | None) -> Exposure:
    height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    check_shape(height, width)
    if colours in ("CMYK", "YCCK"):
        plane = Plane(_decode_cmyk(data))
    else:
        plane = _decode_fraction(data, "GRAY" if colours == "Gray" else "RGB", (height, width), stored_side)
    return Exposure(
        plane=check_decoded(plane, height, width),
        height=height,
        width=width,
        bit_depth=8,
        photometric=_PHOTOMETRIC.get(colours, colours.upper()),
        mode=f"{_MODES.get(colours, 'RGB')}8",
        window=WHOLE_BYTE,
    )


def _decode_fraction(data: bytes, colours: str, shape: tuple[int, int], stored_side: int | None) -> Plane:
    factor = _choose_factor(max(shape), stored_side)
    height, width = (-(-side // factor) for side in shape)
    values = simplejpeg.decode_jpeg(data, colours, min_height=height, min_width=width, min_factor=1)
    return Plane(values[..., 0] if colours == "GRAY" else values, factor)


def _choose_factor(side: int, stored_side: int | None) -> int:
    if stored_side is None:
        return 1
    return next((factor for factor in FACTORS if side >= OVERSAMPLING * stored_side * factor), 1)


def _decode_cmyk(data: bytes) -> npt.NDArray[np.uint8]:
    """By Pillow, which knows that Adobe stores the four inks inverted; the class, since `Image.open` warns.

    Pillow reads over damage, so the strict decoder looks first.
    """
    simplejpeg.decode_jpeg(data, "CMYK", min_height=1, min_width=1, min_factor=8)
    try:
        with JpegImageFile(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{error}") from error


def _refusal(data: bytes, complaints: list[ValueError]) -> ImageError:
    """In the words of the last complaint: those before it were mended."""
    if process := find_other_process(data):
        found = f"The JPEG is {process}, expected 8 bits of grey or colour, sequential or progressive"
        return ImageError("unsupported", f"{found}. Convert it to PNG.")
    is_cut = END not in data[-4096:] or any(f"{one}".startswith("Premature end of JPEG") for one in complaints)
    if not is_cut and "subsampling" in f"{complaints[-1]}" and has_scan(data):
        return ImageError("unsupported", "The JPEG stores its colours at unusual sizes. Convert it to PNG.")
    found = f"The JPEG cannot be decoded to its end: {complaints[-1]}"
    return ImageError("truncated" if is_cut else "damaged", f"{found}. Fetch it again.")
