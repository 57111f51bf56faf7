"""Strict reading of published tables: every cell a string, every surprise an error. No meaning lives here.

polars alone reads short rows and duplicate headers without a word; pyarrow counts the cells of every row. What is
checked of the text as a whole is in `strict_text.py`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from cxr_pipeline.datasets.files.csv_header import parse_header, require_columns
from cxr_pipeline.datasets.files.strict_text import count_byte, read_text
from cxr_pipeline.errors import SourceFormatError

Codes = Mapping[str, int | str | None]  # published cell -> what it stands for

_CODES_SHOWN = 12
_T = TypeVar("_T")
_known: ContextVar[dict[str, Any] | None] = ContextVar("known", default=None)  # see `reading_once`


def read_csv(
    path: Path,
    columns: Sequence[str],
    *,
    aliases: Mapping[str, str] | None = None,
    codes: Mapping[str, Codes] | None = None,
    types: Mapping[str, pl.Enum] | None = None,
    repeating: Sequence[str] = (),
) -> pl.DataFrame:
    """The named `columns` of a comma-separated file, plain or gzipped, all String; an empty cell is `""`, never null.

    Other columns are checked for their number and left out. `aliases` gives other spellings of a header cell. Columns
    in `codes` have each cell replaced by its code, as String or as the smallest integer type that holds them (Int8);
    where codes are the cells' own numbers, `1` and `1.00` are one cell.
    `types` has the Enum of codes that are words: to gather and to compare numbers is cheaper.
    Columns in `repeating` are an Enum of their different cells; `require_match` and `decode` look at each of them once.
    Raises SourceFormatError: not UTF-8 text, columns missing or named twice, rows with more or fewer cells, no rows,
    cells without a code.
    """

    def read() -> pl.DataFrame:
        rows = _read_csv(path, columns, aliases or {}, codes or {}, types or {})
        return rows.with_columns(rows[name].cast(pl.Enum(rows[name].unique())) for name in repeating)

    return _once(f"{path} {columns} {aliases} {codes} {repeating}", read)


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


def read_header(path: Path) -> list[str]:
    """The names of the columns; raises SourceFormatError as `read_csv` does."""
    return parse_header(path, read_text(path))


def require_match(path: Path, frame: pl.DataFrame, column: str, pattern: str) -> None:
    """Raises SourceFormatError that counts the cells of `column` which `pattern` does not match."""
    wrong = frame.height - decode(frame[column], lambda cells: cells.str.contains(pattern)).sum()
    if wrong:
        raise SourceFormatError(
            f"{path}: {wrong} of {frame.height} cells of {column!r} are not as published: expected {pattern}. "
            "Compare the file with the published one."
        )


def decode(cells: pl.Series, read: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """What `read`, which looks at each cell by itself, makes of `cells`; of an Enum it is given each category once."""
    dtype = cells.dtype  # of an Enum it is made anew each time it is asked for
    if not isinstance(dtype, pl.Enum):
        return read(cells)
    return read(dtype.categories).gather(cells.to_physical()).alias(cells.name)


def number_words(lists: pl.Series) -> pl.Series:
    """Lists of words as lists of Enum: to repeat and to count a number is cheaper than to do so with a text."""
    return lists.cast(pl.List(pl.Enum(lists.explode().drop_nulls().unique().sort())))


def recode(path: Path, frame: pl.DataFrame, column: str, codes: Mapping[str, Any]) -> pl.Series:
    """`column` with each cell replaced by its code; raises SourceFormatError that names the cells without one."""
    positions = frame[column].cast(pl.Enum(list(codes)), strict=False).to_physical()
    if positions.null_count():
        _require_known(path, column, frame[column].unique().to_list(), codes)
    return pl.Series(column, list(codes.values())).gather(positions)


def _read_csv(
    path: Path,
    columns: Sequence[str],
    aliases: Mapping[str, str],
    codes: Mapping[str, Codes],
    types: Mapping[str, pl.Enum],
) -> pl.DataFrame:
    text = read_text(path)
    header = [aliases.get(name, name) for name in parse_header(path, text)]
    require_columns(path, header, columns)

    def read(numbers: Collection[str]) -> pl.DataFrame:
        kinds = {name: pa.float32() if name in numbers else pa.string() for name in columns}  # `1.0` is no int of Arrow
        table = _parse(path, text, len(header), {header.index(name): kind for name, kind in kinds.items()})
        if not table.num_rows:
            raise SourceFormatError(f"{path} has a header and no rows: is the download complete? Get the file again.")
        cells = zip(columns, table.columns, strict=True)
        return pl.DataFrame([_encode(path, name, part, codes.get(name), types.get(name)) for name, part in cells])

    try:  # Cells that never become text are found their codes in a third of the time.
        return read([name for name in columns if _are_numbers(codes.get(name))])
    except pa.ArrowInvalid:
        pass
    try:
        return read([])  # says which cell is no such number
    except pa.ArrowInvalid:
        # `from None`: the cause may quote a row, and rows hold patient ids.
        raise _unreadable(path) from None


def _once(key: str, make: Callable[[], _T]) -> _T:
    known = _known.get()
    if known is None:
        return make()
    if key not in known:
        known[key] = make()
    return known[key]


def _are_numbers(codes: Codes | None) -> bool:
    """Whether every cell is its own code, an empty one null, and the codes leave no gap: what `_take_numbers` asks."""
    if codes is None or not all(value is None if cell == "" else _is_own(cell, value) for cell, value in codes.items()):
        return False
    found = {int(value) for value in codes.values() if value is not None}
    return len(found) == max(found) - min(found) + 1


def _is_own(cell: str, code: int | str | None) -> bool:
    return isinstance(code, int) and cell in (f"{code}", f"{code}.0")


def _take_numbers(cells: pl.Series, codes: Codes) -> pl.Series:
    """Float32 `cells` as Int8; raises ArrowInvalid for a cell that is not among `codes`."""
    numbers = cells.cast(pl.Int8, wrap_numerical=True)  # without a check of each, which takes four times as long
    is_known = {numbers.min(), numbers.max()} <= {*codes.values(), None} and ("" in codes or not cells.has_nulls())
    if not is_known or not (numbers.cast(pl.Float32) == cells).all():
        raise pa.ArrowInvalid("a cell is not among the codes")
    return numbers


def _encode(path: Path, name: str, cells: pa.ChunkedArray, codes: Codes | None, dtype: pl.Enum | None) -> pl.Series:
    """`recode` in Arrow, before the cells become text in polars: a tenth of the time, and CheXpert has eighteen."""
    if codes is None:
        return pl.Series(name, cells)
    if pa.types.is_floating(cells.type):
        return _take_numbers(pl.Series(name, cells), codes)
    positions = pc.index_in(cells, pa.array(list(codes), pa.string()))
    if positions.null_count:
        _require_known(path, name, pc.unique(cells).to_pylist(), codes)
    values = pl.Series(name, list(codes.values()), dtype).shrink_dtype()
    if not values.dtype.is_integer() or not values.null_count():
        return values.gather(pl.Series(positions))
    # Null is put in afterwards: looking up in a column with nulls takes three times as long.
    nothing = min(code for code in codes.values() if isinstance(code, int)) - 1
    numbers = values.fill_null(nothing).gather(pl.Series(positions)).to_frame()
    return numbers.select(pl.when(pl.col(name) != nothing).then(name)).to_series()


def _require_known(path: Path, column: str, found: Sequence[str], codes: Mapping[str, Any]) -> None:
    unknown = sorted(set(found) - set(codes))
    if unknown:
        raise SourceFormatError(
            f"{path}: {column!r} holds {', '.join(map(repr, unknown[:5]))}"
            f"{' and others' if len(unknown) > 5 else ''}: expected {', '.join(map(repr, [*codes][:_CODES_SHOWN]))}"
            f"{f' or one of {len(codes) - _CODES_SHOWN} others' if len(codes) > _CODES_SHOWN else ''}."
        )


def _parse(path: Path, text: pa.Buffer, width: int, kinds: Mapping[int, pa.DataType]) -> pa.Table:
    """The columns at the places `kinds`, of `width`. By place: published headers repeat names or leave them empty.

    Raises ArrowInvalid, SourceFormatError for a quote left open and for rows of another width.
    """
    names = [str(spot) for spot in range(width)]
    ragged: list[int] = []

    def note_ragged(row: pa_csv.InvalidRow) -> str:
        ragged.append(row.actual_columns)
        return "skip"

    quotes = count_byte(text, b'"')
    if quotes % 2:  # pyarrow and Python would read the rest of the file as one cell, without a word
        raise _unreadable(path)
    table = pa_csv.read_csv(
        pa.BufferReader(text),
        # One thread: several take twice the CPU time. Quotes and newlines only where they are: looking for them costs.
        read_options=pa_csv.ReadOptions(column_names=names, skip_rows=1, use_threads=False),
        parse_options=pa_csv.ParseOptions(
            quote_char='"' if quotes else False, newlines_in_values=quotes > 0, invalid_row_handler=note_ragged
        ),
        convert_options=pa_csv.ConvertOptions(
            column_types={names[spot]: kind for spot, kind in kinds.items()},
            include_columns=[names[spot] for spot in kinds],
            null_values=[""],
            check_utf8=False,
        ),
    )
    if ragged:
        raise SourceFormatError(
            f"{path}: {len(ragged)} rows do not have the {width} cells of the header (the first has {ragged[0]}). "
            "The file is cut or edited: get it again."
        )
    return table


def _unreadable(path: Path) -> SourceFormatError:
    return SourceFormatError(
        f"{path} cannot be split into rows and cells: is it cut, or a quote left open? Get the file again."
    )
