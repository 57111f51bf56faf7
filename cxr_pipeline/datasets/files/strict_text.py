"""The bytes of a published text file, checked before anything is read into them. Rows and cells do not matter here."""

import codecs
import os
import re
from pathlib import Path

import numpy as np
import pyarrow as pa

from cxr_pipeline.datasets.files.access import refuse
from cxr_pipeline.errors import SourceFormatError

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_MOST = 1032  # deflate packs at most this many bytes into one
_CHUNK = 1 << 22
_START = 256
_KINDS = {  # how a file begins that is no text of a release -> what to say of it
    b"version https://git-lfs": "is a Git LFS pointer, not the file itself: fetch it with `git lfs pull`",
    b"PK\x03\x04": "is a zip archive or a spreadsheet: unpack it, or get the published file",
    b"\xd0\xcf\x11\xe0": "is a spreadsheet: get the published file",
    b"%PDF": "is a PDF: get the published file",
    b"<!doctype html": "is a web page: was a login needed? Get the file itself",
    b"<html": "is a web page: was a login needed? Get the file itself",
    codecs.BOM_UTF16_LE: "is UTF-16 text: save it as UTF-8",
    codecs.BOM_UTF16_BE: "is UTF-16 text: save it as UTF-8",
}


def read_text(path: Path) -> pa.Buffer:
    """The text of a file, plain or gzipped: UTF-8 (with or without its mark) that is neither empty nor damaged.

    Raises SourceFormatError otherwise, for NUL bytes and Git LFS pointers as well.
    """
    text = _read_bytes(path)
    problem = _find_problem(text)
    if problem:
        raise SourceFormatError(f"{path} {problem}. Expected the published text file.")
    return text


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, stripped, empty ones left out; raises SourceFormatError as `read_text` does."""
    lines = (line.strip() for line in read_text(path).to_pybytes().decode("utf-8-sig").splitlines())
    return [line for line in lines if line]


def count_byte(text: pa.Buffer, byte: bytes) -> int:
    """How often `byte` is in `text`; a piece at a time, since a mask of the whole would be as long as the text."""
    cells = np.frombuffer(text, np.uint8)
    return sum(int(np.count_nonzero(cells[at : at + _CHUNK] == ord(byte))) for at in range(0, len(cells), _CHUNK))


def _find_problem(text: pa.Buffer) -> str | None:
    if not re.search(rb"\S", text):
        return "is empty"
    start = text.slice(0, min(_START, text.size)).to_pybytes().removeprefix(codecs.BOM_UTF8).lstrip().lower()
    kind = next((problem for magic, problem in _KINDS.items() if start.startswith(magic.lower())), None)
    if kind:
        return kind
    if np.frombuffer(text, np.int8).min() > 0:  # ASCII without NUL, as most tables are: one look at each byte
        return None
    if np.frombuffer(text, np.uint8).min() == 0:
        return "holds NUL bytes: it is damaged or no text"
    return None if _is_utf8(text) else "is not UTF-8 text"


def _is_utf8(text: pa.Buffer) -> bool:
    """Checked in place: decoding would copy the text."""
    ends = pa.py_buffer(np.array([0, text.size], dtype=np.int64))
    try:
        pa.Array.from_buffers(pa.large_binary(), 1, [None, ends, text]).cast(pa.large_string())
    except pa.ArrowInvalid:
        return False
    return True


def _read_bytes(path: Path) -> pa.Buffer:
    """The bytes of `path`, unzipped when they are gzip, whatever the name says (browsers unzip in silence).

    The file is mapped: copying PadChest's 99 MB into fresh memory takes half as long as parsing them.
    """
    try:
        data = pa.memory_map(str(path)).read_buffer()
    except OSError as error:
        raise refuse(path, OSError(error.errno, os.strerror(error.errno)) if error.errno else error) from error
    if data.slice(0, min(len(_GZIP_MAGIC), data.size)).to_pybytes() != _GZIP_MAGIC:
        return data
    said = int.from_bytes(data.slice(max(data.size - 4, 0)).to_pybytes(), "little")  # length of the text's last part
    stream = pa.CompressedInputStream(pa.BufferReader(data), "gzip")
    try:
        parts = [stream.read_buffer(max(min(said, data.size * _GZIP_MOST), 1))]
        while (more := stream.read_buffer(_CHUNK)).size:
            parts.append(more)
    except OSError as error:
        raise SourceFormatError(f"{path} is a damaged gzip file ({error}). Get the file again.") from error
    return parts[0] if len(parts) == 1 else pa.py_buffer(b"".join(parts))
