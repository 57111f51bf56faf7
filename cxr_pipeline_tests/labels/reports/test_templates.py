"""The labeler on whole templates and lists."""

import pytest

from cxr_pipeline.labels.reports.labeler import explain
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline_tests.labels.reports.templates import read_templates


def test_the_set_is_large_and_halved_and_has_every_class_and_state():
    items = read_templates()
    assert len({item.text for item in items}) == len(items) >= 200
    assert sum("\n" in item.text for item in items) >= 75
    assert len(read_templates("test")) == 117
    assert sum("\n" in item.text for item in read_templates("second")) >= 70
    assert {name for item in items for name in item.expected} == set(PATHOLOGIES)
    assert {state for item in items for state in item.expected.values()} == {0, 1, -1}
    assert sum(not item.expected for item in items) >= 8  # blanks


@pytest.mark.parametrize("part", ["dev", "test", "second"])
def test_nineteen_of_twenty_are_read_as_a_person_reads_them(part):
    items = read_templates(part)
    read = [{name: state for name, state in explain(item.text).states.items() if state is not None} for item in items]
    exact = sum(states == item.expected for states, item in zip(read, items, strict=True))
    assert exact / len(items) >= 0.95  # how many, not which: those of the half `test` are not to be looked at


def test_a_blank_is_never_an_answer():
    blanks = [item.text for item in read_templates() if not item.expected]
    assert [text for text in blanks if any(state is not None for state in explain(text).states.values())] == []
