"""Lines of a text, and which of them belong together: a wrapped sentence, or one block.

A block is a heading with the lines below it, the rows of a table, or a question with its boxes on several lines.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from cxr_pipeline.labels.reports.layout.columns import has_marks, names_columns
from cxr_pipeline.labels.reports.layout.replies import Replies, asks, is_reply
from cxr_pipeline.labels.reports.layout.wrapping import STOPS, WRAPPED, has_ended, leads_on

BULLET = (
    r"(?:[-*+>\u2013\u2014\u2022\u25aa\u25cf\u25e6\u2023\u00b7\u25c6\u25b8\u25ba\u27a2](?:[ \t]+|(?=[A-Za-z]))"
    r"|\(?(?:\d{1,2}|[a-hA-H]|[ivx]{1,4})[.)][ \t]*(?=[^\s\d])|(?<!\S)\d{1,2}[-:][ \t]+)"
)
_BULLET = re.compile(BULLET)
_BOX = re.compile(r"(?:\[[^\]\w]?[xX]?[^\]\w]?\]|\([ xX]?\)|_+[xX]?_+|[\u2610-\u2612\u25a0\u25a1])")
_FIELD = re.compile(r"[^\s:.;,][^:.;\n]{1,40}:(?!\d)")
_MARKED = re.compile(r"\S[^\n]*[ ]{2,}[xX\u2610-\u2612\u2713\u2714](?:[ ]|$)")
# A bar, a mark in a column, a colon at the end of a line, a line in capitals, a nested bullet, a box at the beginning.
_MAY_GROUP = re.compile(
    r"[|\t]|  [xX\u2610-\u2612\u2713\u2714]|:[ *_\r]*\n|(?:^|\n)[ ]*[A-Z][^a-z\n]{0,44}\n"
    r"|\n[ ]*[xXoO_-][ ]+[xXoO_-][ ]|[\])][ ]+[\[(]|[\u2610\u2612\u25a1\u25a0][ ]+[\u2610\u2612\u25a1\u25a0]"
    r"|\n[ ]+[^\s\w]|\n[ ]+\w{1,4}[.):-]|\n[\[(_\u2610-\u2612\u25a0\u25a1]"
)
_LONGEST_HEADING = 80


class Unit(NamedTuple):
    """Lines that belong together; a block is read as a whole, anything else sentence by sentence."""

    start: int
    end: int
    is_block: bool


class _Line(NamedTuple):
    start: int  # of what is written on it
    end: int
    indent: int
    content: str
    is_item: bool  # begins with a bullet, a number or a box
    is_after_gap: bool  # a blank line stands before it
    is_reply: bool = False  # nothing but an answer


def split_units(text: str, start: int, end: int, replies: Replies | None = None) -> Iterator[Unit]:
    """The units of `text[start:end]` in order; takes a time linear in its length."""
    lines = list(_find_lines(text, start, end, replies))
    widths = _paragraph_widths(lines)
    may_group = _MAY_GROUP.search(text, start, end) is not None or any(line.is_reply for line in lines)
    at = 0
    while at < len(lines):
        unit, stop = _group(lines, at, replies) if may_group else (None, at)
        if unit is None:
            stop, has_boxes = _wrapped_end(lines, at, widths)
            unit = Unit(lines[at].start, lines[stop - 1].end, has_boxes)
        yield unit
        at = stop


def _group(lines: list[_Line], at: int, replies: Replies | None) -> tuple[Unit | None, int]:
    """The table or list that begins at `at`, and the line behind it."""
    if (stop := _replies_end(lines, at, replies)) > at:
        return Unit(lines[at].start, lines[stop - 1].end, is_block=True), stop
    if (stop := _table_end(lines, at)) > at:  # where a cell stands tells its column, so the indent belongs to it
        return Unit(lines[at].start - lines[at].indent, lines[stop - 1].end, is_block=True), stop
    if (stop := _list_end(lines, at)) > at:
        return Unit(lines[at].start, lines[stop - 1].end, is_block=True), stop
    return None, at


def split_heading(block: str, replies: Replies | None = None) -> tuple[int, int]:
    """Where the heading of a block ends and where its lines begin; 0 and 0 where it has no heading."""
    first, _, rest = block.partition("\n")
    written = rest.lstrip()
    if not written:
        return 0, 0
    is_above_items = _BULLET.match(written) is not None or _nests_box(first, written)
    following = written.partition("\n")[0].rstrip()
    is_asked = is_reply(following, replies) and asks(first.strip(), is_near=rest[:1] != "\n")
    if is_asked or is_above_items or _is_heading(first) or _stands_out(first.strip(), following):
        return len(first.rstrip()), len(block) - len(written)
    return 0, 0


def is_table(block: str) -> bool:
    """Whether the block is the rows of a table."""
    lines = block.split("\n", 2)
    return _is_row(lines[0]) or (len(lines) > 1 and _MARKED.match(lines[1].strip()) is not None)


def starts_item(text: str) -> bool:
    """Whether `text` begins with a bullet, a number or a box."""
    if text[:1].isalpha() and "." not in text[1:5] and ")" not in text[1:5]:
        return False  # a word: most lines begin with one
    return _BULLET.match(text) is not None or _BOX.match(text) is not None


def strip_bullet(text: str) -> int:
    """Length of the bullet or number with which `text` begins."""
    found = _BULLET.match(text)
    return found.end() if found else 0


def _find_lines(text: str, start: int, end: int, replies: Replies | None) -> Iterator[_Line]:
    at, is_after_gap = start, False
    for part in text[start:end].split("\n"):
        if content := part.strip():
            indent = len(part) - len(part.lstrip())
            is_item = starts_item(content)
            placed = (at + indent, at + indent + len(content), indent)
            yield _Line(*placed, content, is_item, is_after_gap, is_reply(content, replies))
        is_after_gap = not content
        at += len(part) + 1


def _paragraph_widths(lines: list[_Line]) -> list[int]:
    """For each line the length of the longest in its paragraph."""
    widths: list[int] = []
    first = 0
    for at, line in enumerate([*lines, _Line(0, 0, 0, "", is_item=False, is_after_gap=True)]):
        if line.is_after_gap and at > first:
            widths += [max(len(one.content) for one in lines[first:at])] * (at - first)
            first = at
    return widths


def _replies_end(lines: list[_Line], at: int, replies: Replies | None) -> int:
    """Behind the answer to the line at `at`, or the answers for either side; `at` where the next line is none."""
    if at + 1 == len(lines) or lines[at].is_reply or not lines[at + 1].is_reply or replies is None:
        return at
    if not asks(lines[at].content, is_near=not lines[at + 1].is_after_gap):
        return at
    stop = at + 2
    while stop < len(lines) and not lines[stop].is_after_gap and replies.side.match(lines[stop].content):
        stop += 1
    return stop


def _table_end(lines: list[_Line], at: int) -> int:
    """Behind the last row of the table that begins at `at`; `at` where none does."""
    stop = at
    if at + 1 < len(lines) and names_columns(lines[at].content, lines[at + 1].content):
        stop = at + 1
        while stop < len(lines) and not lines[stop].is_after_gap and has_marks(lines[stop].content):
            stop += 1
        return stop
    while stop < len(lines) and _is_row(lines[stop].content):
        stop += 1
    if stop == at and at + 1 < len(lines) and _MARKED.match(lines[at + 1].content) and "  " in lines[at].content:
        stop = at + 1
        while stop < len(lines) and _MARKED.match(lines[stop].content):
            stop += 1
    return stop


def _is_row(content: str) -> bool:
    return "|" in content or "\t" in content


def _list_end(lines: list[_Line], at: int) -> int:
    """Behind the last line that stands below the heading at `at`; `at` where that is no heading."""
    head = lines[at]
    is_loud = _is_loud(lines, at)
    is_heading = is_loud or _is_heading(head.content)
    if at + 1 == len(lines) or not (is_heading or _nests(head, lines[at + 1])):
        return at
    stop, has_items = at + 1, False
    while stop < len(lines):
        if _is_below(head, lines[stop], is_first=at + 1 == stop):
            has_items = True
        elif has_items or not (is_heading and _is_loose(lines[stop])) or (is_loud and _is_loud(lines, stop)):
            break
        stop += 1
    return stop if stop > at + 1 else at


def _nests(head: _Line, following: _Line) -> bool:
    """Whether a bullet stands further to the right, or a box below a line without one."""
    if _BOX.match(following.content):
        return not head.is_item and _nests_box(head.content, following.content)
    return following.indent > head.indent and _BULLET.match(following.content) is not None


def _nests_box(line: str, following: str) -> bool:
    return _BOX.match(following) is not None and not _BOX.search(line) and len(line) < WRAPPED


def _is_loud(lines: list[_Line], at: int) -> bool:
    """Whether the line is one in capitals among others: `LUNGS` above `Clear`."""
    if at + 1 == len(lines) or lines[at].is_item or lines[at + 1].is_after_gap:
        return False
    return _stands_out(lines[at].content, lines[at + 1].content)


def _stands_out(line: str, following: str) -> bool:
    is_short = len(line) < WRAPPED and line.isupper() and not leads_on(line)
    return is_short and not following.isupper()


def _is_heading(content: str) -> bool:
    return content.rstrip("*_ \t\r").endswith(":") and len(content) < _LONGEST_HEADING


def _is_below(head: _Line, line: _Line, *, is_first: bool) -> bool:
    """Whether the line is an item of the heading: a bullet below none, or further to the right."""
    if line.is_after_gap and not (is_first and line.is_item):
        return False
    return line.indent > head.indent or (line.is_item and not head.is_item)


def _is_loose(line: _Line) -> bool:
    """A plain line, which may be what the heading above asks for."""
    return not (line.is_after_gap or line.is_item or _FIELD.match(line.content))


def _wrapped_end(lines: list[_Line], at: int, widths: list[int]) -> tuple[int, bool]:
    """Behind the last line of the sentences that begin at `at`, and whether they are a question with its boxes."""
    stop, has_boxes = at + 1, False
    while stop < len(lines) and not lines[stop].is_after_gap:
        if _goes_on_with_boxes(lines[at], lines[stop]):
            has_boxes = True
        elif has_boxes or _is_ended(lines[at], lines[stop - 1], lines[stop], widths[at]):
            break
        stop += 1
    return stop, has_boxes


def _goes_on_with_boxes(first: _Line, line: _Line) -> bool:
    if not (line.is_item and ":" in first.content and _BOX.match(line.content)):
        return False
    box = _BOX.search(first.content)
    return box is not None and box.start() > 0


def _is_ended(first: _Line, line: _Line, following: _Line, width: int) -> bool:
    """Whether its writer ended `line`, which belongs to the sentences that begin with `first`."""
    if line.content.endswith(STOPS) and not leads_on(line.content):
        return True
    if following.is_item or _is_row(following.content):
        return True
    if (
        ":" in following.content
        and _FIELD.match(following.content)
        and (following.content[0].isupper() or _FIELD.match(first.content))
    ):
        return True
    is_continued = first.is_item and following.indent > first.indent
    return not is_continued and has_ended(line.content, following.content, width)
