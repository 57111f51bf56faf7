"""What a file says of its picture that a frontal radiograph, upright, would not: words for a person who asks about one.

Nothing is refused for it, and pixels alone are not judged: a PNG does not say that it is a lateral.
"""

import re
import warnings
from typing import Any

from PIL import Image

from cxr_pipeline.images.decode.headers import read_tags

USUAL_ASPECT = 1.5  # long side over short; frontal radiographs lie below 1.3
# Defined terms of ViewPosition (PS3.3 C.8.7.1.1.1 and others), and what hospitals write.
_LATERAL = frozenset({"LL", "RL", "LLD", "RLD", "LAT", "LATERAL", "LLAT", "RLAT", "LEFTLATERAL", "RIGHTLATERAL"})
_LATERAL_WORD = re.compile(r"\blateral\b(?! decubitus)", re.IGNORECASE)  # not: bilateral; decubitus is a posture
_ORIENTATION_TAG = 0x0112
_TURNS = {
    2: "mirrored", 3: "turned by 180 degrees", 4: "mirrored and turned by 180 degrees",
    5: "mirrored and turned by 90 degrees", 6: "turned by 90 degrees", 7: "mirrored and turned by 90 degrees",
    8: "turned by 270 degrees",
}  # fmt: skip


def find_hints(data: bytes, *, height: int, width: int) -> tuple[str, ...]:
    """Sentences about the picture of `height` x `width` pixels in an image file; none where nothing is odd."""
    hints = [*_dicom_hints(data), *_turn_hints(data)]
    if max(height, width) > USUAL_ASPECT * min(height, width):
        hints.append(
            f"The picture has {width} x {height} pixels: a frontal chest radiograph is seldom so long. Look whether it "
            "is one, and uncropped."
        )
    return tuple(hints)


def _dicom_hints(data: bytes) -> list[str]:
    header = read_tags(data, ["ViewPosition", "PatientOrientation", "ViewCodeSequence"])
    if header is None:
        return []
    view = "".join(letter for letter in str(header.get("ViewPosition") or "").upper() if letter.isalpha())
    row, column = _orientation(header.get("PatientOrientation"))
    hints = []
    if view in _LATERAL or row in ("A", "P") or _is_lateral_by_code(header):
        hints.append("The DICOM header says that this is a lateral view: the network knows frontal ones alone.")
    elif column and column != "F":
        hints.append("The DICOM header says that the picture does not stand upright. Turn it before it is used.")
    elif row == "R":
        hints.append("The DICOM header says that the picture is mirrored: the patient's right is on its right.")
    return hints


def _is_lateral_by_code(header: Any) -> bool:
    """DX files name the view by a code (PS3.3 C.8.11.5, PS3.16 CID 4010), beside which ViewPosition is optional.

    Read by its meaning in words: the numbers of SRT became others in SCT.
    """
    meanings = (str(item.get("CodeMeaning") or "") for item in header.get("ViewCodeSequence") or ())
    return any(_LATERAL_WORD.search(meaning) for meaning in meanings)


def _orientation(value: Any) -> tuple[str, str]:
    """The main directions, such as L and F, to which rows and columns of a DICOM picture run."""
    if value is None or isinstance(value, str) or len(value) != 2:
        return "", ""
    row, column = (str(one).strip().upper()[:1] for one in value)
    return row, column


def _turn_hints(data: bytes) -> list[str]:
    turn = _TURNS.get(_read_orientation(data))
    if turn is None:
        return []
    return [f"EXIF says that the picture is stored {turn}: it was used as it is stored. Save it upright."]


def _read_orientation(data: bytes) -> int:
    """The EXIF orientation of PNG, JPEG, TIFF and WebP files; 1 where there is none."""
    marker = b"Exif\x00\x00" if data.startswith(b"\xff\xd8") else b"eXIf" if data.startswith(b"\x89PNG") else b"EXIF"
    start = 0 if data.startswith((b"II*\x00", b"MM\x00*")) else data.find(marker)
    if start < 0:
        return 1
    exif = Image.Exif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of EXIF that is cut off
            exif.load(data[start:] if start == 0 else data[start + len(marker) + 4 * (marker == b"EXIF") :])
            return int(exif.get(_ORIENTATION_TAG) or 1)
    except (LookupError, OSError, SyntaxError, TypeError, ValueError):
        return 1
