"""Where the elements of a DICOM file begin and how they are spelled: after a preamble, or as writers leave it out."""

import struct

from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pydicom.valuerep import VR

_PREAMBLE, _MAGIC = 128, b"DICM"
_META, _IDENTIFYING = 2, 8  # the groups that a file can begin with
_REPRESENTATIONS = frozenset(one.value.encode() for one in VR if len(one.value) == 2)


def is_dicom(data: bytes) -> bool:
    """Whether `data` starts as a DICOM file does: its first 132 bytes are enough, also without a preamble."""
    return find_start(data) is not None


def find_start(data: bytes) -> int | None:
    """The place of the first element; None where `data` is no DICOM file."""
    if data[_PREAMBLE : _PREAMBLE + len(_MAGIC)] == _MAGIC:
        return _PREAMBLE + len(_MAGIC)
    if data.startswith(_MAGIC):
        return len(_MAGIC)
    is_bare = _is_explicit(data, "<", (_META, _IDENTIFYING)) or _is_explicit(data, ">", (_IDENTIFYING,))
    return 0 if is_bare or _is_implicit(data) else None


def guess_syntax(data: bytes) -> UID:
    """Of elements that no header precedes: implicit little endian is the default of PS3.5 10.1, others show."""
    for order, syntax in (("<", ExplicitVRLittleEndian), (">", ExplicitVRBigEndian)):
        if _is_explicit(data, order, (_IDENTIFYING,)):
            return syntax
    return ImplicitVRLittleEndian


def has_meta(data: bytes) -> bool:
    """Whether the elements begin with those of group 2, which are always explicit and little endian."""
    return _is_explicit(data, "<", (_META,))


def _is_explicit(data: bytes, order: str, groups: tuple[int, ...]) -> bool:
    if len(data) < 8:
        return False
    return struct.unpack_from(f"{order}H", data)[0] in groups and data[4:6] in _REPRESENTATIONS


def _is_implicit(data: bytes) -> bool:
    """By two elements of group 8 in a row: of one alone, four bytes could be those of anything."""
    if len(data) < 8:
        return False
    group, element, length = struct.unpack_from("<2HI", data)
    if group != _IDENTIFYING or length % 2 or 8 + length + 4 > len(data):
        return False
    next_group, next_element = struct.unpack_from("<2H", data, 8 + length)
    return next_group == _IDENTIFYING and next_element > element
