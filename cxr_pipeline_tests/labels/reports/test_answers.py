"""What answers a field, and what does not."""

import pytest

from cxr_pipeline.labels.reports.answers import read_answer
from cxr_pipeline.labels.reports.lexicon import read_lexicon


def answer(text):
    found = read_answer(text, read_lexicon())
    return found and (found.state, text[found.start : found.end], found.is_whole)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", (0, "none", True)),
        ("(none)", (0, "none", True)),
        ("None visualized.", (0, "None visualized", True)),
        ("no large", (0, "no", False)),
        ("no significant change", (1, "no significant change", True)),
        ("not excluded", (-1, "not excluded", True)),
        ("mostly resolved", (1, "mostly resolved", True)),
        ("completely resolved", (0, "completely resolved", True)),
        ("not well assessed", (None, "not well assessed", True)),
        ("possible, left", (-1, "possible", False)),
        ("none on the right, small on the left", (1, "none", False)),
        ("none on the right, none on the left", (0, "none", False)),
        ("N/A", (None, "N/A", True)),
        ("____", (None, "____", True)),
        ("", (None, "", True)),
        ("++", (1, "++", True)),
        ("yes / no", (None, "yes / no", True)),
        ("?", (-1, "?", True)),
        ("small, left", None),
    ],
)
def test_answers(text, expected):
    assert answer(text) == expected


def test_a_lexicon_without_answers_reads_no_fields():
    assert not read_lexicon("es").answers
