"""Fields, `Pleural effusion: none` and `Mass - no`: what is asked, and what is said of it up to the next field."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from cxr_pipeline.labels.reports.layout.pieces import Piece, Span, Words, trim
from cxr_pipeline.labels.reports.layout.replies import is_reply

# A colon, `=` or an arrow makes a field whatever follows; the others only before an answer, and a blank only between
# the name of a finding and an answer ("has not  cleared" is a sentence).
_PARTING = re.compile(
    r"(?P<strong>\s*(?::(?!\d\d)|=+>?|-+>|\u2192|\u21d2)\s*)"
    r"|(?P<weak>\s+[-\u2013\u2014]+\s+|\.{3,}|\u2026+|\?\s+|\s*[(\[{<](?=[^\s()\[\]{}<>])|[ ]{4,}"
    r"|[ ]?(?<!_)_{2,}+[ ]?(?=\w))"
    r"|(?P<blank>[ ]{2,}|\s(?=[^\s()\[\]]+$)|[,;][ ]{0,3}(?=[^\s,;?]+(?:$|[,;\n])))"
)
_FRESH = re.compile(r"[,;|\n]|[ ]{2,}|[.]\s")
_ENDED = re.compile(r"[,;|\n]|[ ]{4,}|[.]\s")  # two blanks may part the words of a sentence
_SLICED, _SPACED = re.compile(r"[,;/]"), re.compile(r"[ ]{4,}")
_FEWEST_PARTS, _MOST_PARTS = 2, 4
_CLOSING = {"(": ")", "[": "]", "{": "}", "<": ">", "_": "_"}
_LEGEND = re.compile(r"\s?\([^()=\n]{1,20}=[^()\n]{1,60}\)")  # `Effusion (0=no, 1=yes): 0`
_LED = re.compile(r"[\[{<](?P<said>[^\[\]{}<>\n]{1,40})[\]}>][ \t]+(?P<asked>[^:\n]{1,80})$")
_LONGEST = 120  # characters of what is asked
_MARKS = "*_,;|.)]}>/"
_QUESTION = re.compile(r"(?<=[\w)\]])\?\s+")
_DASHES = re.compile(r"\s+[-\u2013\u2014]\s+")


class _Head(NamedTuple):
    """The beginning of a field."""

    asked: Span
    start: int  # of what stands before the mark: there the field before ends
    said: int  # where what is said of it begins


def take_fields_apart(text: str, words: Words) -> list[Piece]:
    """The fields of a sentence in order, and what stands between them as plain pieces."""
    led = _LED.match(text)
    if led and (answer := words.answer(led.group("said"))) and answer.is_whole and words.names(led.group("asked")):
        return [Piece(Span(*led.span("asked")), Span(*led.span("said")))]
    pieces = list(_find_fields(text, words))
    return pieces or [Piece(None, part) for dashed in _split_dashes(text) for part in _split_questions(text, dashed)]


def _find_fields(text: str, words: Words) -> Iterator[Piece]:
    """A field ends where what the next one asks begins."""
    heads = list(_find_heads(text, words))
    ends = [head.start for head in heads[1:]] + [len(text)]
    for head, end in zip(heads, ends, strict=False):
        said = trim(text, head.said, end, "/")
        yield from (Piece(head.asked, part) for part in _split_sides(text, said, words) or [said])
    before = trim(text, 0, heads[0].start, _MARKS) if heads else Span(0, 0)
    if before.end > before.start:
        yield Piece(None, before)


def _find_heads(text: str, words: Words) -> Iterator[_Head]:
    at, earlier = 0, None
    legends = {place: one.start() for one in _LEGEND.finditer(text) for place in range(*one.span())}
    for found in _PARTING.finditer(text):
        if found.start() == 0 or found.start() in legends:
            continue
        if not found.group("strong") and not _is_answered(text, found, at, words):
            continue
        end = legends.get(found.start() - 1, found.start())
        asked = _find_asked(text, at, end, words, is_first=at == 0)
        if found.group("blank"):
            asked = _behind_verdict(text, asked, words)
        start = asked.start
        if earlier and _is_part(text, asked, at, words):
            asked = earlier  # `Effusion: right: none, left: small`
        at = found.end()
        if 0 < asked.end - asked.start <= _LONGEST:
            yield _Head(asked, start, found.end())
            earlier = asked


def _is_answered(text: str, found: re.Match[str], at: int, words: Words) -> bool:
    """Whether an answer follows a weak mark and is the whole of what is said, and a finding is asked for."""
    answer = words.answer(text[found.end() : found.end() + _LONGEST])
    if answer is None:
        return _is_enclosed(text, found, at, words)
    end = found.end() + answer.end
    rest = text[end : end + _LONGEST].lstrip("*_)]}>")
    behind = end + len(text[end : end + _LONGEST]) - len(rest.lstrip())
    following = _PARTING.search(text, behind, end + _LONGEST)
    is_whole = answer.is_whole or rest == "" or _ENDED.match(rest) is not None
    is_whole = is_whole or (following is not None and words.names(text[behind : following.start()]))
    return is_whole and (not found.group("blank") or words.ends_in_name(text[at : found.start()]))


def _behind_verdict(text: str, asked: Span, words: Words) -> Span:
    """`effusion` of `Edema not resolved, effusion  none`: what has its own verdict is not asked for."""
    comma = text.rfind(",", asked.start, asked.end)
    if comma < 0 or words.ends_in_name(text[asked.start : comma]):
        return asked
    return trim(text, comma + 1, asked.end, _MARKS)


def _is_enclosed(text: str, found: re.Match[str], at: int, words: Words) -> bool:
    """Whether a finding is named and what it is stands behind it in brackets: `effusion (small, right)`."""
    closing = _CLOSING.get(found.group().strip()[-1:])
    end = text.find(closing, found.end(), found.end() + _LONGEST) if closing else -1
    is_said = end > 0 and is_reply(text[found.end() : end].strip(), words.replies)
    return is_said and words.ends_in_name(text[at : found.start()])


def _split_sides(text: str, said: Span, words: Words) -> list[Span]:
    """The parts of `R small, L none` without their sides, and those of `None      Small`; none where it is one part."""
    is_aligned = not _SLICED.search(text, said.start, said.end)
    parts, at = list[Span](), said.start
    for found in (_SPACED if is_aligned else _SLICED).finditer(text, said.start, said.end):
        parts.append(trim(text, at, found.start()))
        at = found.end()
    parts = [part for part in [*parts, trim(text, at, said.end)] if part.end > part.start] if parts else []
    if len(parts) < _FEWEST_PARTS or len(parts) > _MOST_PARTS:
        return []
    if is_aligned and all(is_reply(text[slice(*part)], words.replies) for part in parts):
        return parts
    sided = [_without_side(text, part, words) for part in parts]
    return [part for part in sided if part] if all(sided) else []


def _without_side(text: str, part: Span, words: Words) -> Span | None:
    """The part without the side that is its first or last word; None where neither is one."""
    said = text[slice(*part)]
    first, last = said.split(None, 1)[0], said.rsplit(None, 1)[-1]
    if len(first) < len(said) and words.is_side(first):
        return trim(text, part.start + len(first), part.end, ":")
    if len(last) < len(said) and words.is_side(last):
        return trim(text, part.start, part.end - len(last))
    return None


def _is_part(text: str, asked: Span, at: int, words: Words) -> bool:
    """Whether the words before a mark are a part of what the field before asks: a side, or all that it says."""
    said = text[slice(*asked)]
    return words.is_side(said) or (asked.start <= at and not words.names(said))


def _find_asked(text: str, start: int, end: int, words: Words, *, is_first: bool) -> Span:
    """What stands before a colon since the last field: behind its answer, or behind the last comma."""
    if is_first:
        last = [one.end() for one in re.finditer(r"[;|\n]", text[:end])]
        return trim(text, last[-1] if last else 0, end, _MARKS)
    answer = words.answer(text[start:end])
    behind = trim(text, start + answer.end, end, _MARKS) if answer else Span(start, start)
    if behind.end > behind.start and not _FRESH.search(text[behind.start : behind.end].lstrip(_MARKS)):
        return behind
    fresh = [one.end() for one in _FRESH.finditer(text, start, end)]
    return trim(text, fresh[-1] if fresh else start, end, _MARKS)


def _split_dashes(text: str) -> Iterator[Span]:
    """`- No effusion - Cardiomegaly`: items on one line, where the first has a dash as well."""
    at = 0
    if text[:1] in {"-", "\u2013", "\u2014"}:
        for found in _DASHES.finditer(text, 1):
            yield Span(at, found.start())
            at = found.end()
    yield Span(at, len(text))


def _split_questions(text: str, whole: Span) -> Iterator[Span]:
    """`Small effusion? Cardiomegaly`: the doubt ends with its mark."""
    at = whole.start
    for found in _QUESTION.finditer(text, whole.start, whole.end):
        yield Span(at, found.start() + 1)
        at = found.end()
    yield Span(at, whole.end)
