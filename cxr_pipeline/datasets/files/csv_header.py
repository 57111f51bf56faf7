"""The first line of a published table: which columns there are, and what is told where some are not."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from cxr_pipeline.errors import SourceFormatError

_HEADER_SHOWN = 500  # characters
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def parse_header(path: Path, text: pa.Buffer) -> list[str]:
    """The names of the columns; raises SourceFormatError where the first line is no row of cells."""
    line = re.match(rb"[^\r\n]*", text)
    try:
        return [name.strip() for name in next(csv.reader([line.group().decode("utf-8-sig")]))] if line else []
    except (csv.Error, StopIteration):
        raise SourceFormatError(f"{path} begins with a line that is no header. Is it the published file?") from None


def require_columns(path: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    """Raises SourceFormatError where one of `columns` is not in `header`, or is there more than once."""
    missing = [name for name in columns if name not in header]
    repeated = [name for name in columns if header.count(name) > 1]
    if missing or repeated:
        _require_commas(path, header, missing)
        what = f"lacks the columns {missing}" if missing else f"names the columns {repeated} more than once"
        raise SourceFormatError(
            f"{path} {what}. Found {_shorten(header)}, expected {list(columns)}. Is it the published file?"
        )


def _require_commas(path: Path, header: Sequence[str], missing: Sequence[str]) -> None:
    """Raises SourceFormatError where another separator finds columns that are missing: what a spreadsheet saves."""
    for separator, name in _SEPARATORS.items():
        cells = {cell.strip('" ') for cell in separator.join(header).split(separator)}
        if any(column in cells for column in missing):
            raise SourceFormatError(
                f"{path} has its {len(cells)} columns separated by {name}, expected commas: was it saved by a "
                "spreadsheet, which may have changed numbers and dates too? Get the published file."
            )


def _shorten(header: Sequence[str]) -> str:
    shown = str(list(header))
    return shown if len(shown) <= _HEADER_SHOWN else f"{shown[:_HEADER_SHOWN]} ..."
