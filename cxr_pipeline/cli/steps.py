"""One stage at a time, without Dagster: settings in, the stage's outcome out. Printing does not live here."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cxr_pipeline import pipeline
from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.errors import CxrError, ImageError, SourceNotFoundError
from cxr_pipeline.labels.from_reports import is_reported, label_source
from cxr_pipeline.labels.harmonize import LabelResult
from cxr_pipeline.launch.job import Job
from cxr_pipeline.launch.local import run_job
from cxr_pipeline.settings import Settings
from cxr_pipeline.split.config import SplitConfig
from cxr_pipeline.storage.lake import Lake, write_table
from cxr_pipeline.tables import LabelTable
from cxr_pipeline.tracking import Tracker

if TYPE_CHECKING:
    from cxr_pipeline.evaluation.files import FilePrediction
    from cxr_pipeline.images.prepare import PrepareSummary


def labels(settings: Settings, name: str, *, root: Path | None, out: Path | None) -> tuple[LabelResult, dict[str, str]]:
    """Harmonizes one source into `out`, or into the lake; also the optional metadata that is absent, and its loss."""
    dataset, folder = DATASETS[name], _root(settings, name, root)
    if out:
        result = label_source(dataset, folder)
        write_table(out, result.table, LabelTable)
    else:
        pipeline.write_inventory(_lake(settings), dataset, folder)
        if is_reported(dataset):
            pipeline.write_report_evidence(_lake(settings), dataset, folder)
        result = pipeline.write_labels(_lake(settings), dataset, folder)
    return result, dataset.find_metadata(folder).missing


def images(settings: Settings, name: str, *, root: Path | None) -> "PrepareSummary":
    """Prepares the image store of one source, with a progress bar."""
    from cxr_pipeline.training.presets import preset

    dataset, folder = DATASETS[name], _root(settings, name, root)
    size = settings.image_size or preset(settings.preset).image_size
    pipeline.write_inventory(_lake(settings), dataset, folder)
    with progress_bar(f"images/{name}") as advance:
        return pipeline.write_images(
            _lake(settings), dataset, folder, size=size, on_progress=lambda done, total, _: advance(done, total)
        )


def split(settings: Settings) -> pl.DataFrame:
    """Merges what is in the lake; sources that were never read count as not used."""
    lake = _lake(settings)
    for name, dataset in DATASETS.items():
        if not lake.table("labels", name).exists():
            pipeline.write_inventory(lake, dataset, None)
            pipeline.write_labels(lake, dataset, None)  # unused: no evidence is asked for
        if not pipeline.index_path(lake, name).exists():
            pipeline.write_images(lake, dataset, None, size=settings.image_size or 384)
    return pipeline.write_cohort(lake, SplitConfig())


def train(settings: Settings, *, preset_name: str | None, overrides: list[str]) -> pipeline.Checkpoint:
    """Trains on this machine, with a progress bar over epochs."""
    from cxr_pipeline.training.presets import preset

    config = preset(preset_name or settings.preset, **dict(map(_parse_override, overrides)))
    with progress_bar("training") as advance:

        def launch(job: Job, on_event: pipeline.OnEvent) -> dict[str, Any]:
            def follow(event: dict[str, Any]) -> None:
                on_event(event)
                if event["event"] == "epoch":
                    advance(event["epoch"], event["epochs"])

            return run_job(job, on_event=follow)

        checkpoint, _ = pipeline.train_checkpoint(
            _lake(settings), config, launch=launch, tracker=tracker_of(settings), tags={"launched_by": "cxr train"}
        )
    return checkpoint


def evaluate(settings: Settings) -> tuple[pl.DataFrame, Path]:
    """Predictions, metrics, explanations and report of the current checkpoint: the metric table and the report."""
    lake, tracker = _lake(settings), tracker_of(settings)

    def launch(job: Job, on_event: pipeline.OnEvent) -> dict[str, Any]:
        return run_job(job, on_event=on_event)

    with progress_bar("evaluation") as advance:
        pipeline.write_predictions(lake, launch=launch)
        advance(1, 4)
        metrics = pipeline.write_metrics(lake)
        advance(2, 4)
        pipeline.write_explanations(lake, launch=launch)
        advance(3, 4)
        folder, _ = pipeline.write_report(lake, tracker=tracker)
        advance(4, 4)
    return metrics, folder / "report.html"


def predict(
    settings: Settings, paths: list[Path], *, checkpoint: Path | None
) -> tuple[list["FilePrediction"], list[ImageError]]:
    """Predicts image files and folders of them; what cannot be read comes back as errors."""
    from cxr_pipeline.evaluation.files import find_images, predict_files

    folder = checkpoint or pipeline.current_checkpoint(_lake(settings)).folder
    return predict_files(find_images(paths), folder)


def tracker_of(settings: Settings) -> Tracker:
    """The MLflow of this installation."""
    return Tracker(
        settings.tracking_uri,
        settings.mlflow_experiment,
        settings.mlflow_home / "artifacts",
        settings.mlflow_address,
    )


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr (so that stdout stays clean for pipes); the yielded function takes (done, total)."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _lake(settings: Settings) -> Lake:
    return Lake(settings.lake_root)


def _root(settings: Settings, name: str, root: Path | None) -> Path:
    found = root or settings.source_root(name)
    if found is None:
        raise SourceNotFoundError(
            f"{DATASETS[name].title} is not used here: name its folder with --root or {DATASETS[name].root_variable}."
        )
    return found


def _parse_override(text: str) -> tuple[str, str]:
    field, separator, value = text.partition("=")
    if not separator:
        raise CxrError(f"--set {text}: expected FIELD=VALUE, for example --set epochs=10.")
    return field.strip(), value.strip()
