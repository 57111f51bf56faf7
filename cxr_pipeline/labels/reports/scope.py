"""What one sentence says of each class: mentions, the cues around them, and which cue governs which mention.

In the line of NegEx and ConText (Chapman 2001, Harkema 2009) and of NegBio (Peng 2018); the words are in `lexicon/`.
"""

from collections.abc import Iterator
from typing import NamedTuple

from cxr_pipeline.labels.reports.lexicon import CUES, Lexicon, NormalStatement, Vocabulary
from cxr_pipeline.labels.reports.names import Found, find_names, find_phrases, keep_longest, overlaps
from cxr_pipeline.labels.reports.text import QUERY, NormalForm, normal_forms
from cxr_pipeline.pathologies import NEGATIVE, POSITIVE, UNCERTAIN

_NEGATION = ("negation_before", "negation_after")
_BEFORE = ("negation_before", "uncertain_before", "aside")
_AFTER = ("negation_after", "uncertain_after")
_WEAK = ("versus", "alternative", "aside")  # only where no other cue reaches
_PARTING = ("boundary", "fresh_start")  # scopes end here
_VERDICTS = (*_PARTING, "unresolved")  # "edema not resolved, effusion not seen": the first has its own
_REACH = {
    "uncertain_before": 20,
    "aside": 5,
    "negation_after": 14,
    "uncertain_after": 14,
    "versus": 6,
    "alternative": 6,
}  # words


class Statement(NamedTuple):
    """A finding named in a sentence and what is said of it. Positions are offsets into the sentence."""

    pathology: str
    state: int | None  # 1, 0, -1; None where it is named but not said of this study (history, a question)
    start: int
    end: int
    cue: str  # the words that decided, as written; empty for a plain mention
    cue_start: int
    cue_end: int


def read_clause(
    clause: str, vocabularies: list[tuple[str, Vocabulary]], normal: list[NormalStatement], lexicon: Lexicon
) -> Iterator[Statement]:
    """Every statement of a plain sentence; `vocabularies` and `normal` are those of which it has an anchor.

    A denial ("heart size is normal") speaks for itself. Any other mention is decided by the nearest cue whose scope
    reaches it: forward from a cue to the next boundary or to a comma that starts afresh ("no consolidation, small
    effusion"), backward from a cue that stands behind ("... is not seen"). Where cues overlap the longer one counts,
    so that "no change in" and "cannot exclude" are not "no". Without a cue the finding is there.
    """
    for form in normal_forms(clause):
        yield from _read_mentions(clause, form, vocabularies, lexicon)
        yield from _read_normal(clause, form, normal)


def _read_mentions(
    sentence: str, form: NormalForm, vocabularies: list[tuple[str, Vocabulary]], lexicon: Lexicon
) -> Iterator[Statement]:
    named = [(pathology, known, name) for pathology, known in vocabularies for name in find_names(form.text, known)]
    if named and (mark := _question_mark(form.text, lexicon)):
        yield from (_statement(sentence, form, pathology, UNCERTAIN, name, mark) for pathology, _, name in named)
        return
    cues = find_cues(form.text, lexicon) if named else []
    for pathology, vocabulary, name in named:
        state, cue = _decide(form.text, name, cues, vocabulary)
        yield _statement(sentence, form, pathology, state, name, cue)


def _question_mark(text: str, lexicon: Lexicon) -> Found | None:
    """The mark that ends the sentence, where it is a question: what it asks is not known."""
    is_question = text.endswith(" ? ") and begins_question(text, lexicon)
    return Found("uncertain_after", len(text) - 2, len(text)) if is_question else None


def begins_question(text: str, lexicon: Lexicon) -> bool:
    """Whether the normal form `text` begins as a question does: `has the effusion resolved`."""
    return lexicon.asking.pattern.match(text, 1) is not None


def _read_normal(sentence: str, form: NormalForm, normal: list[NormalStatement]) -> Iterator[Statement]:
    for statement in normal:
        exclusions = find_phrases(statement.exclude, form.text, "exclude")
        for phrase in find_phrases(statement.phrases, form.text, "denial"):
            if not overlaps(phrase, exclusions):
                for pathology in statement.pathologies:
                    yield _statement(sentence, form, pathology, NEGATIVE, phrase, phrase)


def _statement(
    sentence: str, form: NormalForm, pathology: str, state: int | None, name: Found, cue: Found | None
) -> Statement:
    start, end = form.locate(cue.start, cue.end) if cue else (0, 0)
    return Statement(pathology, state, *form.locate(name.start, name.end), sentence[start:end], start, end)


def find_cues(text: str, lexicon: Lexicon) -> list[Found]:
    """The cues of a sentence; a fresh start is none where its list goes on ("no mass, small nodule or effusion")."""
    cues = keep_longest([cue for kind in CUES for cue in find_phrases(lexicon.cues[kind], text, kind)])
    links = lexicon.list_goes_on.find(text) if any(cue.kind == "fresh_start" for cue in cues) else []
    last = max((start for start, _ in links), default=-1)
    return [cue for cue in cues if cue.kind != "fresh_start" or last < cue.start]


def _decide(text: str, name: Found, cues: list[Found], vocabulary: Vocabulary) -> tuple[int | None, Found | None]:
    """The state of a named finding and what decided it."""
    if name.kind == "denial":
        return NEGATIVE, name
    reaching = [cue for cue in cues if _reaches(text, cue, name, cues)]
    nearest = min(reaching, key=lambda cue: (cue.kind in _WEAK, _words_between(text, cue, name)), default=None)
    state = _state(nearest, vocabulary) if nearest else POSITIVE
    if state == POSITIVE and name.kind == "doubtful":
        return UNCERTAIN, name
    return state, nearest


def _state(cue: Found, vocabulary: Vocabulary) -> int | None:
    if cue.kind in _NEGATION:
        return NEGATIVE
    if cue.kind == "alternative":
        return vocabulary.alternative_is
    return None if cue.kind == "aside" else UNCERTAIN


def _reaches(text: str, cue: Found, name: Found, cues: list[Found]) -> bool:
    """Whether the scope of `cue` holds the finding."""
    if overlaps(cue, [name]):  # "heart is not enlarged", "ensure that the effusion has resolved"
        return cue.kind in _NEGATION or cue.kind == "aside"
    is_before = cue.end <= name.start
    if cue.kind not in (*(_BEFORE if is_before else _AFTER), "versus", "alternative"):
        return False
    if _words_between(text, cue, name) > _REACH.get(cue.kind, len(text)):
        return False
    gap = (cue.end, name.start) if is_before else (name.end, cue.start)
    if text.startswith(QUERY, cue.start) and " , " in text[cue.end - 1 : name.start]:
        return False  # "?edema, small effusion" doubts one item
    parting = _PARTING if is_before else _VERDICTS
    return not any(other.kind in parting for other in cues if gap[0] <= other.start and other.end <= gap[1])


def _words_between(text: str, cue: Found, name: Found) -> int:
    return text.count(" ", cue.end, name.start) if cue.end <= name.start else text.count(" ", name.end, cue.start)
