"""docs/training.md says of the demo what its preset says of itself."""

import re
from pathlib import Path

from cxr_pipeline.training.presets import PRESETS

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text()


def figures(text):
    """The AUROCs in a text: ".87" of "near .87"."""
    return set(re.findall(r"(?<![\d.])\.\d+", text))


def test_the_demo_has_the_figures_of_its_preset_wherever_the_page_speaks_of_it():
    said = figures(PRESETS["demo"].description)
    (row,) = (line for line in PAGE.splitlines() if line.startswith("| `demo` |"))
    (prose,) = (part for part in PAGE.split("\n\n") if "`make demo`" in part and "AUROC" in part)
    assert figures(row) == {".87"}
    assert figures(row) | figures(prose) == said
