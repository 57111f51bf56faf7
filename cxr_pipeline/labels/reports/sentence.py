"""What a sentence or a block of lines says: its layout taken apart, and each piece read by itself."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from cxr_pipeline.labels.reports.answers import read_answer
from cxr_pipeline.labels.reports.layout.apart import take_apart
from cxr_pipeline.labels.reports.layout.lines import split_heading
from cxr_pipeline.labels.reports.layout.pieces import Answer, Piece, Span
from cxr_pipeline.labels.reports.layout.replies import Replies
from cxr_pipeline.labels.reports.lexicon import Lexicon, NormalStatement, Vocabulary
from cxr_pipeline.labels.reports.names import Found, find_names
from cxr_pipeline.labels.reports.scope import Statement, begins_question, find_cues, read_clause
from cxr_pipeline.labels.reports.text import NormalForm, normal_forms
from cxr_pipeline.pathologies import NEGATIVE, POSITIVE, UNCERTAIN

_STATES = {
    "negation_before": NEGATIVE,
    "negation_after": NEGATIVE,
    "uncertain_before": UNCERTAIN,
    "uncertain_after": UNCERTAIN,
}
_SIGNS = (
    r":=\t|\[{<(\u2192\u21d2\u2026\u2010-\u2015\u25a0\u25a1\u25cb\u25cf\u25c9\u2610-\u2612\u2705\u2713-\u2718\u274c"
)
_MAY_BE_LAYOUT = re.compile(rf"[-_.?+\u2212\u00b1\n{_SIGNS}]|  ")  # one class of characters is found fast
_LAYOUT = re.compile(  # without one of these a sentence has no layout
    rf"[{_SIGNS}]|[-+]ve\b|\s[-+\u2212\u00b1]|^-|->|\.{{3}}|  |\?\s|_[xX_]"
    rf"|\n\s*(?:\W|(?:\d{{1,2}}|[a-hA-H]|[ivx]{{1,4}})[.)])"
)
_CELL = re.compile(r"[,;][ ]{0,3}([^\W\d_]{1,12})(?=[,;\n]|$)")  # between commas
_COLON = ": "  # what a joined piece has between what is asked and what is said


def read_sentence(sentence: str, lexicon: Lexicon) -> list[Statement]:
    """Every statement of a sentence or block; positions are offsets into it."""
    lowered = sentence.lower()
    vocabularies = [item for item in lexicon.vocabularies.items() if item[1].anchors.search(lowered)]
    normal = [statement for statement in lexicon.normal if statement.anchors.search(lowered)]
    if not (vocabularies or normal):
        return []
    known = _Known(vocabularies, normal, lexicon)
    has_layout = _MAY_BE_LAYOUT.search(sentence) and (
        _LAYOUT.search(sentence) or ("\n" in sentence and split_heading(sentence, lexicon.replies) != (0, 0))
    )
    if not lexicon.answers or not (has_layout or known.closes(lowered)):
        return list(known.read(sentence))
    return [said for piece in take_apart(sentence, known) for said in _read_piece(sentence, piece, known)]


def is_topic(asked: str, lexicon: Lexicon) -> bool:
    """Whether the words before a colon ask for a finding or a part of the chest, and say nothing of it."""
    form = next(normal_forms(asked), None)
    if form is None:
        return False
    if any(end - start == len(form.text) - 1 for start, end in lexicon.topics.find(form.text)):
        return True
    named = any(find_names(form.text, words) for words in lexicon.vocabularies.values())
    return named and not find_cues(form.text, lexicon)


@dataclass(frozen=True)
class _Known:
    """The words of the lexicon of which a sentence has an anchor: what its layout asks of them."""

    vocabularies: list[tuple[str, Vocabulary]]
    normal: list[NormalStatement]
    lexicon: Lexicon

    def read(self, text: str) -> Iterator[Statement]:
        return read_clause(text, self.vocabularies, self.normal, self.lexicon)

    @property
    def replies(self) -> Replies | None:
        return self.lexicon.replies

    def names(self, text: str) -> bool:
        return any(True for _ in self._find_names(text))

    def ends_in_name(self, text: str) -> bool:
        return any(name.end == len(form.text) for form, name in self._find_names(text))

    def _find_names(self, text: str) -> Iterator[tuple[NormalForm, Found]]:
        lowered = text.lower()
        known = [words for _, words in self.vocabularies if words.anchors.search(lowered)]
        if known:
            for form in normal_forms(text):
                yield from ((form, name) for words in known for name in find_names(form.text, words))

    def opens(self, text: str) -> int | None:
        answer = self.answer(text)
        if answer and answer.is_whole and answer.state != POSITIVE:
            return answer.state
        form = next(normal_forms(text), None)
        if form is None or self.names(text):
            return None
        is_open = any(end == len(form.text) for _, end in self.lexicon.opening.find(form.text))
        cues = [cue for cue in find_cues(form.text, self.lexicon) if cue.kind in _STATES]
        reaching = [cue for cue in cues if is_open or cue.end == len(form.text)]
        return _STATES[reaching[-1].kind] if reaching else None

    def asks(self, text: str) -> bool:
        """Whether the text begins as a question does."""
        form = next(normal_forms(text), None)
        return form is not None and begins_question(form.text, self.lexicon)

    def is_side(self, text: str) -> bool:
        form = next(normal_forms(text), None)
        return form is not None and any(
            end - start == len(form.text) - 1 for start, end in self.lexicon.side.find(form.text)
        )

    def closes(self, lowered: str) -> bool:
        """Whether the last word or a cell is an answer: `Pneumothorax no`, `Effusion, no, small before`."""
        if lowered.rsplit(None, 1)[-1] in self.lexicon.closing:
            return True
        return ("," in lowered or ";" in lowered) and any(
            found.group(1) in self.lexicon.closing for found in _CELL.finditer(lowered)
        )

    def answer(self, text: str) -> Answer | None:
        return read_answer(text, self.lexicon)


def _read_piece(sentence: str, piece: Piece, known: _Known) -> Iterator[Statement]:
    if piece.asked is None:
        yield from _place(known.read(sentence[slice(*piece.said)]), piece.said.start)
    elif piece.is_marked and piece.state == POSITIVE:
        yield from _place(known.read(sentence[slice(*piece.asked)]), piece.asked.start)
    else:
        yield from _read_question(sentence, piece, piece.asked, known)


def _read_question(sentence: str, piece: Piece, asked: Span, known: _Known) -> Iterator[Statement]:
    """What is said of the findings that are asked for; where none is, both are read as one sentence."""
    named = list(_read_asked(sentence, asked, known))
    if piece.is_marked:
        yield from (one if one.cue and piece.state is not None else one._replace(state=piece.state) for one in named)
        return
    if not named and (opened := known.opens(sentence[slice(*asked)])) is not None:
        yield from _read_question(sentence, Piece(piece.said, asked, is_marked=True, state=opened), piece.said, known)
        return
    is_plain = not named or (any(one.cue for one in named) and not known.asks(sentence[slice(*asked)]))
    answer = None if is_plain else known.answer(sentence[slice(*piece.said)])
    said = list(_place(known.read(sentence[slice(*piece.said)]), piece.said.start))
    twice = {one.pathology for one in said}  # "Pneumothorax: no pneumothorax" says it in the answer
    if answer is None:
        joined = _read_joined(sentence, asked, piece.said, known)
        yield from (one for one in joined if not (one.start < asked.end and one.pathology in twice and not is_plain))
        return
    cue = Span(piece.said.start + answer.start, piece.said.start + answer.end)
    yield from (_answered(sentence, one, answer, cue) for one in named if one.pathology not in twice)
    yield from said


def _read_asked(sentence: str, asked: Span, known: _Known) -> Iterator[Statement]:
    """The findings that are asked for; a denial by itself ("heart size is normal") asks for none."""
    yield from _place(read_clause(sentence[slice(*asked)], known.vocabularies, [], known.lexicon), asked.start)


def _answered(sentence: str, one: Statement, answer: Answer, cue: Span) -> Statement:
    is_reversed = one.state == NEGATIVE and answer.state in (NEGATIVE, POSITIVE)  # "Has the effusion resolved? No."
    state = POSITIVE - answer.state if is_reversed and answer.state is not None else answer.state
    return Statement(one.pathology, state, one.start, one.end, sentence[slice(*cue)], *cue)


def _place(statements: Iterator[Statement], by: int) -> Iterator[Statement]:
    for one in statements:
        at = (one.cue_start + by, one.cue_end + by) if one.cue else (0, 0)
        yield Statement(one.pathology, one.state, one.start + by, one.end + by, one.cue, *at)


class _Joint(NamedTuple):
    """Where the characters of a joined piece stand in the sentence."""

    asked: Span
    said: Span

    def place(self, start: int, end: int) -> Span:
        first, last = sorted((self._place(start), self._place(end - 1)))
        return Span(first, last + 1)

    def _place(self, at: int) -> int:
        length = self.asked.end - self.asked.start
        if at < length:
            return self.asked.start + at
        return min(max(self.said.start + at - length - len(_COLON), self.said.start), self.said.end - 1)


def _read_joined(sentence: str, asked: Span, said: Span, known: _Known) -> Iterator[Statement]:
    """`Heart size` and `normal`, wherever they stand, as "Heart size: normal"."""
    joint = _Joint(asked, said)
    for one in known.read(sentence[slice(*asked)] + _COLON + sentence[slice(*said)]):
        span = joint.place(one.start, one.end)
        cue = joint.place(one.cue_start, one.cue_end) if one.cue else Span(0, 0)
        yield Statement(one.pathology, one.state, *span, sentence[slice(*cue)], *cue)
