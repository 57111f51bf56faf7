"""Reads whole reports: every mention in every section that counts. Without polars, so that a worker starts quickly."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from cxr_pipeline.labels.report_lexicon import Lexicon, read_lexicon
from cxr_pipeline.labels.report_scope import Statement, read_sentence
from cxr_pipeline.labels.report_text import BODY, split_sections, split_sentences

EVIDENCE_COLUMNS = ("row", "pathology", "state", "start", "end", "cue", "section")

_REMEMBERED_SENTENCES = 100_000
_REMEMBERED_CHARACTERS = 500


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


class SentenceReader:
    """Reads sentences with one lexicon and remembers them: reports repeat themselves (half of OpenI's sentences)."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self._known: dict[str, list[Statement]] = {}

    def read(self, sentence: str) -> list[Statement]:
        known = self._known.get(sentence)
        if known is not None:
            return known
        statements = read_sentence(sentence, self.lexicon)
        if len(sentence) <= _REMEMBERED_CHARACTERS and len(self._known) < _REMEMBERED_SENTENCES:
            self._known[sentence] = statements
        return statements


def read_report(text: str, reader: SentenceReader, section: str = BODY) -> Iterator[Mention]:
    """The mentions of one report, or of one section of it, in order of sentence."""
    for part in split_sections(text, reader.lexicon.sections, section):
        if not part.is_read:
            continue
        for offset, sentence in split_sentences(text, part.start, part.end):
            for said in reader.read(sentence):
                at = said.cue_start + offset if said.cue else 0
                yield Mention(
                    said.pathology,
                    said.state,
                    said.start + offset,
                    said.end + offset,
                    said.cue,
                    at,
                    at + len(said.cue),
                    part.name,
                )


def read_texts(texts: Iterable[tuple[str, str]], language: str) -> dict[str, list]:
    """Every mention in `texts` (section, text) by column, as EVIDENCE_COLUMNS: the unit of work of one process.

    `row` is the position of the text. Columns of plain values travel between processes several times faster than
    objects.
    """
    reader = SentenceReader(read_lexicon(language))
    columns: dict[str, list] = {name: [] for name in EVIDENCE_COLUMNS}
    for row, (section, text) in enumerate(texts):
        for mention in read_report(text, reader, section):
            columns["row"].append(row)
            for name in EVIDENCE_COLUMNS[1:]:
                columns[name].append(getattr(mention, name))
    return columns
