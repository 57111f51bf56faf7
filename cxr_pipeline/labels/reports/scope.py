"""What one sentence says of each class: mentions, the cues around them, and which cue governs which mention.

In the line of NegEx and ConText (Chapman 2001, Harkema 2009) and of NegBio (Peng 2018); the words are in `lexicon/`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from cxr_pipeline.labels.reports.fields import Field, find_fields
from cxr_pipeline.labels.reports.lexicon import CUES, Lexicon, NormalStatement, Vocabulary
from cxr_pipeline.labels.reports.phrases import PhraseSet
from cxr_pipeline.labels.reports.text import NormalForm, normal_forms
from cxr_pipeline.pathologies import NEGATIVE, POSITIVE, UNCERTAIN

_NEGATION = ("negation_before", "negation_after")
_BEFORE = ("negation_before", "uncertain_before", "aside")
_AFTER = ("negation_after", "uncertain_after")
_WEAK = ("alternative", "aside")  # only where no other cue reaches
_PARTING = ("boundary", "fresh_start")  # scopes end here
_REACH = {"uncertain_before": 20, "aside": 5, "negation_after": 14, "uncertain_after": 14, "alternative": 6}  # words


class Statement(NamedTuple):
    """A finding named in a sentence and what is said of it. Positions are offsets into the sentence."""

    pathology: str
    state: int | None  # 1, 0, -1; None where it is named but not said of this study (history, a question)
    start: int
    end: int
    cue: str  # the words that decided, as written; empty for a plain mention
    cue_start: int
    cue_end: int


@dataclass(frozen=True)
class _Found:
    kind: str
    start: int
    end: int


def read_sentence(sentence: str, lexicon: Lexicon) -> list[Statement]:
    """Every statement of the sentence.

    A denial ("heart size is normal") speaks for itself. Any other mention is decided by the nearest cue whose scope
    reaches it: forward from a cue to the next boundary or to a comma that starts afresh ("no consolidation, small
    effusion"), backward from a cue that stands behind ("... is not seen"). Where cues overlap the longer one counts,
    so that "no change in" and "cannot exclude" are not "no". Without a cue the finding is there.
    """
    lowered = sentence.lower()
    vocabularies = [item for item in lexicon.vocabularies.items() if item[1].anchors.search(lowered)]
    normal = [statement for statement in lexicon.normal if statement.anchors.search(lowered)]
    if not (vocabularies or normal):
        return []
    fields = find_fields(sentence)
    answered = [said for field in fields for said in _read_field(sentence, field, vocabularies)]
    if answered:  # the answers are read and blotted out, so that no cue in them reaches anything else
        sentence = _blot(sentence, fields)
    return [*answered, *_read_forms(sentence, vocabularies, normal, lexicon)]


def _read_forms(
    sentence: str, vocabularies: list[tuple[str, Vocabulary]], normal: list[NormalStatement], lexicon: Lexicon
) -> Iterator[Statement]:
    for form in normal_forms(sentence):
        yield from _read_mentions(sentence, form, vocabularies, lexicon)
        yield from _read_normal(sentence, form, normal)


def _read_field(sentence: str, field: Field, vocabularies: list[tuple[str, Vocabulary]]) -> Iterator[Statement]:
    """What the answer of a field says of each finding that it asks for."""
    asked = sentence[field.start : field.end]
    answer = sentence[field.answer_start : field.answer_end]
    for form in normal_forms(asked):
        for pathology, vocabulary in vocabularies:
            for name in _find_names(form.text, vocabulary):
                start, end = form.locate(name.start, name.end)
                span = (field.start + start, field.start + end)
                at = (field.answer_start, field.answer_end) if answer else (0, 0)
                yield Statement(pathology, field.state, *span, answer, *at)


def _blot(sentence: str, fields: list[Field]) -> str:
    for field in fields:
        first, last = min(field.start, field.answer_start), max(field.end, field.answer_end)
        sentence = sentence[:first] + ";" * (last - first) + sentence[last:]
    return sentence


def _read_mentions(
    sentence: str, form: NormalForm, vocabularies: list[tuple[str, Vocabulary]], lexicon: Lexicon
) -> Iterator[Statement]:
    named = [(pathology, known, name) for pathology, known in vocabularies for name in _find_names(form.text, known)]
    cues = _find_cues(form.text, lexicon) if named else []
    for pathology, vocabulary, name in named:
        state, cue = _decide(form.text, name, cues, vocabulary)
        yield _statement(sentence, form, pathology, state, name, cue)


def _read_normal(sentence: str, form: NormalForm, normal: list[NormalStatement]) -> Iterator[Statement]:
    for statement in normal:
        exclusions = _find(statement.exclude, form.text, "exclude")
        for phrase in _find(statement.phrases, form.text, "denial"):
            if not _overlaps(phrase, exclusions):
                for pathology in statement.pathologies:
                    yield _statement(sentence, form, pathology, NEGATIVE, phrase, phrase)


def _statement(
    sentence: str, form: NormalForm, pathology: str, state: int | None, name: _Found, cue: _Found | None
) -> Statement:
    start, end = form.locate(cue.start, cue.end) if cue else (0, 0)
    return Statement(pathology, state, *form.locate(name.start, name.end), sentence[start:end], start, end)


def _find_names(text: str, vocabulary: Vocabulary) -> list[_Found]:
    """What names the finding; of names that overlap the longest, and none that touches an exclusion."""
    named = [
        *_find(vocabulary.denial, text, "denial"),
        *_find(vocabulary.mention, text, "mention"),
        *_find(vocabulary.doubtful, text, "doubtful"),
    ]
    exclusions = _find(vocabulary.exclude, text, "exclude") if named else []
    return _keep_longest([name for name in named if not _overlaps(name, exclusions)])


def _find_cues(text: str, lexicon: Lexicon) -> list[_Found]:
    """The cues of a sentence; a fresh start is none where its list goes on ("no mass, small nodule or effusion")."""
    cues = _keep_longest([cue for kind in CUES for cue in _find(lexicon.cues[kind], text, kind)])
    links = lexicon.list_goes_on.find(text) if any(cue.kind == "fresh_start" for cue in cues) else []
    last = max((start for start, _ in links), default=-1)
    return [cue for cue in cues if cue.kind != "fresh_start" or last < cue.start]


def _find(phrases: PhraseSet | None, text: str, kind: str) -> list[_Found]:
    return [_Found(kind, *span) for span in phrases.find(text)] if phrases else []


def _keep_longest(found: list[_Found]) -> list[_Found]:
    """By position; of those that overlap the longest. The same words may be of two kinds ("suspected")."""
    kept: list[_Found] = []
    for one in sorted(found, key=lambda one: (one.start - one.end, one.start)):
        if not _overlaps(one, [other for other in kept if (other.start, other.end) != (one.start, one.end)]):
            kept.append(one)
    return sorted(kept, key=lambda one: one.start)


def _overlaps(one: _Found, others: list[_Found]) -> bool:
    return any(one.start < other.end and other.start < one.end for other in others)


def _decide(text: str, name: _Found, cues: list[_Found], vocabulary: Vocabulary) -> tuple[int | None, _Found | None]:
    """The state of a named finding and what decided it."""
    if name.kind == "denial":
        return NEGATIVE, name
    reaching = [cue for cue in cues if _reaches(text, cue, name, cues)]
    nearest = min(reaching, key=lambda cue: (cue.kind in _WEAK, _words_between(text, cue, name)), default=None)
    state = _state(nearest, vocabulary) if nearest else POSITIVE
    if state == POSITIVE and name.kind == "doubtful":
        return UNCERTAIN, name
    return state, nearest


def _state(cue: _Found, vocabulary: Vocabulary) -> int | None:
    if cue.kind in _NEGATION:
        return NEGATIVE
    if cue.kind == "alternative":
        return vocabulary.alternative_is
    return None if cue.kind == "aside" else UNCERTAIN


def _reaches(text: str, cue: _Found, name: _Found, cues: list[_Found]) -> bool:
    """Whether the scope of `cue` holds the finding."""
    if _overlaps(cue, [name]):  # "heart is not enlarged"
        return cue.kind in _NEGATION
    is_before = cue.end <= name.start
    if cue.kind not in (*(_BEFORE if is_before else _AFTER), "alternative"):
        return False
    if _words_between(text, cue, name) > _REACH.get(cue.kind, len(text)):
        return False
    gap = (cue.end, name.start) if is_before else (name.end, cue.start)
    return not any(other.kind in _PARTING for other in cues if gap[0] <= other.start and other.end <= gap[1])


def _words_between(text: str, cue: _Found, name: _Found) -> int:
    return text.count(" ", cue.end, name.start) if cue.end <= name.start else text.count(" ", name.end, cue.start)
