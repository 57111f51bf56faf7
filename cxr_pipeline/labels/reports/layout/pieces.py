"""The parts into which a layout falls, each of which is read by itself; and what the layout must know of the words."""

from typing import NamedTuple, Protocol

from cxr_pipeline.labels.reports.layout.replies import Replies


class Span(NamedTuple):
    """Offsets into the sentence or block."""

    start: int
    end: int


class Answer(NamedTuple):
    """What the beginning of a text answers."""

    state: int | None  # 1, 0, -1; None for a blank
    start: int  # offsets into the text
    end: int
    is_whole: bool  # nothing but marks follows


class Piece(NamedTuple):
    """What is said, and what it is said of: `Effusion` and `small, left`. Without `asked` it is a plain sentence.

    A mark without words, as a ticked box, has its state; `said` is then where the mark stands.
    """

    asked: Span | None
    said: Span
    is_marked: bool = False
    state: int | None = None  # of a mark


class Words(Protocol):
    """What a layout asks of the lexicon."""

    @property
    def replies(self) -> Replies | None:
        """Which lines answer the line above them."""

    def names(self, text: str) -> bool:
        """Whether the text names a finding."""

    def ends_in_name(self, text: str) -> bool:
        """Whether the last words of the text name a finding."""

    def opens(self, text: str) -> int | None:
        """The state of what is listed below the text: 0 below `No evidence of`, -1 below `Possible`, or None."""

    def is_side(self, text: str) -> bool:
        """Whether the text is a side of the body and nothing else."""

    def answer(self, text: str) -> Answer | None:
        """The answer with which the text begins; None where it begins with none."""


def trim(text: str, start: int, end: int, marks: str = "") -> Span:
    """The span without the blanks and `marks` at its ends."""
    part = text[start:end]
    left = len(part) - len(part.lstrip(f" \t\r\n{marks}"))
    right = len(part.rstrip(f" \t\r\n{marks}"))
    return Span(start + left, start + max(left, right))
