"""A lexicon of two findings and a few answers, for tests of the layout alone."""

import re

from cxr_pipeline.labels.reports.layout.pieces import Answer
from cxr_pipeline.labels.reports.layout.replies import compile_replies

_NAME = re.compile(r"(?i)\b(?:effusion|mass)\b")
_ANSWER = re.compile(r"(?i)[\s(*]*(?P<answer>(?P<no>no|none)|(?P<yes>yes)|(?P<blank>n/a|_+))\b(?P<rest>[\s).,;*]*$)?")


class FewWords:
    """Knows effusion and mass, no, none, yes and blanks."""

    replies = compile_replies(["none", "no"], ["a"], ["left", "right"])

    def names(self, text):
        return _NAME.search(text) is not None

    def ends_in_name(self, text):
        return re.search(_NAME.pattern + r"\W*$", text) is not None

    def opens(self, text):
        return 0 if text.lower().startswith("no evidence") else None

    def is_side(self, text):
        return text.strip().lower() in {"left", "right"}

    def answer(self, text):
        if not text.strip():
            return Answer(None, 0, 0, is_whole=True)
        found = _ANSWER.match(text)
        if found is None:
            return None
        state = 0 if found.group("no") else 1 if found.group("yes") else None
        return Answer(state, *found.span("answer"), is_whole=found.group("rest") is not None)


def show(text, pieces):
    """Each piece as (asked, said), and as (asked, state) where it is a mark."""
    return [
        (piece.asked and text[slice(*piece.asked)], piece.state if piece.is_marked else text[slice(*piece.said)])
        for piece in pieces
    ]
