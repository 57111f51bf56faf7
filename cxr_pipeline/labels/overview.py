"""What each source can say at all, class by class: from the mappings alone, and as counts of the label tables."""

from collections.abc import Mapping

import polars as pl

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.labels.mapping import read_mapping
from cxr_pipeline.labels.summary import count_labels
from cxr_pipeline.pathologies import PATHOLOGIES

# What a source can say of a class, best first, by the mapping rules that speak of it.
_CAPABILITIES = {"direct": "yes", "stated": "in part", "parent": "broader", "ambiguous": "doubtful"}
NOTHING = "-"


def capability_matrix() -> pl.DataFrame:
    """One row per class, one column per source: `yes`, `in part`, `broader` (only a wider word), `doubtful`, or `-`."""
    columns = {name: _capabilities(read_mapping(name)) for name in DATASETS}
    return pl.DataFrame({"pathology": PATHOLOGIES, **columns})


def count_matrix(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """One row per class, one column per source: `positives / known` images, null where nothing is known."""
    columns = {name: _counts(table) for name, table in tables.items()}
    return pl.DataFrame({"pathology": PATHOLOGIES, **columns})


def describe_labels() -> str:
    """The text of `docs/labels.md`."""
    matrix = capability_matrix()
    head = ["| class | " + " | ".join(DATASETS) + " |", "|---" * matrix.width + "|"]
    rows = ["| " + " | ".join(row) + " |" for row in matrix.rows()]
    return "\n".join([_INTRODUCTION, *head, *rows, _LEGEND])


def _capabilities(mapping: pl.DataFrame) -> list[str]:
    spoken = mapping.select("pathology", rule=pl.col("rule").cast(pl.String)).drop_nulls().rows()
    by_class: dict[str, set[str]] = {name: set() for name in PATHOLOGIES}
    for pathology, rule in spoken:
        by_class[pathology].add(rule)
    return [next((word for rule, word in _CAPABILITIES.items() if rule in by_class[p]), NOTHING) for p in PATHOLOGIES]


def _counts(table: pl.DataFrame) -> list[str | None]:
    rows = count_labels(table).select("positive", known=pl.col("positive") + pl.col("negative")).rows()
    return [f"{positive:,} / {known:,}" if known else None for positive, known in rows]


_INTRODUCTION = """\
# What each source can say

Written by `make docs` from `cxr_pipeline/labels/mappings/`. A class that a source cannot speak of is null in its label
table: masked out of the loss and of every metric, never a negative.
"""

_LEGEND = """
- **yes**: the source has a word of the same meaning.
- **in part**: known where a form or a further label file of the source answers for it, and null elsewhere; its silence
  never means "not there".
- **broader**: only a wider word (`Lung Lesion` for Mass and Nodule). Its positive leaves the class null; where it is
  denied, so is the class.
- **doubtful**: only words that may or may not mean it. A positive leaves the class null.
- **-**: no word at all.

Every word of every source, with its rule and the reason, stands in the CSV files of `cxr_pipeline/labels/mappings/`.
ReXGradient has reports and no labels: its classes come from the report labeler.
"""
