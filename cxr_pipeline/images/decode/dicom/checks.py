"""Which DICOM headers are read: those of plain radiographs of a chest that say all that their pixels need."""

import math

import pydicom

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode.dicom.colours import COLOURS, PALETTE
from cxr_pipeline.images.decode.dicom.native import HALVED

DEPTHS = (8, 16)  # bits allocated
MODALITIES = ("", "CR", "DX", "DR", "RG", "RF", "XA", "OT")  # plain radiography, and what such files are filed under
# Defined terms of PS3.16 table L-1 that name no part of the chest, and what hospitals write for them. A deny list:
# the tag is often absent, and misspelt where it speaks of the chest.
OTHER_BODY_PARTS = frozenset({
    "ABDOMEN", "ABDOMENPELVIS", "ANKLE", "ARM", "BREAST", "CALCANEUS", "COCCYX", "CSPINE", "ELBOW", "EXTREMITY",
    "FEMUR", "FINGER", "FOOT", "FOREARM", "HAND", "HEAD", "HIP", "HUMERUS", "JAW", "KNEE", "KUB", "LEG",
    "LOWEREXTREMITY", "LSPINE", "MANDIBLE", "MAXILLA", "NOSE", "ORBIT", "PATELLA", "PELVIS", "RADIUS", "SINUS",
    "SKULL", "SSPINE", "TIBIA", "TIBIAFIBULA", "TOE", "ULNA", "UPPEREXTREMITY", "WRIST", "ZYGOMA",
})  # fmt: skip

GREY = ("MONOCHROME1", "MONOCHROME2")  # low values white, low values black
_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
# Without one of these the bytes have several readings. HighBit is BitsStored - 1 where it is absent (PS3.5 8.1.1).
_NEEDED = ("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation", "PhotometricInterpretation")
_NUMBERS = (
    *_NEEDED[:-1], "HighBit", "SamplesPerPixel", "NumberOfFrames", "RescaleSlope", "RescaleIntercept", "WindowCenter",
    "WindowWidth", "PixelPaddingValue", "PixelPaddingRangeLimit", "PixelAspectRatio", "ImagerPixelSpacing",
    "PixelSpacing",
)  # fmt: skip
_MEND = "Mend the header, or export the file again from its archive."


def check_header(header: pydicom.Dataset, frame: int | None) -> None:
    """`frame`: the number, from 1, of the frame that is asked for; None where the file should have only one.

    Raises ImageError with reason not_an_image, not_radiograph, not_chest, damaged or unsupported.
    """
    if "Rows" not in header:
        raise ImageError("not_an_image", "The DICOM file describes no picture, expected an image. Replace it.")
    _check_kind(header)
    for keyword in _NUMBERS:
        _check_number(header, keyword)
    for keyword in _NEEDED:
        if header.get(keyword) in (None, ""):
            raise ImageError("damaged", f"The DICOM header lacks {keyword}, without which no pixel is sure. {_MEND}")
    _check_form(header)
    _check_frame(header, frame)
    _check_bits(header)
    _check_display(header)


def _check_kind(header: pydicom.Dataset) -> None:
    modality = _word(header.get("Modality"))
    if modality not in MODALITIES:
        expected = ", ".join(MODALITIES[1:])
        raise ImageError("not_radiograph", f"The modality is {modality[:16]}, expected {expected}. Leave it out.")
    if _word(header.get("BodyPartExamined")) in OTHER_BODY_PARTS:
        raise ImageError("not_chest", "The DICOM header names another part of the body than the chest. Leave it out.")


def _word(value: object) -> str:
    return "".join(character for character in str(value or "").upper() if character.isalnum())


def _check_number(header: pydicom.Dataset, keyword: str) -> None:
    """pydicom hands on text where it finds no number: a decimal comma is found here."""
    try:
        value = header.get(keyword)
        numbers = value if isinstance(value, pydicom.multival.MultiValue) else [] if value in (None, "") else [value]
        _ = [float(number) for number in numbers]
    except (ValueError, TypeError, OverflowError):
        raise ImageError(
            "damaged", f"{keyword} of the DICOM header is no number, expected digits with a decimal point. {_MEND}"
        ) from None  # the cause quotes values of the file


def _check_form(header: pydicom.Dataset) -> None:
    shown, samples = str(header.PhotometricInterpretation), header.get("SamplesPerPixel") or 1
    if shown not in (*GREY, *COLOURS):
        forms = ", ".join((*GREY, *COLOURS))
        raise ImageError("unsupported", f"The DICOM file is {shown[:16]}, expected {forms}. Convert it.")
    expected = 1 if shown in (*GREY, PALETTE) else 3
    if samples != expected:
        raise ImageError(
            "unsupported", f"The DICOM header has {samples} samples per {shown} pixel, not {expected}. {_MEND}"
        )
    if expected == 3 and header.PixelRepresentation:
        raise ImageError("unsupported", f"The DICOM header has signed {shown} values, expected unsigned. {_MEND}")
    if shown == HALVED and header.Columns % 2:
        raise ImageError("damaged", f"The DICOM header has {shown} with an odd number of columns. {_MEND}")


def _check_frame(header: pydicom.Dataset, frame: int | None) -> None:
    frames = int(header.get("NumberOfFrames") or 1)
    if frame is None and frames != 1:
        raise ImageError(
            "unsupported",
            f"The DICOM file has {frames} frames, expected one. State which, 1 to {frames} (`cxr predict "
            "--frame`, `decode_radiograph(..., frame=)`), or extract it into a file of its own.",
        )
    if frame is not None and not 1 <= frame <= frames:
        raise ImageError("unsupported", f"Frame {frame} is asked for, the file has 1 to {frames}. State one of these.")


def _check_bits(header: pydicom.Dataset) -> None:
    allocated, stored = header.BitsAllocated, header.BitsStored
    if allocated not in DEPTHS or not 1 <= stored <= allocated:
        found = f"{stored} of {allocated} bits"
        raise ImageError("unsupported", f"The DICOM file stores {found}, expected at most 16 of 8 or 16. Convert it.")
    highest = stored - 1 if header.get("HighBit") is None else header.HighBit
    if not stored - 1 <= highest < allocated:
        found = f"{stored} bits that end at bit {highest} of {allocated}"
        raise ImageError("damaged", f"The DICOM header names {found}, which cannot be. {_MEND}")


def _check_display(header: pydicom.Dataset) -> None:
    slope, intercept = header.get("RescaleSlope"), header.get("RescaleIntercept")
    is_flat = slope not in (None, "") and (slope == 0 or not math.isfinite(slope))
    if is_flat or (intercept not in (None, "") and not math.isfinite(intercept)):
        raise ImageError("damaged", f"The rescale slope and intercept of the DICOM header leave no values. {_MEND}")
    function = str(header.get("VOILUTFunction") or _FUNCTIONS[0]).upper()
    if function not in _FUNCTIONS:
        expected = ", ".join(_FUNCTIONS)
        raise ImageError("unsupported", f"The VOI LUT function of the DICOM header is none of {expected}. {_MEND}")
