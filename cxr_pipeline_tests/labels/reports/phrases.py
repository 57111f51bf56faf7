"""Spells out what a phrase of a lexicon may look like in a report."""

import re
from itertools import islice, product

_ELEMENT = re.compile(r"[()\[\]|]|~\d|[^\s()\[\]|~]+")
MOST = 40


def spell_out(phrase):
    """Up to forty texts that the phrase stands for, with a made-up word for each `_` and no ending for each `*`."""
    elements = _ELEMENT.findall(phrase)
    return list(islice(dict.fromkeys(" ".join(words.split()) for words in _choice(elements)), MOST))


def _choice(elements):
    texts, choices = [[""]], []
    while elements and elements[0] not in ")]":
        element = elements.pop(0)
        if element == "|":
            choices.append(texts)
            texts = [[""]]
        elif element.startswith("~"):
            texts[-1] = ["", *texts[-1]]
        elif element in "([":
            inner = _choice(elements)
            elements.pop(0)
            texts.append(["", *inner] if element == "[" else inner)
        else:
            texts.append(["zz" if element == "_" else element.removesuffix("*")])
    choices.append(texts)
    return [" ".join(words) for texts in choices for words in islice(product(*texts), MOST)]
