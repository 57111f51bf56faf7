"""Lookup tables of DICOM files, PS3.3 C.11.1.1 and C.11.2.1.1. When one is used is decided in `display`."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pydicom

from cxr_pipeline.errors import ImageError

_WORDS = 2**16


class Lut(NamedTuple):
    """`entries` for the values `first`, `first` + 1, ...; `top` is the entry that is white."""

    entries: npt.NDArray[np.uint16]
    first: int
    top: float

    def look_up(self, values: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
        """Values beyond the ends of the table get the entry there.

        pydicom's `apply_voi` is not used: it cuts the index to 8 bits where the entries have 8.
        """
        return self.entries[np.clip(np.rint(values).astype(np.int64) - self.first, 0, len(self.entries) - 1)]


def read_lut(header: pydicom.Dataset, descriptor: Any, data: Any, *, limits: tuple[float, float]) -> Lut:
    """`limits`: the least and greatest value that could be looked up, which says whether the first one is signed.

    Raises ImageError `damaged` where the table does not hold what its descriptor counts.
    """
    if isinstance(descriptor, bytes):  # a representation that the header leaves open
        descriptor = np.frombuffer(descriptor, f"{_byte_order(header)}u2")
    numbers = [] if descriptor is None else [int(number) for number in np.atleast_1d(descriptor)]
    if len(numbers) != 3:
        raise _refusal(f"has a descriptor of {len(numbers)} numbers, expected 3")
    count, first, bits = numbers[0] % _WORDS or _WORDS, numbers[1], numbers[2]
    entries = _read_entries(header, data, count)
    return Lut(entries, _read_first(first, count, limits), _top(entries, bits))


def _read_entries(header: pydicom.Dataset, data: Any, count: int) -> npt.NDArray[np.uint16]:
    """As words, or where there are half as many, as bytes: two in each word, the first in its lower half."""
    if isinstance(data, bytes):
        words = np.frombuffer(data[: len(data) // 2 * 2], f"{_byte_order(header)}u2")
    else:
        numbers = np.atleast_1d([] if data is None else data).astype(np.int64)
        if numbers.size and numbers.min() < 0:
            raise _refusal("has entries below 0, which are not defined")
        words = numbers.astype(np.uint16)
    if len(words) >= count:
        return words[:count].astype(np.uint16)
    packed = words.astype("<u2").view(np.uint8)
    if len(packed) + 1 < count or not packed.size:
        raise _refusal(f"has {len(words)} of {count} entries")
    return packed[:count].astype(np.uint16)


def _read_first(raw: int, count: int, limits: tuple[float, float]) -> int:
    """The first value that is mapped: 16 bits, signed where the values may be (C.11.2.1.1).

    The value representation in the file does not decide, since implicit syntaxes have none. Where the table then lies
    beside all values that there can be, the other reading is meant.
    """
    low, high = limits
    unsigned = raw % _WORDS
    signed = unsigned - _WORDS if unsigned >= _WORDS // 2 else unsigned
    first, other = (signed, unsigned) if low < 0 else (unsigned, signed)
    is_beside, is_other_beside = (start > high or start + count - 1 < low for start in (first, other))
    return other if is_beside and not is_other_beside else first


def _top(entries: npt.NDArray[np.uint16], bits: int) -> float:
    """The greatest entry of the bits that the descriptor names, or of those that the entries have.

    Agfa writes 16 for entries of 12 bits (dcm4che issue 413). An honest table of 16 bits reaches a quarter of its
    range; and one that ends with all bits of a smaller number set has that many.
    """
    greatest = int(entries.max())
    used = max(8, greatest.bit_length())
    is_full = greatest == 2**used - 1
    is_trusted = used <= bits <= 16 and greatest >= 2 ** (bits - 2) and not (used < bits and is_full)
    return float(2 ** (bits if is_trusted else used) - 1)


def _byte_order(header: pydicom.Dataset) -> str:
    return "<" if header.file_meta.TransferSyntaxUID.is_little_endian else ">"


def _refusal(found: str) -> ImageError:
    return ImageError("damaged", f"A lookup table of the DICOM file {found}. Export it again from its archive.")
