"""Columns of boxes named by the line above: `Yes  No` above `[ ] [x] Effusion` or `Effusion  [ ]  [x]`."""

import re
from collections.abc import Iterator

from cxr_pipeline.labels.reports.layout.pieces import Piece, Span, Words

_TICK = "xX\u2611\u2612\u2713\u2714\u2705\u25a0"
_MARK = rf"(?:\[[ ]?[{_TICK}]?[ ]?\]|\([ ]?[{_TICK}]?[ ]?\)|_+[xX]?_*|[{_TICK}oO\u2610\u25a1-](?!\w))"
_GAP = r"[ \t|]+"
_MARKS = rf"(?P<marks>{_MARK}(?:{_GAP}{_MARK})+)"
_FRONT = re.compile(rf"[ \t|]*{_MARKS}{_GAP}(?P<name>[^\s|].*)")
_BACK = re.compile(rf"(?P<name>[^\W_].*?){_GAP}{_MARKS}[ \t|]*$")
_ONE = re.compile(_MARK)
_CELL = re.compile(r"[^\s|](?:[^\t|\n](?![ ]{2}))*")
_WORD = re.compile(r"\w+")
_LONGEST = 160  # characters of a row: bounds the search


def has_marks(line: str) -> bool:
    """Whether the line is a name with two marks or more on one side of it."""
    return _find_row(line) is not None


def names_columns(line: str, following: str) -> bool:
    """Whether `line`, without a mark, may name the columns of marks on the line below."""
    return len(line) < _LONGEST and "[" not in line and ":" not in line and has_marks(following)


def take_columns_apart(block: str, words: Words) -> list[Piece] | None:
    """One piece for each tick, or for the row where none is; None where the first line does not name the columns."""
    lines = block.split("\n")
    if len(lines) < 2 or not names_columns(lines[0].strip(), lines[1].strip()):
        return None
    columns = _name_columns(lines[0], words)
    at, pieces = len(lines[0]) + 1, list[Piece]()
    for line in lines[1:]:
        row = _find_row(line)
        marks = list(_ONE.finditer(row.group("marks"))) if row else []
        if row is None or len(marks) != len(columns):
            return None
        asked = Span(at + row.start("name"), at + row.end("name"))
        pieces += list(_read_row(asked, marks, columns)) or [Piece(asked, asked, is_marked=True)]
        at += len(line) + 1
    return pieces


def _read_row(asked: Span, marks: list[re.Match[str]], columns: list[Span]) -> Iterator[Piece]:
    for mark, column in zip(marks, columns, strict=True):
        if set(mark.group()) & set(_TICK):
            yield Piece(asked, column)


def _find_row(line: str) -> re.Match[str] | None:
    return (_FRONT.match(line) or _BACK.match(line.strip("\r"))) if len(line) < _LONGEST else None


def _name_columns(line: str, words: Words) -> list[Span]:
    """The answers of the first line, parted by two blanks or, where that parts nothing, by one."""
    for cells in (_CELL, _WORD):
        spans = [Span(*found.span()) for found in cells.finditer(line)]
        found = [span for span in spans if (answer := words.answer(line[slice(*span)])) and answer.is_whole]
        if len(found) > 1:
            return found
    return []
