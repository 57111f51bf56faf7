"""A report as text: its sections, its sentences, and the normal form in which phrases are looked for.

Positions are character offsets into the text as given. What the words mean does not live here. Every pattern here
takes a time linear in the length of the text.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property

from cxr_pipeline.labels.reports.layout.lines import split_units
from cxr_pipeline.labels.reports.layout.replies import Replies

BODY = "body"  # text under no heading

_MASK = "xxxx"  # what OpenI puts for a word that might identify a person: it may stand inside any phrase
_LONGEST_WORD = 40
_LONGEST_SENTENCE = 100  # words; no scope reaches that far, and it bounds the work per sentence
QUERY = "\u00bf"  # a question mark before what it doubts, "cardiomegaly, ?edema"; others stand behind it
_TOKEN = re.compile(rf"[^\W_]+|[,;:/?(){QUERY}]")
_BEFORE = re.compile(r"(?<![\w)\]?!.])\?(?=\s*\w)")
_WRITTEN = re.compile(r"\S")
_PARAGRAPH = re.compile(r"\n[ \t\r]*\n")
_FIELD_LINE = re.compile(r"^[ \t]*(?:[^\w\s][ \t]*)?(?P<asked>[^\W\d][^:\n]{1,40}):", re.MULTILINE)
# Lines that each end with a full stop, without a mark that lays anything out: the lines need no look.
_PROSE = re.compile(r"(?:[^\n:|\t\[]*[.!][ \r]*+(?:\n\s*+|$))++[^\n:|\t\[]*")
_FULL_CIRCLE, _EMPTY_CIRCLE = "\u25cf", "\u25cb"
_BULLETS = "\u2022\u25aa\u25cf\u25e6\u2023\u25c6\u25b8\u25ba\u27a2"
_SENTENCE_END = re.compile(  # each alternative begins with its own character, which is what makes the search fast
    # not after `vs.`, nor a row of dots or three before an answer, nor between sides
    r"\.(?=\s|$)(?<!\b[vV][sS][.])(?<!\b[dD][rR][.])(?<!\s[.]{3})(?<!\s[.]{2})(?<![.]{4})(?!(?<=[.]{3})\s+[A-Za-z]{1,12}\s*(?:[.;,]|$))(?!\s+(?i:left|right|[RL])\s*:)"
    r"|\.(?<=[^\W\d_]{3}[.])(?=[^\W\d_]{2})"  # `clear.No`: the blank is missing
    r"|!(?=\s|$)|;(?=\s|$)(?!\s+(?i:left|right|[RL])\s*[:-])"
    # not before what it asks for ("? small effusion"), nor before its answer ("Effusion? No."), nor before a box
    r"|\?(?=\s|$)(?<=[\w)\]][?])"
    r"(?![ \t]+(?:\w{1,20}(?:[ \t]{1,3}|(?=[.!;\n?]|$))){0,3}(?:[.!;\n?]|$)|[ \t]+[\[(_\u2610-\u2612])"
    r"|\n[ \t\r]*\n|\)(?=[ \t])(?:(?<=[\s(][a-hiv]\))|(?<=[\s(][ivx]{2}\))|(?<=[\s(][ivx]{3}\)))"
    + "".join(rf"|{bullet}(?=\s)" for bullet in _BULLETS)
    + r"|\*(?=\s)(?<=\s\*)"
    # `1. No effusion 2. Cardiomegaly`, `1) no effusion 2) cardiomegaly`
    + "".join(rf"|{digit}(?:(?=[.]\s*[A-Z])|(?=-\s+[A-Za-z])|(?=\)\s+\w))(?<=[\s(][0-9])" for digit in "0123456789")
)


@dataclass(frozen=True)
class Section:
    """A part of a report under one heading."""

    name: str  # in lower case; `body` where there is no heading
    start: int
    end: int
    is_read: bool  # False for the history, the indication, the technique: no findings of this study


class _Written:
    """A sentence, and where its words are: looked for only where a finding is."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence

    @cached_property
    def spans(self) -> list[tuple[int, int]]:
        """Of each word of the normal form."""
        found = _TOKEN.finditer(self.sentence)
        if _MASK not in self.sentence.lower():
            return [word.span() for word in found]
        return [word.span() for word in found if word.group().lower() != _MASK]


@dataclass(frozen=True)
class NormalForm:
    """A sentence as its words in lower case, a blank around each, without punctuation that parts nothing."""

    text: str  # ` no pleural effusion , or pneumothorax `
    written: _Written
    first: int  # its first word among those of the sentence

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """Of each word in the sentence."""
        return tuple(self.written.spans[self.first : self.first + _LONGEST_SENTENCE])

    def locate(self, start: int, end: int) -> tuple[int, int]:
        """The span in the sentence of the words of `text[start:end]`."""
        first = self.text.count(" ", 0, start) - 1 + self.first
        last = self.text.count(" ", 0, end - 1) - 1 + self.first
        return self.written.spans[first][0], self.written.spans[last][1]


def split_sections(
    text: str, headings: Mapping[str, bool], name: str = BODY, is_topic: Callable[[str], bool] | None = None
) -> list[Section]:
    """The sections of a report in order; `headings` says which headings there are and whether they count.

    A heading stands at the beginning of a line or after a full stop, with a colon, or alone on its line; in capitals it
    also ends, anywhere, a section that does not count. What comes before the first is the section `name`. A section
    that does not count ends with its paragraph: what follows without a heading is body again (dropping it costs a
    quarter of the recall on reports like those of MIMIC). It also ends above a line such as "Pneumothorax: none" or
    "Lungs: clear": `is_topic` says whether what stands before a colon is a finding or a part of the chest.
    """
    first = name.strip().lower() or BODY
    sections = [Section(first, 0, len(text), headings.get(first, True))]
    for found in _find_headings(text, headings):
        _cut(sections, text, found.start(), is_topic)
        heading = " ".join(found.group("name").lower().split())
        sections.append(Section(heading, found.end(), len(text), headings[heading]))
    _cut(sections, text, len(text), is_topic)
    return sections


def split_sentences(text: str, start: int, end: int, replies: Replies | None = None) -> Iterator[tuple[int, str]]:
    """Offset and text of each sentence or block of lines of `text[start:end]`, without the blanks around it."""
    if text.find("\n", start, end) < 0 or _PROSE.fullmatch(text, start, end):
        yield from _split_stops(text, start, end)
        return
    for unit in split_units(text, start, end, replies):
        if unit.is_block:
            yield unit.start, text[unit.start : unit.end]
        else:
            yield from _split_stops(text, unit.start, unit.end)


def normal_forms(sentence: str) -> Iterator[NormalForm]:
    """The sentence in pieces of at most 100 words: one, unless it is no sentence of a person."""
    if "?" in sentence:
        sentence = _BEFORE.sub(QUERY, sentence)
    words = [word.lower() for word in _TOKEN.findall(sentence)]
    if _MASK in words:
        words = [word for word in words if word != _MASK]
    written = _Written(sentence)
    for at in range(0, len(words), _LONGEST_SENTENCE):
        text = " ".join([word[:_LONGEST_WORD] for word in words[at : at + _LONGEST_SENTENCE]])
        yield NormalForm(f" {text} ", written, at)


def _split_stops(text: str, start: int, end: int) -> Iterator[tuple[int, str]]:
    at = start
    for found in _SENTENCE_END.finditer(text, start, end):
        if found.group() == _FULL_CIRCLE and text.find(_EMPTY_CIRCLE, start, end) >= 0:
            continue  # two circles are a choice, one is a bullet
        yield from _strip(text, at, found.end() if found.group() == "?" else found.start())
        at = found.end()
    yield from _strip(text, at, end)


def _strip(text: str, start: int, end: int) -> Iterator[tuple[int, str]]:
    sentence = text[start:end]
    stripped = sentence.strip()
    if stripped:
        yield start + sentence.index(stripped), stripped


def _find_headings(text: str, headings: Mapping[str, bool]) -> Iterator[re.Match[str]]:
    """The headings in order: those that begin a line or a sentence, and in what does not count those in capitals."""
    names = tuple(headings)
    found = list(_heading_pattern(names).finditer(text))
    if not found:
        return
    for heading, end in zip(found, [*(one.start() for one in found[1:]), len(text)], strict=False):
        yield heading
        if not headings[" ".join(heading.group("name").lower().split())]:
            yield from _capital_pattern(names).finditer(text, heading.end(), end)


def _cut(sections: list[Section], text: str, end: int, is_topic: Callable[[str], bool] | None) -> None:
    """Ends the last section at `end`; where it does not count, what follows its first paragraph is body."""
    last = sections.pop()
    stop = end if last.is_read else _skipped_end(text, last.start, end, is_topic)
    sections.append(Section(last.name, last.start, stop, last.is_read))
    if stop < end:
        sections.append(Section(BODY, stop, end, True))


def _skipped_end(text: str, start: int, end: int, is_topic: Callable[[str], bool] | None) -> int:
    """Where what asks or recalls ends: with its paragraph, or above the first field of the report itself.

    Lines of fields from the beginning on are those of a history ("COPD: yes", "Pneumonia: 2019").
    """
    stop = _paragraph_end(text, start, end)
    if is_topic is None:
        return stop
    at = start
    for found in _FIELD_LINE.finditer(text, start, stop):
        if text[at : found.start()].strip() and is_topic(found.group("asked")):
            return found.start()
        if not text[at : found.start()].strip():  # no other line was written so far
            at = text.find("\n", found.end(), stop)
            if at < 0:
                break
    return stop


def _paragraph_end(text: str, start: int, end: int) -> int:
    """Where the first paragraph ends that is not blank."""
    written = _WRITTEN.search(text, start, end)
    found = _PARAGRAPH.search(text, written.start(), end) if written else None
    return found.start() if found else end


@cache
def _heading_pattern(headings: tuple[str, ...]) -> re.Pattern[str]:
    names = "|".join(r"\s+".join(map(re.escape, name.split())) for name in sorted(headings, key=len, reverse=True))
    begins = r"(?:(?:^|\n)[ \t\r]*|(?<=[.!?:])\s+)"
    soon = r"(?=[^.:!?]{2,60}[:\r\n])"  # spares most sentences the names
    return re.compile(rf"{begins}{soon}(?P<name>{names})[ \t]*(?::|(?=[\r\n]))", re.IGNORECASE)


@cache
def _capital_pattern(headings: tuple[str, ...]) -> re.Pattern[str]:
    names = "|".join(
        r"\s+".join(map(re.escape, name.upper().split())) for name in sorted(headings, key=len, reverse=True)
    )
    return re.compile(rf"(?<=\S)[ \t]+(?P<name>{names})[ \t]*:")
