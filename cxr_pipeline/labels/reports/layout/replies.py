"""Lines that answer the line above them: `None` below `Pneumothorax`, `A: No` below a question, `Left: small`."""

import re
from typing import NamedTuple

from cxr_pipeline.labels.reports.layout.wrapping import STOPS, WRAPPED, leads_on

_LONGEST = 60  # characters of an answer that has a line of its own
_FIELD = re.compile(r"[^:\n]{1,40}:(?=.*\w)")


class Replies(NamedTuple):
    """What the lexicon knows of such lines."""

    line: re.Pattern[str]  # at the beginning of a line
    side: re.Pattern[str]  # the same, where the answer is of one side


def compile_replies(words: list[str], labels: list[str], sides: list[str]) -> Replies | None:
    """`words`: of which an answer on its own line is made, up to a comma or stop; `labels` and `sides`: what stands
    before a colon in such a line. None without words.
    """
    if not words:
        return None
    word, label, side = ("|".join(map(re.escape, one)) for one in (words, [*labels, *sides], sides))
    end = r"[ \t]*(?:[.,;?(\u2013\u2014-]|$)"
    return Replies(
        re.compile(
            rf"(?:[-*\u2022\u2013>][ \t]*)?(?:(?:{label})\d{{0,2}}[ \t]*:|(?:{word})(?:[ ]+(?:{word})){{0,4}}{end})",
            re.IGNORECASE,
        ),
        re.compile(rf"(?:{side})[ \t]*:", re.IGNORECASE),
    )


def is_reply(content: str, replies: Replies | None) -> bool:
    """Whether a line is nothing but an answer."""
    return replies is not None and len(content) < _LONGEST and replies.line.match(content) is not None


def asks(content: str, *, is_near: bool) -> bool:
    """Whether a line may ask for what stands below it. Over a blank line (not `is_near`) only its mark shows that."""
    if content.endswith(("?", ":")):
        return len(content) < _LONGEST
    is_short = len(content) < WRAPPED and not content.endswith(STOPS) and not leads_on(content)
    return is_near and is_short and _FIELD.match(content) is None
