"""Prints outcomes for a person (tables) or a script (JSON, CSV)."""

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import polars as pl
from rich.console import Console
from rich.table import Table

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.datasets.files import phantom_marker
from cxr_pipeline.datasets.status import find_status
from cxr_pipeline.errors import CxrError
from cxr_pipeline.labels.harmonize import LabelResult
from cxr_pipeline.labels.summary import count_labels
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.pipeline import Checkpoint, headline_metrics
from cxr_pipeline.settings import Settings
from cxr_pipeline.split.cohort import summarize_cohort

if TYPE_CHECKING:
    from cxr_pipeline.evaluation.files import FilePrediction
    from cxr_pipeline.images.prepare import PrepareSummary

_LISTED_FILES = 8  # OpenI has one file per report


def sources(settings: Settings) -> None:
    """One row per source: title, access, folder, and whether its metadata is there."""
    table = Table("source", "title", "access", "folder", "found", box=None)
    for name, dataset in DATASETS.items():
        root = settings.source_root(name)
        table.add_row(
            name, dataset.title, dataset.access, str(root or f"set {dataset.root_variable}"), _found(name, root)
        )
    Console().print(table)


def source_info(settings: Settings, name: str, root: Path | None) -> None:
    """Who publishes a source, under which terms, and what its folder here holds."""
    dataset, folder = DATASETS[name], root or settings.source_root(name)
    counts = ", ".join(f"{number:,} {what}" for what, number in dataset.expected.items())
    uses = {True: "yes", False: "no"}
    rows = {
        "title": dataset.title,
        "home page": dataset.home_page,
        "citation": dataset.citation,
        "licence": dataset.licence,
        "access": dataset.access,
        "commercial use": uses[dataset.commercial_use],
        "redistribution": uses[dataset.redistribution],
        "published": counts,
        "silence means": dataset.unstated_is,
        "folder": str(folder or f"not used: set {dataset.root_variable}"),
        **(_found_files(dataset, folder) if folder else {}),
    }
    for field, value in rows.items():
        Console().print(f"{field:15} {value}", highlight=False, markup=False, soft_wrap=True)


def source_status(settings: Settings) -> None:
    """One row per source; what to do next below, since it is a sentence."""
    table = Table("source", "state", "images", "files", "GB", "layout", box=None)
    steps = []
    for name, dataset in DATASETS.items():
        status = find_status(dataset, settings.source_root(name))
        gigabytes = f"{status.file_bytes / 1e9:.2f}"
        table.add_row(name, status.state, f"{status.images:,}", f"{status.present:,}", gigabytes, status.layout)
        steps.append(f"{name}: {status.next_step}")
    Console().print(table)
    Console().print("\nNext\n  " + "\n  ".join(steps), highlight=False, markup=False, soft_wrap=True)


def labels(name: str, result: LabelResult, missing: dict[str, str]) -> None:
    """Counts per class, then warnings: words without a row in the mapping, metadata that is not there."""
    Console().print(f"{name}: {result.table.height:,} images, {result.table['patient_id'].n_unique():,} patients")
    Console().print(_rich(count_labels(result.table)))
    for finding, count in result.unmapped.rows():
        _warn(f"'{finding}' ({count} images) has no row in labels/mappings/{name}.csv")
    for file, loss in missing.items():
        _warn(f"{file} is not there: {loss}")


def images(summary: "PrepareSummary") -> None:
    """How many images were decoded, reused and put in quarantine, and why."""
    known = summary.images - summary.decoded
    Console().print(f"{summary.images:,} images: {summary.decoded:,} decoded, {known:,} already there")
    for reason, count in sorted(summary.quarantined.items()):
        _warn(f"{count:,} in quarantine: {reason}")


def cohort(table: pl.DataFrame) -> None:
    """Images, patients and positives per source and split."""
    Console().print(_rich(summarize_cohort(table).select("dataset", "split", "images", "patients")))


def checkpoint(trained: Checkpoint) -> None:
    """Where the checkpoint is and how it did on validation."""
    Console().print(f"checkpoint       {trained.folder}", soft_wrap=True)
    Console().print(f"val macro AUROC  {_cell_or_na(trained.summary['val_macro_auroc'])}")
    Console().print(f"best epoch       {trained.summary['best_epoch']} of {trained.summary['epochs']}")


def evaluation(metrics: pl.DataFrame, report: Path) -> None:
    """Macro AUROC per source and split, and where the report is."""
    Console().print(_rich(headline_metrics(metrics)))
    Console().print(f"report  {report.resolve()}", soft_wrap=True)


def predictions(found: list["FilePrediction"], form: Literal["table", "json", "csv"]) -> None:
    """One entry per image: the probability of each class, and which reach the checkpoint's threshold."""
    if form == "json":
        sys.stdout.write(json.dumps([one.as_row() for one in found], indent=2) + "\n")
    elif form == "csv":
        writer = csv.DictWriter(sys.stdout, ["path", *PATHOLOGIES, "positive"])
        writer.writeheader()
        writer.writerows({**row, "positive": "|".join(row["positive"])} for row in (one.as_row() for one in found))
    else:
        for one in found:
            Console().print(_prediction_table(one))


def _prediction_table(one: "FilePrediction") -> Table:
    table = Table("finding", "probability", "decision", title=str(one.path), box=None)
    for pathology, probability in sorted(one.probabilities.items(), key=lambda item: -item[1]):
        table.add_row(pathology, f"{probability:.3f}", "positive" if pathology in one.positive else "")
    return table


def _rich(frame: pl.DataFrame) -> Table:
    table = Table(*frame.columns, box=None)
    for row in frame.rows():
        table.add_row(*map(_cell_or_na, row))
    return table


def _cell_or_na(value: object) -> str:
    if value is None:
        return "n/a"
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _found(name: str, root: Path | None) -> str:
    if root is None:
        return "not used"
    if not root.is_dir():
        return "folder is missing"
    try:
        files = DATASETS[name].find_metadata(root).files
    except CxrError:
        return "required metadata is missing"
    return f"{len(files)} metadata files{' of phantoms' if phantom_marker(root) else ''}"


def _found_files(dataset: Dataset, root: Path) -> dict[str, str]:
    """The recognised layout and the metadata files; raises CxrError when the source is not there."""
    metadata, layout = dataset.find_metadata(root), dataset.describe_layout(root)
    listed = list(metadata.files.items())[:_LISTED_FILES]
    found = {f"file ({role})": str(path) for role, path in listed}
    if len(metadata.files) > len(listed):
        found["and"] = f"{len(metadata.files) - len(listed):,} more metadata files"
    absent = {f"no {name}": loss for name, loss in metadata.missing.items()}
    return {"layout": layout.name, "because": layout.reason, **found, **absent}


def _warn(text: str) -> None:
    Console(stderr=True).print(f"[yellow]warning:[/yellow] {text}", highlight=False, soft_wrap=True)
