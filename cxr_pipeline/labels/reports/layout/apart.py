"""Takes a sentence or a block apart: boxes, rows, lists below a heading, fields. One piece for a plain sentence."""

import re
from collections.abc import Iterator

from cxr_pipeline.labels.reports.layout.boxes import take_boxes_apart
from cxr_pipeline.labels.reports.layout.columns import take_columns_apart
from cxr_pipeline.labels.reports.layout.fields import take_fields_apart
from cxr_pipeline.labels.reports.layout.lines import is_table, split_heading, starts_item, strip_bullet
from cxr_pipeline.labels.reports.layout.pieces import Piece, Span, Words, trim
from cxr_pipeline.labels.reports.layout.rows import take_rows_apart
from cxr_pipeline.labels.reports.text import split_sentences

_DEEPEST = 3  # headings below headings: bounds the work per line
_BOXED_CELL = re.compile(
    r"(?:[\]_)]|[\u2610-\u2612\u25a0\u25a1\u25cb\u25cf])[ ]?[A-Za-z]|[A-Za-z][ ]?(?:[\[(_]|[\u2610-\u2612])"
)


def take_apart(block: str, words: Words, depth: int = 0) -> list[Piece]:
    """The pieces of a sentence or block; spans are offsets into `block`."""
    if "\n" in block and (columns := take_columns_apart(block, words)) is not None:
        return columns
    end, body = split_heading(block, words.replies) if "\n" in block else (0, 0)
    if body and depth < _DEEPEST:
        return list(_take_list_apart(block, end, body, words, depth))
    if is_table(block):
        return _take_table_apart(block, words)
    return _take_line_apart(block, words)


def _take_line_apart(text: str, words: Words) -> list[Piece]:
    bullet = strip_bullet(text)
    if bullet:
        return _shift(_take_line_apart(text[bullet:], words), bullet)
    boxed = take_boxes_apart(text, words)
    if boxed is None:
        return take_fields_apart(text, words)
    return [part for piece in boxed for part in _take_label_apart(text, piece, words)]


def _take_label_apart(text: str, piece: Piece, words: Words) -> list[Piece]:
    """What a ticked box stands before may be a field: `[x] Effusion: small`."""
    if piece.asked or piece.is_marked:
        return [piece]
    return _shift(take_fields_apart(text[slice(*piece.said)], words), piece.said.start)


def _take_table_apart(block: str, words: Words) -> list[Piece]:
    """Rows whose cells hold boxes with words, `Effusion | [ ] Yes | [x] No`, are lines with boxes."""
    if not _BOXED_CELL.search(block):
        return [part for piece in take_rows_apart(block, words) for part in _take_label_apart(block, piece, words)]
    at, placed = 0, list[Piece]()
    for line in block.split("\n"):
        placed += _shift(_take_line_apart(line.replace("|", " ").replace("\t", " "), words), at)
        at += len(line) + 1
    return placed


def _take_list_apart(block: str, end: int, body: int, words: Words, depth: int) -> Iterator[Piece]:
    """Each line by itself; one that names no finding says something of the heading."""
    head = trim(block, strip_bullet(block[:end]), end, ":*_")
    asked = trim(block, head.start, head.end, "?")
    opens = words.opens(block[slice(*head)])
    is_answered = ":" in block[head.end : end + 1]
    for number, (at, sentence) in enumerate(split_sentences(block, body, len(block), words.replies)):
        answers = number == 0 or _is_item(block, at)
        for piece in _shift(take_apart(sentence, words, depth + 1), at):
            is_named = any(words.names(block[slice(*span)]) for span in (piece.asked, piece.said) if span)
            if opens is not None and is_named and not piece.asked:
                yield Piece(piece.said, head, is_marked=True, state=opens)
            elif not is_named and (answers or (piece.asked and words.is_side(block[slice(*piece.asked)]))):
                is_answered = True  # by an empty box as well: what is not ticked is not said
                if not piece.is_marked:
                    yield Piece(asked, piece.said)
            else:
                yield piece
    if not is_answered:
        yield Piece(None, head)


def _is_item(block: str, at: int) -> bool:
    """Whether what stands at `at` has a bullet or is further to the right than the heading."""
    return block[at - 1] != "\n" or starts_item(block[at : at + 10])


def _shift(pieces: list[Piece], by: int) -> list[Piece]:
    return [
        piece._replace(
            asked=piece.asked and Span(piece.asked.start + by, piece.asked.end + by),
            said=Span(piece.said.start + by, piece.said.end + by),
        )
        for piece in pieces
    ]
