"""Strict reading of published text tables: every cell a string, every surprise an error. No meaning lives here.

polars alone reads UTF-16, NUL bytes, short rows, duplicate headers and Git LFS pointers without a word; pyarrow counts
the cells of every row.
"""

import codecs
import csv
import gzip
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv

from cxr_pipeline.errors import SourceFormatError

_GZIP_MAGIC = b"\x1f\x8b"
_LFS_MAGIC = b"version https://git-lfs"


def read_csv(path: Path, columns: Sequence[str], *, aliases: Mapping[str, str] | None = None) -> pl.DataFrame:
    """The named `columns` of a comma-separated file, plain or gzipped, all String; an empty cell is `""`, never null.

    Other columns are checked for their number and left out. `aliases` gives other spellings of a header cell.
    Raises SourceFormatError: not UTF-8 text, columns missing or named twice, rows with more or fewer cells, no rows.
    """
    data = _read_text(path)
    header = [(aliases or {}).get(name, name) for name in _read_header(data)]
    _require_columns(path, header, columns)
    frame = _parse(path, data, width=len(header), positions=[header.index(name) for name in columns])
    if frame.is_empty():
        raise SourceFormatError(f"{path} has a header and no rows: is the download complete? Get the file again.")
    frame.columns = list(columns)
    return frame


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, stripped, empty ones left out; raises SourceFormatError as `read_csv` does."""
    lines = (line.strip() for line in _read_text(path).decode("utf-8-sig").splitlines())
    return [line for line in lines if line]


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
    unknown = sorted(set(frame[column].unique()) - set(codes))
    if unknown:
        raise SourceFormatError(
            f"{path}: {column!r} holds {', '.join(map(repr, unknown[:5]))}"
            f"{' and others' if len(unknown) > 5 else ''}: expected {', '.join(map(repr, codes))}."
        )
    return frame[column].replace_strict(codes)


def _read_text(path: Path) -> bytes:
    data = _read_bytes(path)
    if not data.strip():
        problem = "is empty"
    elif data.startswith(_LFS_MAGIC):
        problem = "is a Git LFS pointer, not the file itself: fetch it with `git lfs pull`"
    elif data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        problem = "is UTF-16 text: save it as UTF-8"
    elif b"\0" in data:
        problem = "holds NUL bytes: it is damaged or no text"
    elif not _is_utf8(data):
        problem = "is not UTF-8 text"
    else:
        return data
    raise SourceFormatError(f"{path} {problem}. Expected the published text file.")


def _read_bytes(path: Path) -> bytes:
    """The bytes of `path`, unzipped when they are gzip, whatever the name says (browsers unzip in silence)."""
    data = path.read_bytes()
    if not data.startswith(_GZIP_MAGIC):
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceFormatError(f"{path} is a damaged gzip file ({error}). Get the file again.") from error


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _read_header(data: bytes) -> list[str]:
    first_line = data.split(b"\n", 1)[0].decode("utf-8-sig")
    return [name.strip() for name in next(csv.reader([first_line]))]


def _require_columns(path: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    missing = [name for name in columns if name not in header]
    repeated = [name for name in columns if header.count(name) > 1]
    if missing or repeated:
        what = f"lacks the columns {missing}" if missing else f"names the columns {repeated} more than once"
        raise SourceFormatError(
            f"{path} {what}. Found {list(header)}, expected {list(columns)}. Is it the published file?"
        )


def _parse(path: Path, data: bytes, *, width: int, positions: Sequence[int]) -> pl.DataFrame:
    """The columns at `positions`, as strings. By position: published headers repeat names or leave them empty."""
    names = [str(position) for position in range(width)]
    wanted = [names[position] for position in positions]
    ragged: list[int] = []

    def note_ragged(row: pa_csv.InvalidRow) -> str:
        ragged.append(row.actual_columns)
        return "skip"

    try:
        table = pa_csv.read_csv(
            pa.BufferReader(data),
            read_options=pa_csv.ReadOptions(column_names=names, skip_rows=1),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=note_ragged),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(wanted, pa.string()), include_columns=wanted
            ),
        )
    except pa.ArrowInvalid:
        # `from None`: the cause may quote a row, and rows hold patient ids.
        raise SourceFormatError(f"{path} cannot be split into rows and cells: is a quote left open?") from None
    if ragged:
        raise SourceFormatError(
            f"{path}: {len(ragged)} rows do not have the {width} cells of the header (the first has {ragged[0]}). "
            "The file is cut or edited: get it again."
        )
    return pl.DataFrame(table)
