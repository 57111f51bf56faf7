"""Strict reading of published text tables: every cell a string, every surprise an error. No meaning lives here.

polars alone reads UTF-16, NUL bytes, short rows, duplicate headers and Git LFS pointers without a word; pyarrow counts
the cells of every row.
"""

import codecs
import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from cxr_pipeline.errors import SourceFormatError

Codes = Mapping[str, int | str | None]  # published cell -> what it stands for

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_MOST = 1032  # deflate packs at most this many bytes into one
_CHUNK = 1 << 22
_QUOTE = ord('"')
_HEADER_SHOWN = 500  # characters
_LFS_MAGIC = b"version https://git-lfs"
_T = TypeVar("_T")
_known: ContextVar[dict[str, Any] | None] = ContextVar("known", default=None)  # see `reading_once`


def read_csv(
    path: Path,
    columns: Sequence[str],
    *,
    aliases: Mapping[str, str] | None = None,
    codes: Mapping[str, Codes] | None = None,
) -> pl.DataFrame:
    """The named `columns` of a comma-separated file, plain or gzipped, all String; an empty cell is `""`, never null.

    Other columns are checked for their number and left out. `aliases` gives other spellings of a header cell. Columns
    in `codes` have each cell replaced by its code, as String or as the smallest integer type that holds them (Int8).
    Raises SourceFormatError: not UTF-8 text, columns missing or named twice, rows with more or fewer cells, no rows,
    cells without a code.
    """
    return _once(f"{path} {columns} {aliases} {codes}", lambda: _read_csv(path, columns, aliases or {}, codes or {}))


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, stripped, empty ones left out; raises SourceFormatError as `read_csv` does."""
    lines = (line.strip() for line in _read_text(path).to_pybytes().decode("utf-8-sig").splitlines())
    return [line for line in lines if line]


@contextmanager
def reading_once() -> Iterator[None]:
    """Within this block a file is read once, however often the same columns of it are asked for.

    Most sources keep images and findings in one file; half of the time that PadChest takes is reading it.
    """
    token = _known.set({})
    try:
        yield
    finally:
        _known.reset(token)
        pa.default_memory_pool().release_unused()  # Arrow keeps what it has parsed into: 100 MB after PadChest


def require_match(path: Path, frame: pl.DataFrame, column: str, pattern: str) -> None:
    """Raises SourceFormatError that counts the cells of `column` which `pattern` does not match."""
    wrong = frame.height - frame[column].str.contains(pattern).sum()
    if wrong:
        raise SourceFormatError(
            f"{path}: {wrong} of {frame.height} cells of {column!r} are not as published: expected {pattern}. "
            "Compare the file with the published one."
        )


def recode(path: Path, frame: pl.DataFrame, column: str, codes: Mapping[str, Any]) -> pl.Series:
    """`column` with each cell replaced by its code; raises SourceFormatError that names the cells without one."""
    positions = frame[column].cast(pl.Enum(list(codes)), strict=False).to_physical()
    if positions.null_count():
        _require_known(path, column, frame[column].unique().to_list(), codes)
    return pl.Series(column, list(codes.values())).gather(positions)


def _read_csv(
    path: Path, columns: Sequence[str], aliases: Mapping[str, str], codes: Mapping[str, Codes]
) -> pl.DataFrame:
    text = _read_text(path)
    header = [aliases.get(name, name) for name in _read_header(path, text)]
    _require_columns(path, header, columns)
    table = _parse(path, text, width=len(header), positions=[header.index(name) for name in columns])
    if not table.num_rows:
        raise SourceFormatError(f"{path} has a header and no rows: is the download complete? Get the file again.")
    return pl.DataFrame(
        [
            _encode(path, name, cells, codes[name]) if name in codes else pl.Series(name, cells)
            for name, cells in zip(columns, table.columns, strict=True)
        ]
    )


def _once(key: str, make: Callable[[], _T]) -> _T:
    known = _known.get()
    if known is None:
        return make()
    if key not in known:
        known[key] = make()
    return known[key]


def _encode(path: Path, name: str, cells: pa.ChunkedArray, codes: Codes) -> pl.Series:
    """`recode` in Arrow, before the cells become text in polars: a tenth of the time, and CheXpert has eighteen."""
    positions = pc.index_in(cells, pa.array(list(codes), pa.string()))
    if positions.null_count:
        _require_known(path, name, pc.unique(cells).to_pylist(), codes)
    return pl.Series(name, list(codes.values())).shrink_dtype().gather(pl.Series(positions))


def _require_known(path: Path, column: str, found: Sequence[str], codes: Mapping[str, Any]) -> None:
    unknown = sorted(set(found) - set(codes))
    if unknown:
        raise SourceFormatError(
            f"{path}: {column!r} holds {', '.join(map(repr, unknown[:5]))}"
            f"{' and others' if len(unknown) > 5 else ''}: expected {', '.join(map(repr, codes))}."
        )


def _read_text(path: Path) -> pa.Buffer:
    text = _read_bytes(path)
    problem = _find_problem(text)
    if problem:
        raise SourceFormatError(f"{path} {problem}. Expected the published text file.")
    return text


def _find_problem(text: pa.Buffer) -> str | None:
    start = text.slice(0, min(len(_LFS_MAGIC), text.size)).to_pybytes()
    if not re.search(rb"\S", text):
        return "is empty"
    if start == _LFS_MAGIC:
        return "is a Git LFS pointer, not the file itself: fetch it with `git lfs pull`"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "is UTF-16 text: save it as UTF-8"
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
    """The bytes of `path`, unzipped when they are gzip, whatever the name says (browsers unzip in silence)."""
    data = path.read_bytes()
    if not data.startswith(_GZIP_MAGIC):
        return pa.py_buffer(data)
    said = int.from_bytes(data[-4:], "little")  # the length of the text (of its last part, where several are joined)
    stream = pa.CompressedInputStream(pa.BufferReader(data), "gzip")
    try:
        parts = [stream.read_buffer(max(min(said, len(data) * _GZIP_MOST), 1))]
        while (more := stream.read_buffer(_CHUNK)).size:
            parts.append(more)
    except OSError as error:
        raise SourceFormatError(f"{path} is a damaged gzip file ({error}). Get the file again.") from error
    return parts[0] if len(parts) == 1 else pa.py_buffer(b"".join(parts))


def _read_header(path: Path, text: pa.Buffer) -> list[str]:
    line = re.match(rb"[^\r\n]*", text)
    try:
        return [name.strip() for name in next(csv.reader([line.group().decode("utf-8-sig")]))] if line else []
    except (csv.Error, StopIteration):
        raise SourceFormatError(f"{path} begins with a line that is no header. Is it the published file?") from None


def _require_columns(path: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    missing = [name for name in columns if name not in header]
    repeated = [name for name in columns if header.count(name) > 1]
    if missing or repeated:
        what = f"lacks the columns {missing}" if missing else f"names the columns {repeated} more than once"
        raise SourceFormatError(
            f"{path} {what}. Found {_shorten(header)}, expected {list(columns)}. Is it the published file?"
        )


def _shorten(header: Sequence[str]) -> str:
    shown = str(list(header))
    return shown if len(shown) <= _HEADER_SHOWN else f"{shown[:_HEADER_SHOWN]} ..."


def _parse(path: Path, text: pa.Buffer, *, width: int, positions: Sequence[int]) -> pa.Table:
    """The columns at `positions`, as strings. By position: published headers repeat names or leave them empty."""
    names = [str(position) for position in range(width)]
    wanted = [names[position] for position in positions]
    ragged: list[int] = []

    def note_ragged(row: pa_csv.InvalidRow) -> str:
        ragged.append(row.actual_columns)
        return "skip"

    quotes = _count_quotes(text)
    if quotes % 2:  # pyarrow and Python would read the rest of the file as one cell, without a word
        raise _unreadable(path)
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(text),
            # One thread: several take twice the CPU time. Newlines only where they can be: finding rows takes longer.
            read_options=pa_csv.ReadOptions(column_names=names, skip_rows=1, use_threads=False),
            parse_options=pa_csv.ParseOptions(newlines_in_values=quotes > 0, invalid_row_handler=note_ragged),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(wanted, pa.string()), include_columns=wanted, check_utf8=False
            ),
        )
    except pa.ArrowInvalid:
        # `from None`: the cause may quote a row, and rows hold patient ids.
        raise _unreadable(path) from None
    if ragged:
        raise SourceFormatError(
            f"{path}: {len(ragged)} rows do not have the {width} cells of the header (the first has {ragged[0]}). "
            "The file is cut or edited: get it again."
        )
    return table


def _count_quotes(text: pa.Buffer) -> int:
    cells = np.frombuffer(text, np.uint8)
    return sum(int(np.count_nonzero(cells[at : at + _CHUNK] == _QUOTE)) for at in range(0, len(cells), _CHUNK))


def _unreadable(path: Path) -> SourceFormatError:
    return SourceFormatError(
        f"{path} cannot be split into rows and cells: is it cut, or a quote left open? Get the file again."
    )
