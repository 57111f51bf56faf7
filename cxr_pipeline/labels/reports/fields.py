"""Fields of a report template: `Pleural effusion: none`, `Mass - No`, `[x] Edema`. What they name is not said here.

ReXGradient's sites write templates as often as sentences. An answer is taken only where nothing follows it: "Effusion:
small" and "Edema: no change" are sentences for the cues.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from cxr_pipeline.pathologies import NEGATIVE, POSITIVE, UNCERTAIN


class Field(NamedTuple):
    """A part of a sentence that is answered; positions are offsets into the sentence."""

    start: int  # of what is asked
    end: int
    state: int | None  # 1, 0, -1; None for a blank
    answer_start: int
    answer_end: int


_SEEN = r"(?:seen|present|identified|visuali[sz]ed|detected|evident|demonstrated|appreciated|noted|found|observed)"
_ANSWERS: dict[str, int | None] = {
    rf"none(?:\s+{_SEEN})?|no(?:t\s+{_SEEN}|\s+evidence)?|nil|neg(?:ative)?|absent|denied|n|false|-ve|\(-\)|0"
    r"|resolved|clear|free|normal|unremarkable|wnl|within\s+normal\s+limits|\[\s*\]\s*(?:yes|present)\s*\[x\]\s*(?:no|absent)"
    r"|\[x\]\s*(?:no|none|absent)(?:\s*\[\s*\]\s*(?:yes|present))?": NEGATIVE,
    r"yes|present|pos(?:itive)?|y|true|\+ve|\+|\(\+\)|\[[x\u2713\u2714]\]|[\u2611\u2612\u2713\u2714]"
    r"|\[x\]\s*(?:yes|present)(?:\s*\[\s*\]\s*(?:no|none|absent))?"
    r"|\[\s*\]\s*(?:no|none|absent)\s*\[x\]\s*(?:yes|present)": POSITIVE,
    r"possibl[ey]|questionable|equivocal|suspected|uncertain|indeterminate|maybe|\?": UNCERTAIN,
    r"_+|\.{3,}|n\s*/\s*a|n\.\s?a\.?|not\s+(?:assessed|applicable|evaluated|included|reported|commented)|unknown|\[\s*\]"
    r"|\u2610|-{2,}|\*{2,}|": None,
}
_STATES = list(_ANSWERS.values())
_ANSWER = "|".join(f"({pattern})" for pattern in _ANSWERS)
# What is asked has no answer within; the parting is a colon, `=`, a tab, a dash between blanks, or a bracket.
_FIELD = re.compile(
    rf"(?P<asked>[^:=\t;\n]{{2,120}}?)(?:\s*[:=]\s*|\t+\s*|\s+[-\u2013\u2014]+\s+|\s*\((?=[^()]*\)))(?:{_ANSWER})"
    r"\)?(?:\s*(?=[,;!]|[.](?:\s|$)|$)|(?=\s{2,}|\s+[^:=.;,]{3,40}[:=]))",
    re.IGNORECASE,
)
_BOX = re.compile(r"\[(?P<mark>[ xX\u2713\u2714]*)\]|\((?P<round>[ xX\u2713\u2714])\)|[\u2610\u2611\u2612\u2713\u2714]")
_EMPTY_BOX = "\u2610"
_HINT = re.compile(r"[:=\t\[\]\u2610-\u2612\u2713\u2714]|[-\u2013\u2014]\s|\(")


def find_fields(sentence: str) -> list[Field]:
    """The fields of a sentence in order; none in most."""
    if not _HINT.search(sentence):
        return []
    return [*_find_answers(sentence)] or [*_find_boxes(sentence)]


def _find_answers(sentence: str) -> Iterator[Field]:
    at = 0
    while found := _FIELD.search(sentence, at):
        if found.end() == at:
            return
        at = found.end()
        which = next(number for number in range(len(_STATES)) if found.group(number + 2) is not None)
        start, end = found.span("asked")
        yield Field(start, end, _STATES[which], *found.span(which + 2))


def _find_boxes(sentence: str) -> Iterator[Field]:
    """`[ ] Effusion [x] Edema`: a box before what it is of. A box without a mark says nothing."""
    boxes = list(_BOX.finditer(sentence))
    if not boxes or sentence[: boxes[0].start()].strip(" -*\u2022"):
        return
    ends = [box.start() for box in boxes[1:]] + [len(sentence)]
    for box, end in zip(boxes, ends, strict=True):
        mark = (box.group("mark") or box.group("round") or "").strip()
        is_ticked = bool(mark) or (box.group()[0] not in "[(" and box.group() != _EMPTY_BOX)
        yield Field(box.end(), end, POSITIVE if is_ticked else None, *box.span())
