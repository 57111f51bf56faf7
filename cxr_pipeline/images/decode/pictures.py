"""TIFF, BMP, WebP and JPEG 2000 files, for single pictures that a person asks about; a store does not take them.

Collections are published as PNG, JPEG and DICOM, whose decoders here are strict; those behind this one are Pillow's.
"""

import io
import struct
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode.exposure import WHOLE_BYTE, Exposure, Plane, check_decoded, check_shape
from cxr_pipeline.images.decode.kinds import name_picture

# The classes, since `Image.open` warns of large pictures and tries every format.
_READERS: dict[str, type[ImageFile]] = {
    "TIFF": TiffImageFile, "BMP": BmpImageFile, "WebP": WebPImageFile, "JPEG 2000": Jpeg2KImageFile,
}  # fmt: skip
SUFFIXES = (".tif", ".tiff", ".bmp", ".webp", ".jp2", ".j2k", ".j2c", ".jpx", ".jpf", ".jph", ".jhc")

_PHOTOMETRIC_TAG, _WHITE_IS_ZERO = 262, 0  # TIFF 6.0 section 8
_GREY, _DEEP = ("1", "L", "LA"), ("I;16", "I;16B", "I;16L")
_COLOURS = ("P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
_DAMAGE = (EOFError, KeyError, MemoryError, OSError, OverflowError, SyntaxError, TypeError, ValueError, struct.error)


def is_picture(data: bytes) -> bool:
    """Whether `data` starts as a file of one of these formats does."""
    return name_picture(data) in _READERS


def decode_picture(data: bytes) -> Exposure:
    """Decodes one picture of 1, 8 or up to 16 bits of grey, or of 8-bit colour. Alpha is left out, as of a PNG.

    Raises ImageError with reason `damaged` or `unsupported` (several pages, floating-point values), or as
    `check_shape` does.
    """
    name = name_picture(data) or ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they quote values of the file
            with _READERS[name](io.BytesIO(data)) as image:
                check_shape(image.height, image.width)
                _check_kind(image, name)
                return _expose(image, name)
    except _DAMAGE as error:
        raise ImageError(
            "damaged", f"The {name} file cannot be decoded ({type(error).__name__}). Fetch or export it again."
        ) from error


def _check_kind(image: ImageFile, name: str) -> None:
    frames = getattr(image, "n_frames", 1)
    if frames != 1:
        raise ImageError("unsupported", f"The {name} file has {frames} pictures, expected one. Export that alone.")
    if image.mode not in _GREY + _DEEP + _COLOURS:
        found = f"The {name} file has values of the kind {image.mode}, expected at most 16 whole bits"
        raise ImageError("unsupported", f"{found}. Convert it to PNG of 8 or 16 bits.")


def _expose(image: ImageFile, name: str) -> Exposure:
    height, width, mode = image.height, image.width, image.mode
    tags = getattr(image, "tag_v2", {})
    values = _read_values(image)
    is_deep = values.dtype.itemsize == 2
    return Exposure(
        plane=check_decoded(Plane(values), height, width),
        height=height,
        width=width,
        bit_depth=16 if is_deep else 1 if mode == "1" else 8,
        photometric="RGB" if values.ndim == 3 else "MONOCHROME2",
        mode=f"{name.replace(' ', '')}-{mode}",
        window=None if is_deep else WHOLE_BYTE,
        is_inverted=is_deep and tags.get(_PHOTOMETRIC_TAG) == _WHITE_IS_ZERO,  # Pillow inverts 8 bits itself
    )


def _read_values(image: ImageFile) -> npt.NDArray[Any]:
    if image.mode in _DEEP:
        return np.asarray(image).astype(np.uint16)
    return np.asarray(image.convert("L" if image.mode in _GREY else "RGB"))
