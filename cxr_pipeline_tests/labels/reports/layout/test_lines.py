"""Which lines belong together: wrapped ones, items below a heading, rows of a table."""

import pytest

from cxr_pipeline.labels.reports.layout.lines import split_heading, split_units

LONG = "There is no pleural effusion and no pneumothorax on either side"

ROOM = "mass in the upper lobe that is not seen before"  # its line had room for the next word


def units(text):
    return [(text[unit.start : unit.end], unit.is_block) for unit in split_units(text, 0, len(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No mass\nNodule", [("No mass", False), ("Nodule", False)]),
        ("- No mass\n- Nodule", [("- No mass", False), ("- Nodule", False)]),
        ("- No mass, nodule\n  in a lung\n- Nodule", [("- No mass, nodule\n  in a lung", False), ("- Nodule", False)]),
        (f"{LONG}\nfocal mass", [(f"{LONG}\nfocal mass", False)]),
        (f"{LONG}\nCardiomegaly", [(LONG, False), ("Cardiomegaly", False)]),
        ("No evidence of\nmass", [("No evidence of\nmass", False)]),
        ("No mass\nor nodule", [("No mass\nor nodule", False)]),
        (f"{LONG}. No focal\nmass", [(f"{LONG}. No focal\nmass", False)]),
        (f"{LONG} today\n{ROOM}\nnodule", [(f"{LONG} today\n{ROOM}", False), ("nodule", False)]),
        ("Mass:\nNone\nNodule:\nSmall", [("Mass:\nNone", True), ("Nodule:\nSmall", True)]),
        ("Mass:\nNodule: no", [("Mass:", False), ("Nodule: no", False)]),
        ("Absent:\n- mass\n- nodule\nEffusion", [("Absent:\n- mass\n- nodule", True), ("Effusion", False)]),
        ("- Mass\n  - None\n- Nodule", [("- Mass\n  - None", True), ("- Nodule", False)]),
        ("LUNGS\nClear\nHEART\nLarge", [("LUNGS\nClear", True), ("HEART\nLarge", True)]),
        ("Mass | No\nNodule | Yes\nDone", [("Mass | No\nNodule | Yes", True), ("Done", False)]),
        ("   Yes  No\nMass  X", [("   Yes  No\nMass  X", True)]),
        ("Mass: [ ] Yes\n [x] No\nNodule", [("Mass: [ ] Yes\n [x] No", True), ("Nodule", False)]),
    ],
)  # fmt: skip
def test_units(text, expected):
    assert units(text) == expected


def test_a_first_line_longer_than_the_rest_is_wrapped_unless_a_capital_follows():
    assert units(f"{LONG}\nmass") == [(f"{LONG}\nmass", False)]


def test_heading_ends_before_its_lines():
    block = "Mass:\n  - None"
    assert split_heading(block) == (5, 8)
    assert split_heading("No evidence of\nmass") == (0, 0)
