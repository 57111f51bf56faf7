"""Whether a line was ended or wrapped."""

import pytest

from cxr_pipeline.labels.reports.layout.wrapping import has_ended, leads_on

LONG = "Lungs are hyperinflated with flattened diaphragms"  # 49 characters


@pytest.mark.parametrize(
    ("line", "following", "width", "expected"),
    [
        ("No mass", "nodule", 7, True),  # short
        ("No evidence of", "mass", 80, False),
        ("No mass", "or nodule", 80, False),
        ("No mass,", "nodule", 80, False),
        (LONG, "unchanged", 49, False),  # no room, and no capital
        (LONG, "Cardiomegaly", 49, True),
        (LONG, "unchanged", 59, True),  # there was room for one word more
        (LONG, "unchanged", 58, False),
    ],
)
def test_line_has_ended(line, following, width, expected):
    assert has_ended(line, following, width) is expected


@pytest.mark.parametrize(
    ("line", "expected"), [("Atelectasis vs.", True), ("Left", True), ("Mass.", False), ("a/", True)]
)
def test_line_leads_on(line, expected):
    assert leads_on(line) is expected
