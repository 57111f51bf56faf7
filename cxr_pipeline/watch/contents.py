"""What is in a file that describes a source: its digest, and whether it was written to its end. No image is opened."""

import csv
import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

LARGEST_BYTES = 256 * 2**20  # read in a second or two; a larger file is known by its size and time
_LARGEST_PACKED = 64 * 2**20  # some 500 MB of CSV
_PIECE = 2**20
_TAIL = 256 * 2**10
_HEADER = 64 * 2**10
_DELIMITERS = (",", "\t", ";", "|")


class Contents(NamedTuple):
    digest: bytes | None  # None: too large to be read at every change
    is_unfinished: bool


def read_contents(path: Path) -> Contents:
    """Raises OSError where the file cannot be read."""
    size = path.stat().st_size
    digest = _digest(path) if size <= LARGEST_BYTES else None
    return Contents(digest, size == 0 or _is_unfinished(path))


def _digest(path: Path) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.digest()


def _is_unfinished(path: Path) -> bool:
    judge = next((judge for suffix, judge in _JUDGES.items() if path.name.lower().endswith(suffix)), None)
    return judge(path) if judge else False


def _ends_within_gzip(path: Path) -> bool:
    """Whether the last member lacks its end. What follows it that is no gzip, such as zeros, is nothing."""
    if path.stat().st_size > _LARGEST_PACKED:
        return False
    member = zlib.decompressobj(wbits=31)
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            try:
                member = _feed(member, piece)
            except zlib.error:
                return False  # damaged, and no waiting mends it: reading it says so
    return not member.eof


def _feed(member: "zlib._Decompress", piece: bytes) -> "zlib._Decompress":
    while piece:
        if member.eof:
            if not piece.startswith(b"\x1f"):
                return member
            member = zlib.decompressobj(wbits=31)
        member.decompress(piece)
        piece = member.unused_data
    return member


def _ends_within_row(path: Path) -> bool:
    """Whether the last line of a CSV is not ended and has fewer fields than the header.

    A last line that is not ended is how some releases end; one that is cut in its last field cannot be told from it.
    """
    with path.open("rb") as file:
        header = file.read(_HEADER)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        tail = file.read()
    if tail.endswith((b"\n", b"\r")):
        return False
    first, _, _ = header.partition(b"\n")
    last = tail.rpartition(b"\n")[2]
    delimiter = max(_DELIMITERS, key=first.decode(errors="replace").count)
    is_header = len(tail) == size and b"\n" not in tail
    return not is_header and _count_fields(last, delimiter) < _count_fields(first, delimiter)


def _count_fields(line: bytes, delimiter: str) -> int:
    text = line.decode(errors="replace").replace("\0", "").strip("\r")
    try:
        return len(next(csv.reader([text], delimiter=delimiter), []))
    except csv.Error:  # a field of more than 131,072 characters
        return text.count(delimiter) + 1


def _ends_within_json(path: Path) -> bool:
    """Whether it does not parse and does not end with a closing bracket."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        tail = file.read().rstrip()
    return not tail.endswith((b"}", b"]")) and not (size <= _TAIL and _is_json(tail))


def _is_json(text: bytes) -> bool:
    try:
        json.load(BytesIO(text))
    except ValueError:
        return False
    return True


def _ends_within_zip(path: Path) -> bool:
    """Its table of contents is at its end."""
    return not zipfile.is_zipfile(path)


_JUDGES: dict[str, Callable[[Path], bool]] = {
    ".csv": _ends_within_row,
    ".tsv": _ends_within_row,
    ".gz": _ends_within_gzip,
    ".tgz": _ends_within_gzip,
    ".json": _ends_within_json,
    ".zip": _ends_within_zip,
}
