"""Columns of boxes that the line above names."""

import pytest

from cxr_pipeline.labels.reports.layout.columns import has_marks, take_columns_apart
from cxr_pipeline_tests.labels.reports.layout.words import FewWords, show


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("Yes No\n[ ] [x] Effusion\n[x] [ ] Mass", [("Effusion", "No"), ("Mass", "Yes")]),
        ("No Yes\n[x] [ ] Effusion", [("Effusion", "No")]),
        ("Yes  No  Finding\n[ ]  [ ]  Effusion", [("Effusion", None)]),
        ("Finding    Yes  No\nEffusion   [ ]  [X]", [("Effusion", "No")]),
        ("Yes\tNo\n[ ]\t[x]\tMass", [("Mass", "No")]),
        ("Yes No\n_ X Effusion\nX _ Mass", [("Effusion", "No"), ("Mass", "Yes")]),
        ("Yes No\n( ) (x) Effusion", [("Effusion", "No")]),
        ("Yes No\n\u2610 \u2612 Effusion", [("Effusion", "No")]),
    ],
)
def test_the_tick_stands_below_its_answer(block, expected):
    assert show(block, take_columns_apart(block, FewWords())) == expected


@pytest.mark.parametrize(
    "block", ["Chest\n[ ] [x] Effusion", "Yes No None\n[ ] [x] Effusion", "Yes No\n[ ] [x] Effusion\nMass", "Yes No"]
)
def test_without_an_answer_for_each_column_it_is_no_table(block):
    assert take_columns_apart(block, FewWords()) is None


@pytest.mark.parametrize("line", ["[x] Effusion", "Effusion: [ ] Yes [x] No", "x-ray", "A mass", ""])
def test_one_mark_or_words_between_make_no_columns(line):
    assert not has_marks(line)
