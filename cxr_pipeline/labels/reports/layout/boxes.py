"""Check boxes: `Pneumothorax: [ ] Yes [x] No`, `[x] Effusion`, `Edema (-)`. A box stands before or behind its words."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from cxr_pipeline.labels.reports.layout.pieces import Piece, Span, Words, trim
from cxr_pipeline.pathologies import NEGATIVE, POSITIVE, UNCERTAIN

_TICKED = "\u2611\u2713\u2714\u2705"
_CROSSED = "\u2717\u2718\u274c\u2715"
_MIXED = {"\u25a1": "\u25a0", "\u25a0": "\u25a1", "\u25cb": "\u25cf\u25c9", "\u25cf": "\u25cb", "\u25c9": "\u25cb"}
_EITHER = {"\u00b1", "+/-"}
_EMPTY_SQUARE = "\u25a1"
_GLYPHS = f"[{_TICKED}{_CROSSED}\u2610\u2612{''.join(_MIXED)}\u25ef\u2b1c\u25fb]"
_BOX = re.compile(
    r"\[\s*(?P<square>[xX*\u2713\u2714\u2717\u2718]?)\s*\]|\(\s*(?P<round>[xX*\u2713\u2714]?)\s*\)"
    r"|[(\[](?P<sign>[-+\u2212\u2013\u00b1]|[+]/-)[)\]]"
    r"|(?:(?<=\w\s)|(?<=\w\s\s)|(?<=\w\s\s\s))(?P<tail>[-+\u2212\u2013\u00b1])(?=[ \t]*(?:[,;\n]|$))"
    r"|(?<!\w)(?P<ve>[-+\u2212\u2013])ve\b"
    rf"|(?P<line>_+\s?[xX\u2713\u2714]\s?_*|_{{2,}})|(?P<glyph>{_GLYPHS})"
    r"|(?<![\w'])(?P<letter>[xXoO])(?=[ ]{1,3}\w)"
)
_ENDS = " \t\r\n:=,;|.?-\u2013\u2014\u2022"


class _Box(NamedTuple):
    start: int
    end: int
    state: int | None  # 1 ticked, 0 crossed out, -1 either, None empty
    label: Span


def take_boxes_apart(text: str, words: Words) -> list[Piece] | None:
    """One piece for each box, the words beside it with what they are of; None where the text has no boxes."""
    found = _find_boxes(text)
    if not found:
        return None
    head = trim(text, 0, found[0].start, _ENDS)
    if head.start == head.end:
        return [piece for box in _label_behind(text, found) for piece in _read_box(None, box)]
    if not trim(text, found[-1].end, len(text), _ENDS + ")*").end > found[-1].end or _parts_follow(text, found):
        return list(_boxes_behind(text, found, words))
    return list(_boxes_before(text, found, words))


def _find_boxes(text: str) -> list[_Box]:
    """The boxes in order, without their words."""
    found = list(_BOX.finditer(text))
    marks = {one.group() for one in found}
    has_tick = ("\u2611" in marks and "\u2610" not in marks) or any(set(mark) & set("\u2713\u2714") for mark in marks)
    return [_Box(*one.span(), _state(one, crosses_out=has_tick), Span(0, 0)) for one in found if _is_box(one, marks)]


def _is_box(found: re.Match[str], marks: set[str]) -> bool:
    """Without a ticked one a line is a blank, unless it begins the text; without an empty one a circle or a full square
    is a bullet, a letter a word, and a minus a dash.
    """
    if letter := found.group("letter"):
        return ("o" if letter in "xX" else "x") in {mark.lower() for mark in marks}
    if found.group("tail"):
        return found.group() in "+\u00b1" or "+" in marks
    if found.group("line"):
        return found.start() == 0 or any("_" in mark and mark.strip("_ ") for mark in marks)
    other = _MIXED.get(found.group(), "")
    return not other or found.group() == _EMPTY_SQUARE or bool(marks & set(other))


def _state(found: re.Match[str], *, crosses_out: bool) -> int | None:
    """`crosses_out`: the crossed box is the other one of a ticked box."""
    if letter := found.group("letter"):
        return POSITIVE if letter in "xX" else None
    if sign := found.group("sign") or found.group("ve") or found.group("tail"):
        if sign in _EITHER:
            return UNCERTAIN
        return POSITIVE if sign == "+" else NEGATIVE
    if glyph := found.group("glyph"):
        if glyph in _CROSSED or (glyph == "\u2612" and crosses_out):
            return NEGATIVE
        return POSITIVE if glyph in _TICKED + "\u2612\u25a0\u25cf\u25c9" else None
    mark = (found.group("square") or found.group("round") or found.group("line") or "").strip("_ ")
    if mark and mark in _CROSSED and crosses_out:
        return NEGATIVE
    return POSITIVE if mark else None


def _read_box(asked: Span | None, box: _Box) -> Iterator[Piece]:
    """What a box says with the words beside it: ticked they are said, empty they are not."""
    if box.state is None:
        if asked is None:
            yield Piece(box.label, Span(box.start, box.end), is_marked=True)
    elif asked is not None and box.state == POSITIVE:
        yield Piece(asked, box.label)
    elif box.state == POSITIVE:
        yield Piece(None, box.label)
    elif asked is None:
        yield Piece(box.label, Span(box.start, box.end), is_marked=True, state=box.state)


def _label_behind(text: str, boxes: list[_Box]) -> list[_Box]:
    ends = [box.start for box in boxes[1:]] + [len(text)]
    return [box._replace(label=trim(text, box.end, end, ",;|")) for box, end in zip(boxes, ends, strict=True)]


def _parts_follow(text: str, boxes: list[_Box]) -> bool:
    """`Effusion (-), edema (+) mild`: a comma behind the first box, so that it belongs to what stands before it."""
    return len(boxes) > 1 and text[boxes[0].end : boxes[1].start].lstrip()[:1] in {",", ";"}


def _boxes_behind(text: str, boxes: list[_Box], words: Words) -> Iterator[Piece]:
    """`Effusion [x] Edema [ ]`, and `Effusion: Yes [ ] No [x]` with what is asked before the first."""
    asked: Span | None = None
    starts = [0] + [box.end for box in boxes[:-1]]
    for box, start in zip(boxes, starts, strict=True):
        label = trim(text, start, box.start, _ENDS)
        head = text.rfind(":", label.start, label.end)
        if head < 0:
            head = _answer_start(text, label, words) if asked is None else -1
        if head > label.start:
            asked, label = trim(text, label.start, head, _ENDS), trim(text, head, label.end, _ENDS)
        elif asked is not None and words.names(text[slice(*label)]):
            asked = None
        placed = box._replace(label=label)
        if asked is None:
            yield Piece(label, Span(box.start, box.end), is_marked=True, state=box.state)
        else:
            yield from _read_box(asked, placed)


def _answer_start(text: str, label: Span, words: Words) -> int:
    """Where the answer begins that ends the words before a box: `Effusion Yes [ ] No [x]`; -1 where none does."""
    start = text.rfind(" ", label.start, label.end)
    answer = words.answer(text[start : label.end]) if start > 0 else None
    return start if answer and answer.is_whole else -1


def _boxes_before(text: str, boxes: list[_Box], words: Words) -> Iterator[Piece]:
    """`Effusion: [ ] Yes [x] No`: the choices stand behind their boxes; `No Edema [x]` begins the next question."""
    asked = trim(text, 0, boxes[0].start, _ENDS)
    for box in _label_behind(text, boxes):
        answer = words.answer(text[slice(*box.label)])
        rest = trim(text, box.label.start + answer.end, box.label.end, _ENDS) if answer else box.label
        has_rest = answer is not None and rest.end > rest.start and words.names(text[slice(*rest)])
        label = Span(box.label.start, box.label.start + answer.end) if answer and has_rest else box.label
        yield from _read_box(asked, box._replace(label=label))
        if has_rest and box.end < boxes[-1].start:
            asked = rest
        elif has_rest:
            yield Piece(None, rest)
