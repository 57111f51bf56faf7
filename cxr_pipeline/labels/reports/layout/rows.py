"""Rows of a table, `Effusion | none`, cells parted by bars, tabs or several blanks, and columns such as Yes and No."""

import re
from collections.abc import Iterator

from cxr_pipeline.labels.reports.layout.pieces import Piece, Span, Words, trim
from cxr_pipeline.labels.reports.layout.replies import is_reply
from cxr_pipeline.pathologies import POSITIVE

_BAR, _TAB, _GAP = re.compile(r"[|]"), re.compile(r"\t"), re.compile(r"[ ]{2,}")
_MARK = re.compile(r"\W*[xX\u2611\u2612\u2713\u2714\u2705]\W*")
_LONE_MARK = re.compile(r"(?:[|\t]|[ ]{2})[ ]*\[?[xX\u2611\u2612\u2713\u2714\u2705]\]?[ ]*(?:[|\t\n]|[ ]{2}|$)")
_PAIR = 2
_LONGEST_NAME = 60  # characters of a cell that may ask for something; a longer one is a sentence

_Cells = list[tuple[int, Span]]  # number of the column and where the cell lies; empty cells are left out


def take_rows_apart(block: str, words: Words) -> list[Piece]:
    """The pieces of each row; the first row may name the columns in which later rows have a mark."""
    parting = next(parting for parting in (_BAR, _TAB, _GAP) if parting.search(block))
    pieces: list[Piece] = []
    columns: dict[int, Span] = {}
    has_sides = False
    has_marks = _LONE_MARK.search(block) is not None
    at = 0
    for number, line in enumerate(block.split("\n")):
        cells = list(_find_cells(block, at, line, parting))
        if number == 0 and has_marks and (named := _name_columns(block, cells, words)):
            columns = named
        elif number == 0 and _names_sides(block, cells, words):
            has_sides = True
        elif has_sides:
            pieces += _read_sides(block, cells, words)
        else:
            pieces += _read_row(block, cells, columns, words)
        at += len(line) + 1
    return pieces


def _find_cells(block: str, at: int, line: str, parting: re.Pattern[str]) -> Iterator[tuple[int, Span]]:
    """Where bars part the cells their order is their column; where blanks do it is the place of their middle."""
    start, ends = 0, [(one.start(), one.end()) for one in parting.finditer(line)] + [(len(line), len(line))]
    is_placed = parting is _GAP
    lead = len(line) > 0 and line.lstrip().startswith("|")
    for number, (end, following) in enumerate(ends):
        cell = trim(block, at + start, at + end)
        if cell.end > cell.start:
            yield ((cell.start + cell.end) // 2 - at if is_placed else number - lead), cell
        start = following


def _name_columns(block: str, cells: _Cells, words: Words) -> dict[int, Span]:
    """Column -> its name, where the first row names no finding and an answer: `Finding | Yes | No`."""
    texts = [block[slice(*cell)] for _, cell in cells]
    answers = [words.answer(text) for text in texts]
    is_header = any(answer and answer.is_whole for answer in answers) and not any(map(words.names, texts))
    return dict(cells) if is_header else {}


def _names_sides(block: str, cells: _Cells, words: Words) -> bool:
    """`Finding | Right | Left`."""
    texts = [block[slice(*cell)] for _, cell in cells]
    return any(map(words.is_side, texts)) and not any(map(words.names, texts))


def _read_sides(block: str, cells: _Cells, words: Words) -> Iterator[Piece]:
    """What is said of either side answers what the first cell asks; a remark behind answers nothing."""
    texts = [block[slice(*cell)] for _, cell in cells[1:]]
    said = [words.answer(text) is not None or is_reply(text, words.replies) for text in texts]
    if not any(said):
        yield from (Piece(None, cell) for _, cell in cells)
        return
    for (_, cell), is_answer in zip(cells[1:], said, strict=True):
        yield Piece(cells[0][1], cell) if is_answer else Piece(None, cell)


def _read_row(block: str, cells: _Cells, columns: dict[int, Span], words: Words) -> Iterator[Piece]:
    """Each cell that names a finding asks for it, and the first cell behind it that says something answers."""
    if not columns and len(cells) == _PAIR and _answers_before(block, cells, words):
        yield Piece(cells[1][1], cells[0][1])
        return
    at = 0
    while at < len(cells):
        asked = cells[at][1]
        at += 1
        answers: _Cells = []
        while at < len(cells) and not words.names(block[slice(*cells[at][1])]):
            answers.append(cells[at])
            at += 1
        if len(block[slice(*asked)]) > _LONGEST_NAME or (not answers and not columns):
            yield Piece(None, asked)
            yield from (Piece(None, cell) for _, cell in answers)
        else:
            yield _answer(block, asked, answers, columns, words)


def _answers_before(block: str, cells: _Cells, words: Words) -> bool:
    """`No | Effusion`."""
    first, second = (block[slice(*cell)] for _, cell in cells)
    answer = words.answer(first)
    return answer is not None and answer.is_whole and not words.names(first) and words.names(second)


def _answer(block: str, asked: Span, answers: _Cells, columns: dict[int, Span], words: Words) -> Piece:
    for column, cell in answers:
        if columns and _MARK.fullmatch(block[slice(*cell)]):
            nearest = min(columns, key=lambda one: abs(one - column))
            return Piece(asked, columns[nearest])
        if _MARK.fullmatch(block[slice(*cell)]):
            return Piece(asked, cell, is_marked=True, state=POSITIVE)
        answer = words.answer(block[slice(*cell)])
        if answer is None or answer.state is not None:
            return Piece(asked, cell)
    return Piece(asked, answers[0][1] if answers else asked, is_marked=True)
