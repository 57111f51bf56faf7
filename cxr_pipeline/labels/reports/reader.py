"""Reads whole reports: every mention in every section that counts. Without polars, so that a worker starts quickly."""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from cxr_pipeline.labels.reports.lexicon import Lexicon, read_lexicon
from cxr_pipeline.labels.reports.scope import Statement
from cxr_pipeline.labels.reports.sentence import is_topic, read_sentence
from cxr_pipeline.labels.reports.text import BODY, Section, split_sections, split_sentences


class Mention(NamedTuple):
    """A finding named in a report and what is said of it. Positions are character offsets into the text."""

    pathology: str
    state: int | None  # 1, 0, -1; None where it is named but not said of this study (history, a question)
    start: int
    end: int
    cue: str  # the words that decided, as written; empty for a plain mention
    cue_start: int
    cue_end: int
    section: str


def _integers() -> "array[int]":
    return array("i")


@dataclass(frozen=True)
class Reading:
    """What many texts say, by column: the sentences of the texts, and the statements of each different sentence.

    Reports repeat themselves (half of OpenI's sentences), so a sentence is read once and its statements are joined to
    its places afterwards. Arrays travel between processes many times faster than one object per mention.
    """

    rows: "array[int]" = field(default_factory=_integers)  # of each sentence: the position of its text
    offsets: "array[int]" = field(default_factory=_integers)  # its first character in the text
    sections: list[str] = field(default_factory=list)
    sentences: "array[int]" = field(default_factory=_integers)  # its number among the different ones
    said_in: "array[int]" = field(default_factory=_integers)  # of each statement: the number of its sentence
    statements: list[Statement] = field(default_factory=list)


def read_report(text: str, lexicon: Lexicon, section: str = BODY) -> Iterator[Mention]:
    """The mentions of one report, or of one section of it, in order of sentence."""
    for name, offset, sentence in _find_sentences(text, lexicon, section):
        for said in read_sentence(sentence, lexicon):
            at = said.cue_start + offset if said.cue else 0
            span = (said.start + offset, said.end + offset)
            yield Mention(said.pathology, said.state, *span, said.cue, at, at + len(said.cue), name)


def read_texts(texts: Iterable[tuple[str, str]], language: str) -> Reading:
    """What `texts` (section, text) say: the unit of work of one process."""
    lexicon = read_lexicon(language)
    reading, numbers = Reading(), dict[str, int]()
    for row, (section, text) in enumerate(texts):
        for name, offset, sentence in _find_sentences(text, lexicon, section):
            reading.rows.append(row)
            reading.offsets.append(offset)
            reading.sections.append(name)
            reading.sentences.append(numbers.setdefault(sentence, len(numbers)))
    for number, sentence in enumerate(numbers):
        for said in read_sentence(sentence, lexicon):
            reading.said_in.append(number)
            reading.statements.append(said)
    return reading


def find_sections(text: str, lexicon: Lexicon, section: str = BODY) -> list[Section]:
    """The sections of a report, or of one section of it, by the headings and the topics of the lexicon."""
    return split_sections(text, lexicon.sections, section, lambda asked: is_topic(asked, lexicon))


def _find_sentences(text: str, lexicon: Lexicon, section: str) -> Iterator[tuple[str, int, str]]:
    """Section, offset and text of each sentence that counts."""
    for part in find_sections(text, lexicon, section):
        if part.is_read:
            for offset, sentence in split_sentences(text, part.start, part.end, lexicon.replies):
                yield part.name, offset, sentence
