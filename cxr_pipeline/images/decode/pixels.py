"""From an image file to the pixels that the store keeps: decoded, checked, grey, 8 bit, square.

How each format is decoded lives in `png`, `jpeg` and `dicom`; which files are read, and what becomes of those that
cannot be used, in `prepare`.
"""

import errno
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode.dicom.files import decode_dicom
from cxr_pipeline.images.decode.dicom.preamble import is_dicom
from cxr_pipeline.images.decode.exposure import GREY_WINDOW, MIN_SHARE, WHOLE_BYTE, Exposure, Plane, is_beside
from cxr_pipeline.images.decode.jpeg import decode_jpeg, is_jpeg
from cxr_pipeline.images.decode.kinds import refuse
from cxr_pipeline.images.decode.letterbox import Letterbox, letterbox
from cxr_pipeline.images.decode.pictures import decode_picture, is_picture
from cxr_pipeline.images.decode.png import decode_png, is_png
from cxr_pipeline.images.decode.resize import Box, resize

PIXEL_RULES = 5  # version of everything here and below that decides a pixel: raise it, and every store is made anew

MAX_FILE_BYTES = 512 * 2**20
MIN_GREY_RANGE = 8  # grey levels between the percentiles of GREY_WINDOW
MAX_CHROMA = 40  # difference of the channels, 0..255; JPEG noise on grey stays below 10
MAX_COLOURED_PART = 0.1  # coloured annotations cover less
MAX_BORDER_GREY = 12  # grey levels; collimated borders are not quite black after JPEG
BORDER_PERCENTILE = 98  # of a row or column: letters and dead pixels within a border do not keep it

_KINDS_OF_FILE = {
    stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}  # fmt: skip

Part = tuple[int, int, int, int]  # top, left, bottom, right, in pixels of the file


@dataclass(frozen=True)
class Radiograph:
    """One image as the store keeps it, and what its file was."""

    pixels: npt.NDArray[np.uint8]  # [size, size], letterboxed with 0
    source_height: int
    source_width: int
    source_mode: str  # "L8", "L16", "RGB8", "RGBA8", "P8", "DICOM12-MONOCHROME1", ...
    bit_depth: int  # stored bits
    photometric: str  # MONOCHROME1, MONOCHROME2, RGB, PALETTE, YCBCR, CMYK or YCCK
    placement: Letterbox  # from pixels of the file to `pixels`, and back


def read_radiograph(
    path: Path, *, size: int, crop_borders: bool = False, frame: int | None = None, any_format: bool = False
) -> Radiograph:
    """The image file at `path`, decoded; raises ImageError as `read_file` and `decode_radiograph` do."""
    return decode_radiograph(read_file(path), size=size, crop_borders=crop_borders, frame=frame, any_format=any_format)


def read_file(path: Path) -> bytes:
    """The bytes of an image file.

    Raises ImageError with reason `missing`, `too_large` or `unreadable`, also for what is no regular file: opening a
    pipe would wait for somebody who writes into it.
    """
    try:
        status = path.stat()
        is_regular, is_huge = stat.S_ISREG(status.st_mode), status.st_size > MAX_FILE_BYTES
        data = path.read_bytes() if is_regular and not is_huge else b""
    except FileNotFoundError as error:
        link = "The link leads to a file that is not there. Mend it, or fetch the file."
        gone = "There is no such file or folder. Check the name; where an inventory names it, make that again."
        raise ImageError("missing", link if path.is_symlink() else gone) from error
    except (OSError, ValueError) as error:  # ValueError: a zero within the name
        raise _unreadable(error) from error
    if not is_regular:
        found = _KINDS_OF_FILE.get(stat.S_IFMT(status.st_mode), "no regular file")
        raise ImageError("unreadable", f"It is {found}, expected an image file. Name a file, or leave it out.")
    if is_huge:
        found = f"The file has more than {MAX_FILE_BYTES} bytes, no radiograph does"
        raise ImageError("too_large", f"{found}. Scale it down, or leave it out.")
    return data


def is_broken_link(path: Path) -> bool:
    """Whether a link leads to nothing, or to itself: a file that somebody meant to have, and `read_file` explains."""
    return path.is_symlink() and not path.exists()


def decode_radiograph(
    data: bytes, *, size: int, crop_borders: bool = False, frame: int | None = None, any_format: bool = False
) -> Radiograph:
    """Decodes PNG (1 to 16 bits; grey, RGB, palette, alpha), JPEG or DICOM bytes and fits them into `size` x `size`.

    Colour becomes luma (Rec. 601). Alpha is left out, not blended: the 0.6 % RGBA files of NIH are opaque. 8-bit values
    stay as published; 16-bit values are scaled so that the percentiles of GREY_WINDOW of the resized picture become 0
    and 255, since such files seldom fill their range. DICOM files say what is black and white (`dicom.display`);
    of several frames, `frame` is the number, from 1, of the one that is meant. The aspect is kept, with square pixels
    where a DICOM file says that its own are not; the bars are 0; large images are averaged down by area, small ones
    enlarged bicubically. EXIF orientation is not applied.

    JPEG and JPEG 2000 are decoded at a fraction of their size where that leaves enough: at least 53 dB to a full
    decode. `crop_borders` cuts off black borders first (collimators, scanned film), by grey value alone: it is
    slower, since every pixel is decoded, and is recorded in `placement`. `any_format` takes the files of `pictures`
    as well: TIFF, BMP, WebP, JPEG 2000.

    Raises ImageError whose `reason` is one of `reasons.REASONS`. Damage within the data of a JPEG or DICOM file often
    goes unnoticed: no decoder reports it all, so compare digests with those of the publisher.
    """
    stored_side = None if crop_borders else size
    exposure = _decode(data, stored_side=stored_side, frame=frame, any_format=any_format)
    grey = _to_grey(exposure.plane)
    whole = (0, 0, exposure.height, exposure.width)
    kept = _find_content(_show(exposure, grey.values)) if crop_borders else whole
    placement = _place(kept, size, exposure.pixel_aspect)
    small = resize(grey.values, _box(grey, kept), height=placement.height, width=placement.width)
    stored = np.zeros((size, size), dtype=np.uint8)
    placement.content(stored)[:] = _show(exposure, small)
    return Radiograph(
        pixels=stored,
        source_height=exposure.height,
        source_width=exposure.width,
        source_mode=exposure.mode,
        bit_depth=exposure.bit_depth,
        photometric=exposure.photometric,
        placement=placement,
    )


def _decode(data: bytes, *, stored_side: int | None, frame: int | None, any_format: bool) -> Exposure:
    if not data:
        raise ImageError("empty", "The file has no bytes, expected an image. Fetch it again.")
    if is_png(data):
        return decode_png(data)
    if is_jpeg(data):
        return decode_jpeg(data, stored_side=stored_side)
    if is_dicom(data):
        return decode_dicom(data, stored_side=stored_side, frame=frame)
    if any_format and is_picture(data):
        return decode_picture(data)
    raise refuse(data)


def _unreadable(error: OSError | ValueError) -> ImageError:
    """What helps depends on what the system says."""
    number, found = (error.errno, error.strerror) if isinstance(error, OSError) else (errno.EINVAL, f"{error}")
    advice = {
        errno.ELOOP: "The link leads to itself: mend it, or fetch the file",
        errno.ENOTDIR: "Check the name: part of it is a file",
        errno.ENAMETOOLONG: "Check the name",
        errno.EINVAL: "Check the name",
        errno.EACCES: "Allow this user to read it",
        errno.EPERM: "Allow this user to read it",
    }.get(number or 0, "Mend the disk, or copy the file from elsewhere")
    return ImageError("unreadable", f"The file cannot be read: {found}. {advice}.")


def _to_grey(plane: Plane) -> Plane:
    """Luma of RGB; equal channels give exactly their value."""
    if plane.values.ndim == 2:
        return plane
    colours = np.ascontiguousarray(plane.values)
    thumbnail = cv2.resize(colours, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32)
    chroma = np.ptp(thumbnail, axis=2) * (255 / np.iinfo(colours.dtype).max)
    part = float((chroma > MAX_CHROMA).mean())
    if part > MAX_COLOURED_PART:
        raise ImageError(
            "colour_photo",
            f"{part:.0%} of the image is strongly coloured, expected grey. Leave it out, or convert it to grey.",
        )
    return replace(plane, values=cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY))


def _place(kept: Part, size: int, pixel_aspect: float) -> Letterbox:
    top, left, bottom, right = kept
    return letterbox(bottom - top, right - left, size=size, pixel_aspect=pixel_aspect, crop_top=top, crop_left=left)


def _box(plane: Plane, kept: Part) -> Box:
    """The kept part of the picture in pixels of the plane: see `exposure.Plane`."""
    top, left, bottom, right = (edge / plane.factor + plane.phase for edge in kept)
    return top, left, bottom, right


def _show(exposure: Exposure, values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """`values` as grey levels, once windowed and once inverted; raises ImageError `blank` where they hold nothing."""
    grey = _scale(exposure, values, exposure.window or _percentiles(values, least=MIN_GREY_RANGE))
    spread = _range(grey)
    if spread < MIN_GREY_RANGE and exposure.is_window_stated and is_beside(grey, white=255):
        grey = _scale(exposure, values, _percentiles(values, least=MIN_SHARE * 2**exposure.bit_depth))
        spread = _range(grey)
    if spread < MIN_GREY_RANGE:
        raise ImageError("blank", f"99 % of the pixels lie within {spread} grey levels. Leave it out.")
    return grey


def _scale(exposure: Exposure, values: npt.NDArray[Any], window: tuple[float, float]) -> npt.NDArray[np.uint8]:
    black, white = reversed(window) if exposure.is_inverted else window
    if (black, white) == WHOLE_BYTE and values.dtype == np.uint8:
        return values
    scaled = (values.astype(np.float32) - np.float32(black)) * np.float32(255 / (white - black))
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


def _percentiles(values: npt.NDArray[Any], *, least: float) -> tuple[float, float]:
    """Where black and white lie that no file names; `least` values between them make a picture."""
    low, high = np.percentile(values, GREY_WINDOW)
    if high - low < least:
        raise ImageError("blank", f"99 % of the pixels lie within {high - low:.1f} values. Leave it out.")
    return float(low), float(high)


def _range(grey: npt.NDArray[np.uint8]) -> int:
    """Grey levels between the percentiles; by counting: a tenth of the time of `np.percentile`."""
    shares = np.cumsum(np.bincount(grey.ravel(), minlength=256)) * (100 / grey.size)
    low, high = np.searchsorted(shares, GREY_WINDOW)
    return int(high - low)


def _find_content(grey: npt.NDArray[np.uint8]) -> Part:
    """What lies within black borders; the whole where a side would lose half of it."""
    rows = np.flatnonzero(np.percentile(grey, BORDER_PERCENTILE, axis=1) > MAX_BORDER_GREY)
    columns = np.flatnonzero(np.percentile(grey, BORDER_PERCENTILE, axis=0) > MAX_BORDER_GREY)
    height, width = grey.shape
    if rows.size and columns.size:
        top, left, bottom, right = int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
        if bottom - top >= height / 2 and right - left >= width / 2:
            return top, left, bottom, right
    return 0, 0, height, width
