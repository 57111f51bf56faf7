"""Prints outcomes for a person."""

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from rich.console import Console
from rich.table import Table

from cxr_pipeline.cli.messages import print_note, print_warning
from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.datasets.files.folders import phantom_marker
from cxr_pipeline.datasets.inventory import count_labellers, read_image_rows
from cxr_pipeline.datasets.status import find_status
from cxr_pipeline.errors import CxrError
from cxr_pipeline.labels.harmonize import LabelResult
from cxr_pipeline.labels.summary import count_labels
from cxr_pipeline.pipeline.evaluation import headline_metrics
from cxr_pipeline.pipeline.training import Checkpoint
from cxr_pipeline.settings import Settings
from cxr_pipeline.split.audit import judge_official_parts
from cxr_pipeline.split.cohort import SplitCohort, count_moves, summarize_cohort

if TYPE_CHECKING:
    from cxr_pipeline.images.looks.files import Looks
    from cxr_pipeline.images.prepare.step import PrepareSummary

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
        **({"known gap": dataset.known_gap} if dataset.known_gap else {}),
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


def unpacked(written: int) -> None:
    """How many files were not there before."""
    Console().print(f"{written:,} files written; all others of the archive were there")


def labels(name: str, result: LabelResult, gaps: list[str], *, chosen: list[str]) -> None:
    """Choices of the policy and counts per class, what the release lacks as published, then warnings: words without a
    row in the mapping, metadata that is not there or not whole."""
    for choice in chosen:
        Console().print(f"policy: {choice}", highlight=False, markup=False)
    Console().print(f"{name}: {result.table.height:,} images, {result.table['patient_id'].n_unique():,} patients")
    Console().print(_rich(count_labels(result.table)))
    if DATASETS[name].known_gap:
        Console().print(f"known: {DATASETS[name].known_gap}", highlight=False, markup=False)
    for finding, count in result.unmapped.rows():
        print_warning(f"'{finding}' ({count} images) has no row in labels/mappings/{name}.csv")
    warnings(gaps)


def warnings(lines: list[str]) -> None:
    """Each line as a warning."""
    for line in lines:
        print_warning(line)


def images(summary: "PrepareSummary") -> None:
    """How many images were decoded, reused and put in quarantine, and why."""
    known = summary.images - summary.decoded
    moved = f" ({summary.repacked:,} packed anew)" if summary.repacked else ""
    Console().print(f"{summary.images:,} images: {summary.decoded:,} decoded, {known:,} already there{moved}")
    for reason, count in sorted(summary.quarantined.items()):
        print_warning(f"{count:,} in quarantine: {reason}")


def looks(drawn: "Looks") -> None:
    """Where the pictures of a store are; a warning where they are for these eyes only."""
    if not drawn.display.allowed:
        print_warning(f"do not pass these pictures on: {drawn.display.reason}")
    for path in (drawn.sheet, drawn.quarantine_sheet, drawn.histograms):
        if path:
            Console().print(str(path.resolve()), soft_wrap=True, highlight=False, markup=False)


def cohort(made: SplitCohort, *, changed: list[str]) -> None:
    """Images and patients per source and split; a warning for images left out, for patients who had to change their
    split, and for `changed` settings, which move nobody."""
    Console().print(_rich(summarize_cohort(made.table).select("dataset", "split", "images", "patients")))
    for fact, count in judge_official_parts(made.table).facts.items():
        name = fact.rpartition("_")[2]
        print_warning(f"{count:,} images of {name} have no official part: its test images may be trained on")
    for dataset, _, moved_from, moved_to, reason, patients in count_moves(made.moved).rows():
        print_warning(f"{patients} patients of {dataset} moved from {moved_from} to {moved_to} ({reason}): train again")
    for dataset, labelled, not_frontal, unprepared in made.left_out.rows():
        if not_frontal:
            print_note(
                f"{not_frontal:,} of the {labelled:,} images of {dataset} are left out, laterals or of unknown view: "
                "the cohort takes frontal ones alone"
            )
        if unprepared:
            print_warning(
                f"{unprepared:,} of the {labelled:,} images of {dataset} are left out: the image store lacks their "
                f"pixels. Run `cxr images {dataset}`, then `cxr split` again; where files are missing it stays so."
            )
    for dataset, stored, unlabelled in made.unlabelled.rows():
        print_warning(
            f"{unlabelled} of the {stored} prepared images of {dataset} are left out: labels/{dataset} has no row of "
            f"them. Run `cxr labels {dataset}`, then `cxr split` again."
        )
    if changed:
        print_warning(
            f"{', '.join(changed)}: not as when the patients of this split were placed, who stay where they are. The "
            "setting holds for patients who arrive; --start-over places all anew, and wants another training."
        )


def checkpoint(trained: Checkpoint) -> None:
    """Where the checkpoint is and how it did on validation."""
    Console().print(f"checkpoint       {trained.folder}", soft_wrap=True)
    Console().print(f"val macro AUROC  {_cell_or_na(trained.summary['val_macro_auroc'])}")
    Console().print(f"best epoch       {trained.summary['best_epoch']} of {trained.summary['epochs']}")


def evaluation(metrics: pl.DataFrame, report: Path) -> None:
    """Macro AUROC per source and split, and where the report is."""
    Console().print(_rich(headline_metrics(metrics)))
    Console().print(f"report  {report.resolve()}", soft_wrap=True)


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
    return {"layout": layout.name, "because": layout.reason, **found, **absent, **_labellers(dataset, root)}


def _labellers(dataset: Dataset, root: Path) -> dict[str, str]:
    """Who read the labels of how many images, where the source says so."""
    try:
        counts = count_labellers(read_image_rows(dataset, root)).rows()
    except CxrError as error:
        return {"cannot be read": str(error)}
    return {"labelled by": ", ".join(f"{who} {images:,}" for who, images in counts)} if counts else {}
