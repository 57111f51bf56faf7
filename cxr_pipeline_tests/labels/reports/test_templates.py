"""The labeler on whole templates and lists."""

from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline_tests.labels.reports.templates import read_templates


def test_the_set_is_large_and_halved_and_has_every_class_and_state():
    items = read_templates()
    assert len({item.text for item in items}) == len(items) >= 200
    assert sum("\n" in item.text for item in items) >= 75
    assert abs(len(read_templates("dev")) - len(read_templates("test"))) <= 1
    assert {name for item in items for name in item.expected} == set(PATHOLOGIES)
    assert {state for item in items for state in item.expected.values()} == {0, 1, -1}
    assert sum(not item.expected for item in items) >= 8  # blanks
