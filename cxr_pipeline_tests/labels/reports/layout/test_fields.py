"""What a field asks, and how far what it says reaches."""

import pytest

from cxr_pipeline.labels.reports.layout.fields import take_fields_apart
from cxr_pipeline_tests.labels.reports.layout.words import FewWords, show


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Effusion: none", [("Effusion", "none")]),
        ("Effusion: none Mass: small", [("Effusion", "none"), ("Mass", "small")]),
        ("Effusion: none, mass: 3 cm", [("Effusion", "none,"), ("mass", "3 cm")]),
        ("Effusion: none / Mass: yes", [("Effusion", "none"), ("Mass", "yes")]),
        ("Effusion, mass: none", [("Effusion, mass", "none")]),
        ("Effusion - none", [("Effusion", "none")]),
        ("Effusion -> none", [("Effusion", "none")]),
        ("Effusion ..... none", [("Effusion", "none")]),
        ("Effusion? No", [("Effusion", "No")]),
        ("Effusion (none)", [("Effusion", "none)")]),
        ("Effusion    none", [("Effusion", "none")]),
        ("Effusion none", [("Effusion", "none")]),
        ("Effusion: right: none, left: small", [("Effusion", ""), ("Effusion", "none,"), ("Effusion", "small")]),
        ("**Effusion:** none", [("Effusion", "** none")]),
    ],
)
def test_fields(text, expected):
    assert show(text, take_fields_apart(text, FewWords())) == expected


@pytest.mark.parametrize(
    "text",
    ["Small effusion (left)", "The effusion has not  cleared", "Effusion - small", "Seen at 10:30 with effusion",
     "Effusion is  none of these", "There is  no mass"],
)  # fmt: skip
def test_a_sentence_is_no_field(text):
    assert show(text, take_fields_apart(text, FewWords())) == [(None, text)]


def test_items_with_dashes_on_one_line():
    assert show("- No mass - Effusion", take_fields_apart("- No mass - Effusion", FewWords())) == [
        (None, "- No mass"),
        (None, "Effusion"),
    ]
