"""Whether a text begins with an answer, such as `none`, `not seen`, `possible`, `+` or a blank."""

import re

from cxr_pipeline.labels.reports.layout.pieces import Answer
from cxr_pipeline.labels.reports.lexicon import Lexicon
from cxr_pipeline.labels.reports.names import find_names
from cxr_pipeline.labels.reports.text import NormalForm, normal_forms
from cxr_pipeline.pathologies import NEGATIVE, POSITIVE, UNCERTAIN

_LONGEST = 160  # characters that may tell an answer
_WORD = re.compile(r"[^\W_]|[?]")
_MARKS = re.compile(r"[ ,;:/?()]*")
_PLUS = re.compile(r"[\s(\[]*\++[\s)\]]*")


def read_answer(text: str, lexicon: Lexicon) -> Answer | None:
    """The answer with which `text` begins, the longest that the lexicon knows; None where it begins with none.

    "None on the right, small on the left" is answered by what it goes on with: present.
    """
    beginning = text[:_LONGEST]
    form = next(normal_forms(beginning), None) if _WORD.search(beginning) else None
    if form is None:
        return Answer(POSITIVE if _PLUS.fullmatch(text) else None, 0, len(text), is_whole=True)
    found = _find_answer(form.text, lexicon)
    if found is None:
        plus = _PLUS.match(text)
        return Answer(POSITIVE, 0, plus.end(), is_whole=False) if plus else None
    state, at, end = found
    is_whole = len(text) <= _LONGEST and _MARKS.fullmatch(form.text, end) is not None
    if _offers(form.text, end, lexicon):  # `yes / no`, `none/small/large`: nothing was chosen
        return Answer(None, 0, len(text), is_whole=True)
    if state is not None and form.text.startswith("? ", end):
        state = UNCERTAIN  # `none ?`
    if state == NEGATIVE and not is_whole and _resumes(form.text, end, lexicon):
        state = POSITIVE
    return Answer(state, *_locate(form, at, end), is_whole=is_whole)


def _locate(form: NormalForm, start: int, end: int) -> tuple[int, int]:
    return form.locate(start, max(end - 1, start + 1))


def _find_answer(text: str, lexicon: Lexicon, start: int = 1) -> tuple[int | None, int, int] | None:
    """State, start and end of the longest answer that begins at `start`, or behind the marks there."""
    for at in {start: None, _behind_marks(text, start): None}:
        ends = [
            (found.end(), state)
            for state, kinds in lexicon.answers.items()
            for phrases in kinds
            if (found := phrases.pattern.match(text, at))
        ]
        if ends:
            end, state = max(ends, key=lambda one: one[0])
            return state, at, end
    return None


def _offers(text: str, at: int, lexicon: Lexicon) -> bool:
    """Whether a slash follows and another choice."""
    is_choice = text.startswith("/ ", at)
    return is_choice and bool(_find_answer(text, lexicon, at + 2) or lexicon.resumed.pattern.match(text, at))


def _behind_marks(text: str, at: int) -> int:
    found = _MARKS.match(text, at)
    return found.end() if found else at


def _names_another(text: str, start: int, lexicon: Lexicon) -> bool:
    """Whether what goes on up to the next comma names a finding by itself: "none, mild atelectasis"."""
    part = f" {text[start:].partition(' , ')[0]} "
    return any(words.anchors.search(part) and find_names(part, words) for words in lexicon.vocabularies.values())


def _resumes(text: str, at: int, lexicon: Lexicon) -> bool:
    """Whether something behind a comma is there after all, and is not answered by itself."""
    for start, end in lexicon.resumed.find(text):
        answer = _find_answer(text, lexicon, start + 2) if start >= at else None
        if start >= at and not (answer and answer[0] == NEGATIVE) and end > start:
            return not _names_another(text, start + 2, lexicon)
    return False
