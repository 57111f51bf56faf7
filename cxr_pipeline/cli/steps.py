"""One stage at a time, without Dagster: settings in, the stage's outcome out. Printing does not live here."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cxr_pipeline.cli.messages import print_warning
from cxr_pipeline.cli.overrides import parse_overrides
from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.datasets.files.archives import archive_of, unpack_archive
from cxr_pipeline.datasets.inventory import describe_gaps, describe_unreadable_boxes
from cxr_pipeline.errors import ArchiveError, CxrError, SourceNotFoundError, StoreError
from cxr_pipeline.images.prepare.progress import Pace
from cxr_pipeline.labels.boxes import box_table, describe_placement
from cxr_pipeline.labels.harmonize import LabelResult
from cxr_pipeline.labels.policy import DEFAULT_POLICY, LabelPolicy
from cxr_pipeline.labels.quality import describe_edits
from cxr_pipeline.labels.reports.imports import StatesFile
from cxr_pipeline.labels.reports.tables import is_reported, label_source
from cxr_pipeline.launch.job import Job
from cxr_pipeline.launch.local import run_job
from cxr_pipeline.pipeline.evaluation import write_explanations, write_metrics, write_predictions, write_report
from cxr_pipeline.pipeline.images import index_path, write_images, write_looks
from cxr_pipeline.pipeline.jobs import OnEvent
from cxr_pipeline.pipeline.labels import write_labels
from cxr_pipeline.pipeline.raw import write_inventory
from cxr_pipeline.pipeline.reports import read_report_states, write_imported_states, write_report_evidence
from cxr_pipeline.pipeline.split import write_cohort, write_duplicates, write_split_summary
from cxr_pipeline.pipeline.training import current_checkpoint
from cxr_pipeline.settings import Settings
from cxr_pipeline.split.cohort import SplitCohort
from cxr_pipeline.split.config import SplitConfig
from cxr_pipeline.storage.lake import Lake, write_table
from cxr_pipeline.tables.labels import LabelTable
from cxr_pipeline.tracking import Tracker

if TYPE_CHECKING:
    from cxr_pipeline.images.looks.files import Looks
    from cxr_pipeline.images.prepare.step import PrepareSummary
    from cxr_pipeline.images.store.shards import StoreForm


class Advance(Protocol):
    """Moves a progress bar; `note` is shown beside it."""

    def __call__(self, done: int, total: int, note: str = "") -> None: ...


def labels(
    settings: Settings, name: str, *, root: Path | None, out: Path | None, policy: LabelPolicy = DEFAULT_POLICY
) -> tuple[LabelResult, list[str]]:
    """Harmonizes one source into `out`, or into the lake; also what its metadata lacks, a line each."""
    dataset, folder = DATASETS[name], _root(settings, name, root)
    if out:
        result = label_source(dataset, folder, policy, states=states_of(settings, name))
        write_table(out, result.table, LabelTable)
        gaps = describe_gaps(dataset, folder, result.table)
    else:
        inventory = write_inventory(_lake(settings), dataset, folder, unpack=False)  # metadata is enough
        is_unpacked = inventory.table["is_present"].any()  # else every image has no file yet
        gaps = list(inventory.warnings) if is_unpacked else describe_gaps(dataset, folder, inventory.table)
        if is_reported(dataset):
            write_report_evidence(_lake(settings), dataset, folder)
            write_imported_states(_lake(settings), dataset, folder, states_of(settings, name))
        result = write_labels(_lake(settings), dataset, folder, policy=policy)
    gaps += describe_edits(dataset, folder, result.table) if policy == DEFAULT_POLICY else []
    return result, [*dict.fromkeys(gaps + _describe_boxes(dataset, folder))]  # both tell of an unreadable file


def unpack(settings: Settings, name: str, *, root: Path | None) -> int:
    """Unpacks the pictures of one source, with a progress bar over the parts of its archive; how many were written."""
    archive = archive_of(DATASETS[name], _root(settings, name, root))
    if archive is None:
        raise ArchiveError(f"{DATASETS[name].title} is published unpacked, or in archives of a common kind: unpack it.")
    with progress_bar(f"unpacking {archive.name}") as advance:
        return unpack_archive(archive, on_progress=advance)


def images(settings: Settings, name: str, *, root: Path | None, verify: bool = False) -> "PrepareSummary":
    """Prepares the image store of one source, with a progress bar; to `verify` reads the files that look unchanged."""
    from cxr_pipeline.images.prepare.cluster import Cluster
    from cxr_pipeline.images.prepare.digests import forget_digests

    dataset, folder, pace = DATASETS[name], _root(settings, name, root), Pace()
    if verify:
        forget_digests(_lake(settings).folder("images", name))
    with progress_bar(f"raw/{name}") as advance:
        write_inventory(_lake(settings), dataset, folder, on_unpack=advance)
    with progress_bar(f"images/{name}") as advance, Cluster(settings.dask_address) as cluster:
        return write_images(
            _lake(settings),
            dataset,
            folder,
            form=store_form(settings),
            cluster=cluster,
            on_progress=lambda done, total, bad: advance(done, total, pace.describe(done, total, bad)),
        )


def looks(settings: Settings, name: str, *, root: Path | None) -> "Looks":
    """Draws the contact sheets and histograms of one prepared store; the user asked, so terms keep nothing back."""
    lake, folder = _lake(settings), _root(settings, name, root)
    if index_path(lake, name).exists():
        drawn = write_looks(lake, DATASETS[name], folder, settings.reports_root, on_request=True)
        if drawn and (drawn.histograms or drawn.quarantine_sheet):
            return drawn
    raise StoreError(f"There is no image of {name} in {lake.root}, expected some: run `cxr images {name}` first.")


def image_size(settings: Settings) -> int:
    """Side of the stored images in pixels: as set, else the preset's."""
    from cxr_pipeline.training.presets import preset

    return settings.image_size or preset(settings.preset).image_size


def store_form(settings: Settings) -> "StoreForm":
    """Size and codec of the stored images."""
    from cxr_pipeline.images.store.shards import StoreForm

    return StoreForm(image_size(settings), settings.store_codec)


def split(settings: Settings, config: SplitConfig, *, start_over: bool) -> SplitCohort:
    """Merges what is in the lake; sources that were never read count as not used."""
    lake = _lake(settings)
    for name, dataset in DATASETS.items():
        if not lake.table("labels", name).exists():
            if not lake.table("raw", name).exists():  # else it is what the images were prepared from
                write_inventory(lake, dataset, None)
            write_labels(lake, dataset, None)  # unused: no evidence is asked for
        if not index_path(lake, name).exists():
            write_images(lake, dataset, None, form=store_form(settings))
    write_duplicates(lake)
    cohort = write_cohort(lake, config, start_over=start_over)
    write_split_summary(lake)
    return cohort


def read_split_config(overrides: list[str]) -> SplitConfig:
    """The settings that `--set FIELD=VALUE` names, on the defaults; raises CxrError that names the wrong field."""
    try:
        return SplitConfig.model_validate(parse_overrides(overrides, example="val_fraction=0.1"))
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'sources'}: {e['msg']}" for e in error.errors())
        raise CxrError(f"--set does not fit ({wrong}). Fields: {', '.join(SplitConfig.model_fields)}.") from error


def evaluate(settings: Settings) -> tuple[pl.DataFrame, Path]:
    """Predictions, metrics, explanations and report of the current checkpoint: the metric table and the report."""
    lake, tracker = _lake(settings), tracker_of(settings)

    def launch(job: Job, on_event: OnEvent) -> dict[str, Any]:
        def follow(event: dict[str, Any]) -> None:
            on_event(event)
            if event["event"] == "warning":
                print_warning(event["text"])

        return run_job(job, on_event=follow)

    with progress_bar("evaluation") as advance:
        write_predictions(lake, launch=launch)
        advance(1, 4)
        metrics = write_metrics(lake)
        advance(2, 4)
        write_explanations(lake, launch=launch)
        advance(3, 4)
        folder, _ = write_report(lake, tracker=tracker)
        advance(4, 4)
    return metrics, folder / "report.html"


def checkpoint_folder(settings: Settings, named: Path | None) -> Path:
    """The checkpoint folder that the user named, else the current one; raises CheckpointError when there is none."""
    return named or current_checkpoint(_lake(settings)).folder


def report_states(settings: Settings) -> pl.DataFrame:
    """What our labeler says of every study whose labels come from reports, as the lake has it."""
    lake = _lake(settings)
    return pl.concat([read_report_states(lake, d) for d in DATASETS.values() if is_reported(d)])


def states_of(settings: Settings, name: str) -> StatesFile | None:
    """What other labelers found in the reports of a source, if a file of it was named."""
    named = settings.imported_states(name)
    return StatesFile(*named) if named else None


def tracker_of(settings: Settings) -> Tracker:
    """The MLflow of this installation."""
    return Tracker(
        settings.tracking_uri,
        settings.mlflow_experiment,
        settings.mlflow_home / "artifacts",
        settings.mlflow_address,
    )


@contextmanager
def progress_bar(title: str) -> Iterator[Advance]:
    """A bar on stderr (so that stdout stays clean for pipes)."""
    note = TextColumn("{task.fields[note]}", markup=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), note)
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=None, note="")

        def advance(done: int, total: int, note: str = "") -> None:
            progress.update(task, completed=done, total=total, note=note)

        yield advance


def _describe_boxes(dataset: Dataset, folder: Path) -> list[str]:
    """What is odd about the boxes of a source, a line each; labels do not fail for them."""
    try:
        return describe_placement(dataset, folder, box_table(dataset, folder))
    except CxrError as error:
        return [describe_unreadable_boxes(error)]


def _lake(settings: Settings) -> Lake:
    return Lake(settings.lake_root)


def _root(settings: Settings, name: str, root: Path | None) -> Path:
    found = root or settings.source_root(name)
    if found is None:
        raise SourceNotFoundError(
            f"{DATASETS[name].title} is not used here: name its folder with --root or {DATASETS[name].root_variable}."
        )
    return found
