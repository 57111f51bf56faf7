"""The metric table and the cohort as a reader sees them: rows, headline, counts. How they look is in `templates/`."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from cxr_pipeline.errors import TableError
from cxr_pipeline.evaluation.metrics import ALL, MACRO, METRICS, SCHEMA
from cxr_pipeline.evaluation.scored import SPLIT_ORDER, known_labels
from cxr_pipeline.pathologies import PATHOLOGIES, POSITIVE
from cxr_pipeline.training.data.batches import Cohort

NOT_AVAILABLE = "n/a"


@dataclass(frozen=True)
class Number:
    """One metric with its 95 % interval; None is n/a."""

    value: float | None
    low: float | None
    high: float | None

    @property
    def text(self) -> str:
        return format_number(self.value)

    @property
    def interval(self) -> str:
        """`[low, high]`, or nothing."""
        return "" if self.low is None else f"[{format_number(self.low)}, {format_number(self.high)}]"


@dataclass(frozen=True)
class ClassRow:
    """One class, or the macro mean, in one set of images."""

    pathology: str
    numbers: dict[str, Number]  # metric -> number
    n: int
    positives: int

    @property
    def name(self) -> str:
        return self.pathology.replace("_", " ")

    @property
    def is_macro(self) -> bool:
        return self.pathology == MACRO


@dataclass(frozen=True)
class SetTable:
    """All classes of one split and source, macro last."""

    split: str
    source: str
    rows: list[ClassRow]
    is_external: bool = False  # a source of which the network has seen no image in training

    @property
    def name(self) -> str:
        """The source, for a reader."""
        return f"{self.source} (external)" if self.is_external else self.source

    @property
    def macro(self) -> ClassRow:
        return self.rows[-1]


@dataclass(frozen=True)
class Headline:
    """Macro AUROC on test. The mean over sources comes first: a pooled number also rewards telling hospitals apart
    (Zech et al. 2018, doi:10.1371/journal.pmed.1002683)."""

    mean: float | None  # over the sources trained on
    external: float | None  # over the others
    by_source: dict[str, Number]  # by the name of its table
    pooled: Number

    @property
    def text(self) -> str:
        return format_number(self.mean)

    @property
    def external_text(self) -> str:
        """Empty where every source was trained on."""
        return "" if self.external is None else format_number(self.external)


@dataclass(frozen=True)
class SourceCount:
    """Images and patients of one source, per split of SPLIT_ORDER."""

    source: str
    images: list[int]
    patients: list[int]


@dataclass(frozen=True)
class ClassCount:
    """Positives and known labels of one class, per split of SPLIT_ORDER."""

    name: str
    positives: list[int]
    known: list[int]


def read_tables(metrics: Path, *, trained_on: Collection[str]) -> list[SetTable]:
    """The whole-set part of a MetricTable file: test first, then sources by name, `all` last in each split.

    Sources that are not among `trained_on` are external.
    """
    if not metrics.is_file():
        raise TableError(f"No metrics at {metrics}: materialize the asset evaluation/metrics first.")
    table = pq.ParquetFile(metrics).read()
    missing = set(SCHEMA.names) - set(table.column_names)
    if missing:
        raise TableError(f"{metrics} lacks the columns {', '.join(sorted(missing))}: materialize it again.")
    found: dict[tuple[str, str], dict[str, dict[str, dict]]] = {}
    for row in table.select(SCHEMA.names).cast(SCHEMA).to_pylist():
        if row["subgroup"] == ALL:
            found.setdefault((row["split"], row["source"]), {}).setdefault(row["pathology"], {})[row["metric"]] = row
    keys = sorted(found, key=lambda key: (SPLIT_ORDER.index(key[0]), key[1] == ALL, key[1]))
    return [
        SetTable(
            split,
            source,
            [_class_row(p, found[split, source][p]) for p in (*PATHOLOGIES, MACRO)],
            is_external=source not in {ALL, *trained_on},
        )
        for split, source in keys
    ]


def headline(tables: list[SetTable]) -> Headline:
    """Of the test tables; n/a where there are none."""
    test = [table for table in tables if table.split == "test"]
    own, external = ([t for t in test if t.source != ALL and t.is_external == seen] for seen in (False, True))
    return Headline(
        mean=_mean_auroc(own),
        external=_mean_auroc(external),
        by_source={table.name: table.macro.numbers["auroc"] for table in test if table.source != ALL},
        pooled=next((t.macro.numbers["auroc"] for t in test if t.source == ALL), Number(None, None, None)),
    )


def count_sources(cohort: Cohort) -> list[SourceCount]:
    """Per source, then for all."""
    names = sorted(set(cohort.datasets))
    parts = {name: cohort.take(cohort.datasets == name) for name in names} | {ALL: cohort}
    return [
        SourceCount(
            name,
            [len(part.select(split)) for split in SPLIT_ORDER],
            [len(set(part.select(split).patient_ids)) for split in SPLIT_ORDER],
        )
        for name, part in parts.items()
    ]


def count_classes(cohort: Cohort) -> list[ClassCount]:
    """Per class, over all sources."""
    labels = [cohort.select(split).labels for split in SPLIT_ORDER]
    positives = [(part == POSITIVE).sum(axis=0) for part in labels]
    known = [known_labels(part).sum(axis=0) for part in labels]
    return [
        ClassCount(name.replace("_", " "), [int(c[k]) for c in positives], [int(c[k]) for c in known])
        for k, name in enumerate(PATHOLOGIES)
    ]


def has_nih_test(cohort: Path) -> bool:
    """Whether the cohort tests on people of NIH's official test list, which is what published figures speak of."""
    table = pq.ParquetFile(cohort).read(columns=["dataset", "split", "official_split", "is_phantom"])
    if "official_split" not in table.column_names:
        return False
    rows = zip(*(table[name].to_pylist() for name in ("dataset", "split", "official_split", "is_phantom")), strict=True)
    return ("nih", "test", "test", False) in rows


def format_number(value: float | None) -> str:
    """Three decimals, or n/a."""
    return NOT_AVAILABLE if value is None else f"{value:.3f}"


def _mean_auroc(tables: list[SetTable]) -> float | None:
    values = [table.macro.numbers["auroc"].value for table in tables]
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _class_row(pathology: str, rows: dict[str, dict]) -> ClassRow:
    numbers = {metric: Number(rows[metric]["value"], rows[metric]["low"], rows[metric]["high"]) for metric in METRICS}
    return ClassRow(pathology, numbers, rows[METRICS[0]]["n"], rows[METRICS[0]]["positives"])
