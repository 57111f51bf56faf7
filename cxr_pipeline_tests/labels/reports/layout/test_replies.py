"""Lines that answer the line above them."""

import pytest

from cxr_pipeline.labels.reports.layout.lines import split_units
from cxr_pipeline.labels.reports.layout.replies import asks, compile_replies, is_reply

REPLIES = compile_replies(["none", "small", "n/a"], ["answer", "a"], ["left", "right"])


def units(text):
    return [text[unit.start : unit.end] for unit in split_units(text, 0, len(text), REPLIES)]


@pytest.mark.parametrize("line", ["None", "none.", "Small, left", "N/A", "A: no", "A1: no", "Left: any", "- none"])
def test_an_answer_on_a_line_of_its_own_is_a_reply(line):
    assert is_reply(line, REPLIES)


@pytest.mark.parametrize("line", ["None of the lobes", "Small effusion", "A mass", "Nonetheless", "Leftward: x", ""])
def test_a_line_that_says_more_is_no_reply(line):
    assert not is_reply(line, REPLIES)


@pytest.mark.parametrize("line", ["Mass", "Mass?", "Mass:", "Q: Mass?"])
def test_a_short_line_or_one_with_a_mark_asks(line):
    assert asks(line, is_near=True)


@pytest.mark.parametrize(
    "line", ["Small mass.", "Mass: large", "There is a", "A mass in the upper lobe, unchanged since then"]
)
def test_a_line_that_has_ended_or_goes_on_or_is_answered_does_not_ask(line):
    assert not asks(line, is_near=True)


def test_over_a_blank_line_only_a_mark_asks():
    assert units("Mass:\n\nNone") == ["Mass:\n\nNone"]
    assert units("Mass\n\nNone") == ["Mass", "None"]


def test_a_line_has_one_answer_or_one_for_each_side():
    assert units("Mass\nNone\nSmall") == ["Mass\nNone", "Small"]
    assert units("Mass\nRight: none\nLeft: small\nNodule\nNone") == ["Mass\nRight: none\nLeft: small", "Nodule\nNone"]


def test_without_words_no_line_is_a_reply():
    assert compile_replies([], ["a"], []) is None
    assert not is_reply("None", None)
