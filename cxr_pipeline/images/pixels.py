"""From an image file to the pixels that the store keeps: decoded, checked, grey, 8 bit, square.

Which files are read, and what becomes of those that cannot be used, does not live here (`prepare`).
"""

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL.JpegImagePlugin import JpegImageFile

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.dicom import decode_dicom, is_dicom
from cxr_pipeline.images.letterbox import letterbox

PIXEL_RULES = 2  # version of everything below that decides a pixel: raise it, and every store is made anew

MAX_FILE_BYTES = 512 * 2**20
MAX_SOURCE_PIXELS = 100_000_000  # detectors give at most ~20 million; a 379 KiB PNG can hold 400 million
MIN_SOURCE_SIDE = 32
MAX_ASPECT = 3.0  # chest radiographs lie between 0.5 and 2
MIN_GREY_RANGE = 8  # grey levels of the file between the percentiles of GREY_WINDOW
GREY_WINDOW = (0.5, 99.5)  # percentiles: leaves out burned-in markers and dead pixels
MAX_CHROMA = 40  # difference of the channels, 0..255; JPEG noise on grey stays below 10
MAX_COLOURED_PART = 0.1  # coloured annotations cover less

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_SIGNATURE = b"\xff\xd8\xff"
_PNG_COLOURS = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}


@dataclass(frozen=True)
class Radiograph:
    """One image as the store keeps it, and what its file was."""

    pixels: npt.NDArray[np.uint8]  # [size, size], letterboxed with 0
    source_height: int
    source_width: int
    source_mode: str  # "L8", "L16", "RGB8", "RGBA8", "P8", "DICOM12-MONOCHROME1", ...


def read_radiograph(path: Path, *, size: int) -> Radiograph:
    """The image file at `path`, decoded; raises ImageError as `read_file` and `decode_radiograph` do."""
    return decode_radiograph(read_file(path), size=size)


def read_file(path: Path) -> bytes:
    """The bytes of an image file; raises ImageError with reason `missing`, `unreadable` or `too_large`."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise ImageError(
            "missing", "The file is not there any more. Make the inventory of its source again."
        ) from error
    except OSError as error:
        raise ImageError(
            "unreadable", f"The file cannot be read: {error.strerror}. Mend the disk or rights."
        ) from error
    if len(data) > MAX_FILE_BYTES:
        raise ImageError("too_large", f"The file has more than {MAX_FILE_BYTES} bytes, no radiograph does. Replace it.")
    return data


def decode_radiograph(data: bytes, *, size: int) -> Radiograph:
    """Decodes PNG (8 or 16 bit; grey, RGB, palette, alpha), JPEG or DICOM bytes and fits them into `size` x `size`.

    Colour becomes luma (Rec. 601). Alpha is left out, not blended: the 0.6 % RGBA files of NIH are opaque. 8-bit values
    stay as published; 16-bit values are scaled so that the percentiles of GREY_WINDOW of the resized picture become 0
    and 255, since such files seldom fill their range. DICOM files say what is black and white (`decode_dicom`). The
    aspect is kept, the bars are 0; large images are averaged down by area, small ones enlarged bicubically. EXIF
    orientation is not applied.

    Raises ImageError whose `reason` is empty, truncated, damaged, not_an_image, unsupported, too_large, too_small,
    absurd_aspect, colour_photo or blank. Damage within the data of a JPEG or DICOM file mostly goes unnoticed: no
    decoder reports it, so compare digests with those of the publisher.
    """
    if not data:
        raise ImageError("empty", "The file has no bytes, expected an image. Fetch it again.")
    if data.startswith(_PNG_SIGNATURE):
        mode, colours = _decode_png(data)
    elif data.startswith(_JPEG_SIGNATURE):
        mode, colours = _decode_jpeg(data)
    elif is_dicom(data):
        exposure = decode_dicom(data, check_shape=_check_shape, percentiles=GREY_WINDOW)
        height, width = exposure.values.shape
        pixels = _fit(exposure.values, size, window=(exposure.black, exposure.white))
        return Radiograph(pixels, height, width, exposure.mode)
    else:
        raise ImageError(
            "not_an_image", f"The file starts with {data[:8]!r}, expected a PNG, JPEG or DICOM file. Fetch it again."
        )
    height, width = colours.shape[:2]
    return Radiograph(_fit(_to_grey(colours), size), height, width, mode)


def _decode_png(data: bytes) -> tuple[str, npt.NDArray[Any]]:
    if len(data) < 33:
        raise ImageError("truncated", "The file ends within the PNG header. Fetch it again.")
    name, width, height, depth, colour = struct.unpack_from(">4sIIBB", data, 12)
    if name != b"IHDR" or colour not in _PNG_COLOURS:
        raise ImageError("damaged", "The PNG header is not valid. Fetch the file again.")
    _check_shape(height, width)
    _check_png_chunks(data)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ImageError("damaged", f"The PNG cannot be decoded: {error.err}. Fetch it again.") from error
    if pixels is None:
        raise ImageError("damaged", "The compressed data of the PNG are not valid. Fetch it again.")
    if pixels.ndim == 3:
        pixels = pixels[..., 2::-1]  # OpenCV gives BGR or BGRA
    return f"{_PNG_COLOURS[colour]}{depth}", pixels


def _check_png_chunks(data: bytes) -> None:
    """Every chunk carries a CRC-32 and the last is IEND: 0.13 ms for an NIH image that takes 9 ms to decode."""
    start, name = len(_PNG_SIGNATURE), b""
    while name != b"IEND":
        if start + 12 > len(data):
            raise ImageError("truncated", f"The PNG ends after {len(data)} bytes without IEND. Fetch it again.")
        length, name = struct.unpack_from(">I4s", data, start)
        end = start + 8 + length
        if end + 4 > len(data):
            raise ImageError(
                "truncated", f"The PNG ends after {len(data)} of at least {end + 4} bytes. Fetch it again."
            )
        if zlib.crc32(data[start + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise ImageError("damaged", f"A checksum in the PNG is wrong near byte {start}. Fetch it again.")
        start = end + 4


def _decode_jpeg(data: bytes) -> tuple[str, npt.NDArray[Any]]:
    """Pillow, since some versions of OpenCV give truncated files out as whole; the class, since `Image.open` warns."""
    try:
        with JpegImageFile(io.BytesIO(data)) as image:
            _check_shape(image.height, image.width)
            return f"{image.mode}8", np.asarray(image.convert("RGB") if image.mode == "CMYK" else image)
    except OSError as error:
        raise ImageError("truncated", f"The JPEG cannot be decoded to its end: {error}. Fetch it again.") from error
    except SyntaxError as error:
        raise ImageError("damaged", f"The JPEG header is not valid: {error}. Fetch it again.") from error


def _check_shape(height: int, width: int) -> None:
    """Runs on the header alone: a small file can unpack to gigabytes."""
    found = f"The image has {width} x {height} pixels"
    if height * width > MAX_SOURCE_PIXELS:
        raise ImageError("too_large", f"{found}, expected at most {MAX_SOURCE_PIXELS} in all. Replace it.")
    if min(height, width) < MIN_SOURCE_SIDE:
        raise ImageError("too_small", f"{found}, expected at least {MIN_SOURCE_SIDE} on each side. Replace it.")
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise ImageError("absurd_aspect", f"{found}, expected sides of at most 1 : {MAX_ASPECT:g}. Replace it.")


def _to_grey(colours: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Luma [height, width] of RGB [height, width, 3]; equal channels give exactly their value."""
    if colours.ndim == 2:
        return colours
    colours = np.ascontiguousarray(colours)
    thumbnail = cv2.resize(colours, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32)
    chroma = np.ptp(thumbnail, axis=2) * (255 / np.iinfo(colours.dtype).max)
    part = float((chroma > MAX_CHROMA).mean())
    if part > MAX_COLOURED_PART:
        raise ImageError("colour_photo", f"{part:.0%} of the image is strongly coloured, expected grey. Replace it.")
    return cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY)


def _fit(grey: npt.NDArray[Any], size: int, *, window: tuple[float, float] | None = None) -> npt.NDArray[np.uint8]:
    """`grey` [height, width], resized before it is windowed, in a black square [size, size].

    `window` are the values shown black and white, in either order; without it, 8-bit values stay as they are and
    others are scaled by GREY_WINDOW.
    """
    box = letterbox(*grey.shape, size=size)
    method = cv2.INTER_AREA if max(grey.shape) >= size else cv2.INTER_CUBIC
    small = cv2.resize(grey, (box.width, box.height), interpolation=method)
    low, high = _grey_range(small)
    if window or small.dtype != np.uint8:
        black, white = window or (low, high)
        small = np.rint(np.clip((small - black) * (255 / (white - black)), 0, 255)).astype(np.uint8)
        _grey_range(small)
    stored = np.zeros((size, size), dtype=np.uint8)
    box.content(stored)[:] = small
    return stored


def _grey_range(grey: npt.NDArray[Any]) -> tuple[float, float]:
    low, high = np.percentile(grey, GREY_WINDOW)
    if high - low < MIN_GREY_RANGE:
        raise ImageError("blank", f"99 % of the pixels lie within {high - low:.1f} grey levels. Replace the image.")
    return low, high
