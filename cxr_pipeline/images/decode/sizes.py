"""How many pixels a file says that its picture has, from its header alone. Nothing is decoded or judged here."""

import struct
import warnings
from pathlib import Path

import pydicom
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from pydicom.errors import BytesLengthException, InvalidDicomError

_FORMATS = (PngImageFile, JpegImageFile)  # both read the header when they are made, and no pixel
# What a damaged header raises; neither library has an error class of its own.
_DAMAGE = (
    ArithmeticError, AttributeError, BytesLengthException, EOFError, InvalidDicomError, LookupError,
    NotImplementedError, OSError, SyntaxError, TypeError, ValueError, struct.error,
)  # fmt: skip


def read_size(path: Path) -> tuple[int, int] | None:
    """Width and height in pixels of a PNG, JPEG or DICOM file; None where its header cannot be read."""
    for form in _FORMATS:
        try:
            with path.open("rb") as file, form(file) as picture:
                return picture.width, picture.height
        except _DAMAGE:
            continue
    return _read_dicom_size(path)


def _read_dicom_size(path: Path) -> tuple[int, int] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they quote values of the file
            header = pydicom.dcmread(path, specific_tags=["Rows", "Columns"], stop_before_pixels=True)
            return int(header.Columns), int(header.Rows)
    except _DAMAGE:
        return None
