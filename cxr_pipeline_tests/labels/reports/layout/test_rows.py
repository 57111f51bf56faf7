"""Rows of tables: a cell that names a finding is answered by the next, or by the column in which its mark stands."""

import pytest

from cxr_pipeline.labels.reports.layout.rows import take_rows_apart
from cxr_pipeline_tests.labels.reports.layout.words import FewWords, show


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("Effusion | none\nMass | small", [("Effusion", "none"), ("Mass", "small")]),
        ("| Effusion | none |", [("Effusion", "none")]),
        ("Effusion | No | Mass | Yes", [("Effusion", "No"), ("Mass", "Yes")]),
        ("Effusion | | Mass | Yes", [(None, "Effusion"), ("Mass", "Yes")]),
        ("Effusion | n/a | small", [("Effusion", "small")]),
        ("Effusion | No | stable", [("Effusion", "No")]),
        ("Effusion: none | Mass: none", [(None, "Effusion: none"), (None, "Mass: none")]),
        ("Finding | Yes | No\nEffusion | | x\nMass | x |", [("Effusion", "No"), ("Mass", "Yes")]),
        ("Finding\tYes\tNo\nEffusion\t\tX", [("Effusion", "No")]),
        ("          Yes   No\nEffusion        X\nMass       X", [("Effusion", "No"), ("Mass", "Yes")]),
        ("Effusion | x", [("Effusion", 1)]),
        ("Finding | Yes | No\nEffusion | | x\nMass | | ", [("Effusion", "No"), ("Mass", None)]),
    ],
)
def test_rows(block, expected):
    assert show(block, take_rows_apart(block, FewWords())) == expected
