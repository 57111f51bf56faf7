"""A box belongs to the words before or behind it, and only a ticked one says something."""

import pytest

from cxr_pipeline.labels.reports.layout.boxes import take_boxes_apart
from cxr_pipeline_tests.labels.reports.layout.words import FewWords, show


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[x] Effusion [ ] Mass", [(None, "Effusion"), ("Mass", None)]),
        ("\u2611 No effusion \u2610 Mass", [(None, "No effusion"), ("Mass", None)]),
        ("Effusion: [ ] Yes [x] No", [("Effusion", "No")]),
        ("Effusion \u2610 Yes \u2610 No", []),
        ("Effusion: Yes ( ) No (x)", [("Effusion", "No")]),
        ("Effusion [x] Mass [ ]", [("Effusion", 1), ("Mass", None)]),
        ("Effusion (-), mass (+)", [("Effusion", 0), ("mass", 1)]),
        ("(-) effusion (+) mass", [("effusion", 0), (None, "mass")]),
        ("Effusion: [ ] Yes [x] No Mass: [x] Yes [ ] No", [("Effusion", "No"), ("Mass", "Yes")]),
        ("Effusion: Yes __ No _X_", [("Effusion", "No")]),
        ("Effusion: \u25cb Yes \u25cf No", [("Effusion", "No")]),
        ("\u2717 Effusion \u2713 Mass", [("Effusion", 0), (None, "Mass")]),
        ("\u2611 Effusion \u2612 Mass", [(None, "Effusion"), ("Mass", 0)]),
        ("\u2610 Effusion \u2612 Mass", [("Effusion", None), (None, "Mass")]),
        ("Effusion -ve, mass +ve", [("Effusion", 0), ("mass", 1)]),
    ],
)
def test_boxes_and_their_words(text, expected):
    assert show(text, take_boxes_apart(text, FewWords())) == expected


@pytest.mark.parametrize("text", ["Effusion: ____", "\u25cf Effusion", "Effusion (small)", "Effusion [2]", "Mass"])
def test_what_is_no_box(text):
    assert take_boxes_apart(text, FewWords()) is None
