"""What names a finding in the words of a sentence. What is said of it does not live here."""

from typing import NamedTuple

from cxr_pipeline.labels.reports.lexicon import Vocabulary
from cxr_pipeline.labels.reports.phrases import PhraseSet


class Found(NamedTuple):
    """A phrase in a normal form: what kind of phrase, and where."""

    kind: str
    start: int
    end: int


def find_names(text: str, vocabulary: Vocabulary) -> list[Found]:
    """What names the finding; of names that overlap the longest, and none that touches an exclusion."""
    named = [
        *find_phrases(vocabulary.denial, text, "denial"),
        *find_phrases(vocabulary.mention, text, "mention"),
        *find_phrases(vocabulary.doubtful, text, "doubtful"),
    ]
    exclusions = find_phrases(vocabulary.exclude, text, "exclude") if named else []
    return keep_longest([name for name in named if not overlaps(name, exclusions)])


def find_phrases(phrases: PhraseSet | None, text: str, kind: str) -> list[Found]:
    return [Found(kind, *span) for span in phrases.find(text)] if phrases else []


def keep_longest(found: list[Found]) -> list[Found]:
    """By position; of those that overlap the longest. The same words may be of two kinds ("suspected")."""
    kept: list[Found] = []
    for one in sorted(found, key=lambda one: (one.start - one.end, one.start)):
        if not overlaps(one, [other for other in kept if (other.start, other.end) != (one.start, one.end)]):
            kept.append(one)
    return sorted(kept, key=lambda one: one.start)


def overlaps(one: Found, others: list[Found]) -> bool:
    return any(one.start < other.end and other.start < one.end for other in others)
