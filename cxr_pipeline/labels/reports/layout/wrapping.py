"""Whether a line was ended by its writer or wrapped: a finding a line is a list, a wrapped sentence goes on."""

import re

WRAPPED = 45  # characters: a shorter line was ended by its writer, a longer one may have been wrapped
_TITLE = re.compile(r"[A-Z][a-z]+\b")
STOPS = (".", "!", ";")
_PARTS = (",", "/", "(", "-")  # a line that ends so goes on in the next, as does one that ends in one of these words
_ADJECTIVES = """
    acute focal large left right likely lower middle upper mild mildly moderate new pleural possible possibly pulmonary
    small"""
_JOINING = """
    a an and any as at be been by evidence for from has have in is are was were may no nor not of on or suggesting than
    that the there this to versus vs vs. which with without"""
_DESCRIBES = frozenset(_ADJECTIVES.split())  # goes on, unless a capital follows: "Effusion: small" is a line of its own
_LEADS_ON = _DESCRIBES | frozenset(_JOINING.split())
_GOES_ON = frozenset(
    {
        *("and", "or", "nor", "of", "in", "on", "at", "to", "for", "with", "without", "by", "from", "is", "are", "was"),
        *("versus", "vs", "vs.", "as", "than", "which", "but"),
    }
)


def leads_on(line: str) -> bool:
    """Whether the line, which is not blank, ends in a way that needs another."""
    return line.endswith(_PARTS) or line.rsplit(None, 1)[-1].lower() in _LEADS_ON


def has_ended(line: str, following: str, width: int) -> bool:
    """Whether `line` ends what it says; neither is blank. `width` is the length of the longest line of its paragraph.

    A line that is wrapped has no room for the next word. One as long as the others tells nothing by that: then a
    short one was ended, and one before a capital.
    """
    word = following.split(None, 1)[0]
    if _TITLE.match(following) and line.rsplit(None, 1)[-1].lower() in _DESCRIBES:
        return True
    if leads_on(line) or word.lower() in _GOES_ON:
        return False
    has_room = len(line) + 1 + len(word) <= width
    return has_room or len(line) < WRAPPED or _TITLE.match(following) is not None
