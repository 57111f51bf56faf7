"""The small language in which a lexicon writes its phrases, compiled to patterns. What the phrases are is data."""

import re
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_TERM = re.compile(r"<(\w+)>")
_ELEMENT = re.compile(r"[()\[\]|]|~\d|[^\s()\[\]|~]+")
_CLOSED_BY = {"(": ")", "[": "]"}
_CLOSING = tuple(_CLOSED_BY.values())
_ANY_WORD = r"\w[^ ]* "


@dataclass(frozen=True)
class PhraseSet:
    """Phrases as one pattern over a normal form; `anchors` are stems of which every match holds one.

    No anchors: there is no such stem. Looking for anchors first spares most sentences the pattern.
    """

    pattern: re.Pattern[str]
    anchors: frozenset[str]
    stems: tuple[str, ...] = ()  # the anchors, where so few are looked for faster than the pattern

    def find(self, text: str) -> list[tuple[int, int]]:
        """Start and end of each match in the normal form `text`, in order."""
        if self.stems:
            for stem in self.stems:  # a loop: `any` costs as much as the pattern that it spares
                if stem in text:
                    break
            else:
                return []
        return [found.span() for found in self.pattern.finditer(text)]


@dataclass(frozen=True)
class _Part:
    pattern: str
    anchors: frozenset[str]


_FEW = 6
_NOTHING: frozenset[str] = frozenset()
_NO_PHRASES = PhraseSet(re.compile(r"(?!)"), _NOTHING)


def compile_phrases(phrases: Iterable[str], terms: Mapping[str, str]) -> PhraseSet:
    """The set that finds any of `phrases` in a normal form (words in lower case, one blank around each).

    Within a phrase: `stem*` any ending, `_` any word, `(a | b c)` one of these, `[a]` may be there, `x~3` up to three
    times x, `<name>` the phrase of that name in `terms`. Nothing repeats without a bound, so that a match costs a
    bounded time at each place and the time is linear in the length of the text. Of phrases that begin at one place
    the one that is longer in the lexicon is tried first. Raises re.error when brackets do not match, KeyError for a
    name that `terms` lacks. No phrases make a set that finds nothing.
    """
    parts = [_parse(expand(phrase, terms)) for phrase in phrases]
    if not parts:
        return _NO_PHRASES
    whole = _choose(parts)
    stems = tuple(sorted(whole.anchors)) if len(whole.anchors) <= _FEW else ()
    return PhraseSet(re.compile(f"(?<= )(?:{whole.pattern})"), whole.anchors, stems)


def expand(phrase: str, terms: Mapping[str, str]) -> str:
    """`phrase` with each `<name>` replaced."""
    return _TERM.sub(lambda found: terms[found.group(1)], phrase)


def joint_anchors(*sets: PhraseSet | None) -> re.Pattern[str]:
    """A pattern that fits every text in which one of the sets may match; None stands for no phrases."""
    given = [phrases.anchors for phrases in sets if phrases]
    stems = frozenset().union(*given) if all(given) else {""}
    shortest = [stem for stem in stems if not any(other in stem for other in stems - {stem})]
    return re.compile("|".join(map(re.escape, sorted(shortest))))


def _parse(phrase: str) -> _Part:
    elements = deque(_ELEMENT.findall(phrase))
    part = _parse_choice(elements)
    if elements:
        raise re.error(f"a bracket too many in {phrase!r}")
    return part


def _parse_choice(elements: deque[str]) -> _Part:
    """The alternatives up to the closing bracket."""
    choices: list[list[_Part]] = [[]]
    while elements and elements[0] not in _CLOSING:
        element = elements.popleft()
        if element == "|":
            choices.append([])
        elif element.startswith("~"):
            choices[-1].append(_Part(f"(?:{choices[-1].pop().pattern}){{0,{element[1:]}}}", _NOTHING))
        elif element in _CLOSED_BY:
            choices[-1].append(_parse_group(elements, element))
        else:
            choices[-1].append(_parse_word(element))
    return _choose(map(_follow, choices))


def _parse_group(elements: deque[str], opening: str) -> _Part:
    inner = _parse_choice(elements)
    if not elements or elements.popleft() != _CLOSED_BY[opening]:
        raise re.error(f"a bracket {opening} is not closed")
    return _Part(f"(?:{inner.pattern})?", _NOTHING) if opening == "[" else _Part(f"(?:{inner.pattern})", inner.anchors)


def _parse_word(element: str) -> _Part:
    if element == "_":
        return _Part(_ANY_WORD, _NOTHING)
    stem = element.removesuffix("*")
    return _Part(re.escape(stem) + ("[^ ]* " if element.endswith("*") else " "), frozenset({stem}))


def _follow(parts: list[_Part]) -> _Part:
    """The parts one after the other; of their anchors the set whose shortest stem is longest."""
    anchors = max(
        (part.anchors for part in parts if part.anchors), key=lambda stems: min(map(len, stems)), default=_NOTHING
    )
    return _Part("".join(part.pattern for part in parts), anchors)


def _choose(parts: Iterable[_Part]) -> _Part:
    """One of the parts, the longest tried first; anchored where each is."""
    choices = sorted(parts, key=lambda part: len(part.pattern), reverse=True)
    is_anchored = all(part.anchors for part in choices)
    anchors = frozenset[str]().union(*(part.anchors for part in choices)) if is_anchored else _NOTHING
    return _Part("|".join(part.pattern for part in choices), anchors)
