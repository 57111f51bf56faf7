"""Reads templates.csv: templates and lists as radiology departments write them, and what each says.

The first 235 items were written, and the part `test` drawn from them by chance, before any rule that reads them; it
served to choose no rule. What was written while the rules were made belongs to `dev`. The part `second` is of another
writer, who had seen neither items nor rules; their faults were mended afterwards, so it measures what is kept.
"""

import csv
from pathlib import Path
from typing import NamedTuple

from cxr_pipeline.pathologies import PATHOLOGIES

_FILE = Path(__file__).parent / "templates.csv"


class Template(NamedTuple):
    """A text, and the state of each class that it speaks of."""

    part: str  # dev, test or second
    text: str
    expected: dict[str, int]


def read_templates(part: str | None = None) -> list[Template]:
    """The items of a part, or all."""
    with _FILE.open(encoding="utf-8", newline="") as file:
        items = [Template(row["part"], row["text"], _states(row["expected"])) for row in csv.DictReader(file)]
    return [item for item in items if part in (None, item.part)]


def _states(expected: str) -> dict[str, int]:
    stated = dict(pair.split("=") for pair in expected.split(";") if pair)
    return {name: int(stated[name]) for name in PATHOLOGIES if name in stated}
