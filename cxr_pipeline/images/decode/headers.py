"""What the header of an image file says, in words for a person. Nothing is decoded or judged here."""

import io
import struct
import warnings

import pydicom
from PIL.JpegImagePlugin import JpegImageFile
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import DeflatedExplicitVRLittleEndian

from cxr_pipeline.images.decode.dicom.preamble import is_dicom

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_COLOURS = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGB with alpha"}
_JPEG_SIGNATURE = b"\xff\xd8\xff"
_META_BYTES = 2048  # the part of a DICOM file that is never compressed is shorter
# Others, such as those that name a patient, are not even parsed.
_TAGS = [
    "BitsAllocated", "BitsStored", "BodyPartExamined", "Columns", "Modality", "ModalityLUTSequence", "NumberOfFrames",
    "PhotometricInterpretation", "PixelRepresentation", "RescaleIntercept", "RescaleSlope", "Rows", "VOILUTFunction",
    "VOILUTSequence", "ViewPosition", "WindowCenter", "WindowWidth",
]  # fmt: skip
# What pydicom raises for damaged headers; none of them has an error class of its own.
_DAMAGE = (
    ArithmeticError, AttributeError, BytesLengthException, EOFError, InvalidDicomError, LookupError,
    NotImplementedError, OSError, TypeError, ValueError, struct.error,
)  # fmt: skip


def describe_header(data: bytes) -> dict[str, str]:
    """Facts about PNG, JPEG or DICOM bytes, in reading order: `kind`, `size`, `bits`, `photometric`, ...

    Empty where the bytes are none of these; `kind` alone where the header cannot be read to its end.
    """
    if data.startswith(_PNG_SIGNATURE):
        return {"kind": "PNG", **_png_facts(data)}
    if data.startswith(_JPEG_SIGNATURE):
        return {"kind": "JPEG", **_jpeg_facts(data)}
    if is_dicom(data):
        return {"kind": "DICOM", **_dicom_facts(data)}
    return {}


def _png_facts(data: bytes) -> dict[str, str]:
    if len(data) < 26:
        return {}
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    return {"size": _size(width, height), "bits": str(depth), "photometric": _PNG_COLOURS.get(colour, "not valid")}


def _jpeg_facts(data: bytes) -> dict[str, str]:
    try:
        with JpegImageFile(io.BytesIO(data)) as image:
            return {"size": _size(image.width, image.height), "bits": str(image.bits), "photometric": image.mode}
    except (OSError, SyntaxError, struct.error):
        return {}


def read_tags(data: bytes, keywords: list[str]) -> pydicom.Dataset | None:
    """The elements `keywords` of a DICOM file's header; None where it is none, or one that cannot be read."""
    if not is_dicom(data) or DeflatedExplicitVRLittleEndian.encode() in data[:_META_BYTES]:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they quote values of the file
            header = pydicom.dcmread(
                io.BytesIO(data), specific_tags=list(keywords), stop_before_pixels=True, force=True
            )
            for keyword in keywords:
                header.get(keyword)  # values are parsed when they are asked for
            return header
    except _DAMAGE:
        return None


def _dicom_facts(data: bytes) -> dict[str, str]:
    if DeflatedExplicitVRLittleEndian.encode() in data[:_META_BYTES]:
        return {"transfer syntax": DeflatedExplicitVRLittleEndian.name}  # the rest may inflate without an end
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they quote values of the file
            header = pydicom.dcmread(io.BytesIO(data), specific_tags=_TAGS, stop_before_pixels=True, force=True)
            return _tag_facts(header)
    except _DAMAGE:
        return {}


def _tag_facts(header: pydicom.Dataset) -> dict[str, str]:
    named = {
        "bits": header.get("BitsStored"),
        "photometric": header.get("PhotometricInterpretation"),
        "frames": header.get("NumberOfFrames"),
        "modality": header.get("Modality"),
        "body part": header.get("BodyPartExamined"),
        "view": header.get("ViewPosition"),
    }
    return {
        **({"size": _size(header.Columns, header.Rows)} if "Rows" in header else {}),
        **{name: str(value) for name, value in named.items() if value not in (None, "")},
        "transfer syntax": syntax.name if (syntax := header.file_meta.get("TransferSyntaxUID")) else "not named",
        **({"shown by": _describe_window(header)} if "Rows" in header else {}),
    }


def _describe_window(header: pydicom.Dataset) -> str:
    """What decides black and white, as `dicom.display` chooses it where a window lies among the values."""
    if not str(header.get("PhotometricInterpretation")).startswith("MONOCHROME"):
        return "the values as they are, where all channels agree"
    if header.get("VOILUTSequence"):
        return f"VOI LUT, the first of {len(header.VOILUTSequence)}"
    centres, widths = _numbers(header, "WindowCenter"), _numbers(header, "WindowWidth")
    if centres and widths and widths[0] > 0:
        function = str(header.get("VOILUTFunction") or "LINEAR").lower()
        return f"window centre {centres[0]:g}, width {widths[0]:g}, {function}, the first of {len(centres)}"
    is_signed = header.get("PixelRepresentation")
    if header.get("BitsStored") == 8 and not is_signed and not header.get("ModalityLUTSequence"):
        return "the 8-bit values as they are"
    return "percentiles of the values, as the file names no window of some width"


def _numbers(header: pydicom.Dataset, keyword: str) -> list[float]:
    value = header.get(keyword)
    if value is None or value == "":
        return []
    return [float(one) for one in value] if isinstance(value, pydicom.multival.MultiValue) else [float(value)]


def _size(width: int, height: int) -> str:
    return f"{width:,} x {height:,} pixels"
