"""One function per asset: takes its inputs from the lake, lets a room do the work, puts the outcome into the lake.

Dagster's assets and the CLI both call these. Nothing here knows either, nor reads an environment variable. Rooms that
import torch, scikit-learn or OpenCV are imported inside the function that needs them: Dagster loads this module.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.datasets.files import find_file
from cxr_pipeline.datasets.inventory import Inventory, take_inventory
from cxr_pipeline.errors import CheckpointError
from cxr_pipeline.labels.adjudicated import ADJUDICATED_FILE, adjudicated_table
from cxr_pipeline.labels.boxes import box_table
from cxr_pipeline.labels.from_reports import is_reported, label_from_reports, read_evidence
from cxr_pipeline.labels.harmonize import LabelResult, label_table
from cxr_pipeline.labels.overview import count_matrix
from cxr_pipeline.labels.policy import DEFAULT_POLICY, LabelPolicy
from cxr_pipeline.labels.report_gold import flag_normal, read_gold, score_gold
from cxr_pipeline.labels.reports import label_reports
from cxr_pipeline.launch.job import EventTail, Job, prepare_job
from cxr_pipeline.split.cohort import build_cohort
from cxr_pipeline.split.config import SplitConfig
from cxr_pipeline.storage.files import file_digest, mirror_folder, write_json
from cxr_pipeline.storage.lake import Lake, read_table, write_table
from cxr_pipeline.tables import (
    FRONTAL_VIEWS,
    AdjudicatedTable,
    BoxTable,
    CohortTable,
    LabelTable,
    MetricTable,
    PredictionTable,
    RawTable,
    ReportEvidenceTable,
    ReportScoreTable,
    StoreIndex,
)
from cxr_pipeline.tracking import TrackedRun, Tracker

if TYPE_CHECKING:
    from cxr_pipeline.evaluation.config import EvaluateConfig
    from cxr_pipeline.images.prepare import PrepareSummary, Report
    from cxr_pipeline.training.config import TrainConfig

OnEvent = Callable[[dict[str, Any]], None]
Launch = Callable[[Job, OnEvent], dict[str, Any]]  # runs a job somewhere and returns its result


@dataclass(frozen=True)
class Checkpoint:
    """The current checkpoint: `training/checkpoint.json` names its job folder."""

    job: Job
    summary: dict[str, Any]

    @property
    def folder(self) -> Path:
        return self.job.folder / "checkpoint"

    def config(self) -> dict[str, Any]:
        return json.loads((self.folder / "config.json").read_text())


def write_inventory(lake: Lake, dataset: Dataset, root: Path | None) -> Inventory:
    """`raw/<dataset>`; a source that is not used (`root` is None) has an empty table."""
    inventory = take_inventory(dataset, root) if root else Inventory.empty()
    write_table(lake.table("raw", dataset.name), inventory.table, RawTable)
    return inventory


def write_labels(
    lake: Lake, dataset: Dataset, root: Path | None, *, policy: LabelPolicy = DEFAULT_POLICY
) -> LabelResult:
    """`labels/<dataset>`: one row per published image, whether or not its pixels are there.

    A source that has reports and no labels takes them from `labels/reports_<dataset>`, made before.
    """
    if root is None:
        result = LabelResult.empty()
    elif is_reported(dataset):
        evidence = read_table(report_path(lake, dataset), ReportEvidenceTable)
        result = label_from_reports(dataset, root, evidence, policy)
    else:
        result = label_table(dataset, root, policy)
    write_table(lake.table("labels", dataset.name), result.table, LabelTable)
    return result


def write_report_evidence(lake: Lake, dataset: Dataset, root: Path | None) -> pl.DataFrame:
    """`labels/reports_<dataset>`: what the report labeler found where; no report text."""
    evidence = (
        read_evidence(dataset, root, processes=os.cpu_count() or 1) if root else ReportEvidenceTable.create_empty()
    )
    return write_table(report_path(lake, dataset), evidence, ReportEvidenceTable)


def report_path(lake: Lake, dataset: Dataset) -> Path:
    """The evidence table of a source with reports."""
    return lake.table("labels", f"reports_{dataset.name}")


def write_report_gold(lake: Lake, root: Path | None) -> tuple[pl.DataFrame, dict[str, float]]:
    """`labels/report_gold`: the report labeler against OpenI's experts; also the share of normal reports it flags."""
    if root is None:
        return write_table(lake.table("labels", "report_gold"), ReportScoreTable.create_empty(), ReportScoreTable), {}
    gold = read_gold(root)
    states = label_reports(gold.reports).states
    scores = write_table(lake.table("labels", "report_gold"), score_gold(gold, states), ReportScoreTable)
    return scores, flag_normal(gold, states)


def write_adjudicated(lake: Lake, nih_root: Path | None) -> pl.DataFrame:
    """`labels/adjudicated_nih`: what radiologists agreed on, where its file lies in the folder of NIH; else empty."""
    names = [ADJUDICATED_FILE, f"{ADJUDICATED_FILE}.gz"]
    file = find_file([nih_root], names) if nih_root else None
    table = adjudicated_table(file) if file else AdjudicatedTable.create_empty()
    return write_table(lake.table("labels", "adjudicated_nih"), table, AdjudicatedTable)


def write_boxes(lake: Lake, roots: Mapping[str, Path | None]) -> pl.DataFrame:
    """`labels/boxes`: the boxes that readers drew, of every source that is used here and has some."""
    tables = [box_table(DATASETS[name], root) for name, root in roots.items() if root and DATASETS[name].read_boxes]
    boxes = pl.concat([BoxTable.create_empty(), *tables])
    return write_table(lake.table("labels", "boxes"), boxes, BoxTable)


def count_labels_of_all(lake: Lake) -> pl.DataFrame:
    """`labels/overview`: positives / known images of each class, one column per source."""
    return count_matrix({name: read_table(lake.table("labels", name), LabelTable) for name in DATASETS})


def write_images(
    lake: Lake, dataset: Dataset, root: Path | None, *, size: int, on_progress: "Report | None" = None
) -> "PrepareSummary":
    """`images/<dataset>`: the frontal images that are there, decoded once, as shards and an index."""
    from cxr_pipeline.images.prepare import PrepareSummary, prepare_images

    if root is None:
        write_table(index_path(lake, dataset.name), StoreIndex.create_empty(), StoreIndex)
        return PrepareSummary(images=0, stored=0, decoded=0, quarantined={})
    raw = read_table(lake.table("raw", dataset.name), RawTable)
    frontal = raw.filter(pl.col("is_present") & pl.col("view").is_in(FRONTAL_VIEWS))
    folder = lake.folder("images", dataset.name)
    return prepare_images(frontal, root, folder, size=size, on_progress=on_progress)


def write_cohort(lake: Lake, config: SplitConfig) -> pl.DataFrame:
    """`split/cohort`: all sources merged, each patient in one split."""
    labels = {name: read_table(lake.table("labels", name), LabelTable) for name in DATASETS}
    indexes = {name: read_table(index_path(lake, name), StoreIndex) for name in DATASETS}
    return write_table(lake.table("split", "cohort"), build_cohort(labels, indexes, config), CohortTable)


def train_checkpoint(
    lake: Lake, config: "TrainConfig", *, launch: Launch, tracker: Tracker, tags: Mapping[str, str]
) -> tuple[Checkpoint, TrackedRun]:
    """`training/checkpoint`: fits the network in a job folder and follows it in MLflow.

    A job with the same config, cohort, pixels and program is found again and not repeated. Raises JobError when the
    program fails; the MLflow run is then marked failed.
    """
    settings = config.model_dump(mode="json")
    job = _job(lake, "training", config=settings)
    run = _tracked(job, tracker, launch, parameters=settings, tags=tags)
    result = job.result()
    write_json(lake.root / "training" / "checkpoint.json", {"job": job.folder.name, **result})
    return Checkpoint(job, result), run


def current_checkpoint(lake: Lake) -> Checkpoint:
    """The checkpoint that the pipeline trained last; raises CheckpointError when there is none."""
    pointer = lake.root / "training" / "checkpoint.json"
    if not pointer.is_file():
        raise CheckpointError(f"No {pointer}: materialize training/checkpoint, or run `cxr train`, first.")
    summary = json.loads(pointer.read_text())
    return Checkpoint(Job(lake.folder("training", "jobs") / summary["job"], "cxr_pipeline.training"), summary)


def write_predictions(lake: Lake, *, launch: Launch) -> pl.DataFrame:
    """`evaluation/predictions`: probabilities of the current checkpoint for validation and test."""
    from cxr_pipeline.evaluation.config import EvaluateConfig

    job = _evaluation_job(lake, EvaluateConfig(task="predict"))
    launch(job, _ignore)
    predictions = pl.read_parquet(job.folder / "predictions.parquet")
    return write_table(lake.table("evaluation", "predictions"), predictions, PredictionTable)


def write_metrics(lake: Lake, *, samples: int = 1000) -> pl.DataFrame:
    """`evaluation/metrics`: every number of the evaluation with its interval."""
    from cxr_pipeline.evaluation.metrics import metric_rows
    from cxr_pipeline.evaluation.scored import read_scored

    thresholds = current_checkpoint(lake).config()["thresholds"]
    scored = read_scored(lake.table("split", "cohort"), lake.table("evaluation", "predictions"))
    rows = metric_rows(scored, thresholds, samples=samples)
    return write_table(lake.table("evaluation", "metrics"), pl.DataFrame(rows, infer_schema_length=None), MetricTable)


def headline_metrics(metrics: pl.DataFrame) -> pl.DataFrame:
    """Macro AUROC with interval per split and source: `split, source, value, low, high`."""
    is_headline = (pl.col("pathology") == "macro") & (pl.col("metric") == "auroc") & (pl.col("subgroup") == "all")
    return metrics.filter(is_headline).select("split", "source", "value", "low", "high").sort("split", "source")


def write_explanations(lake: Lake, *, launch: Launch) -> Path:
    """`evaluation/explanations`: Grad-CAM overlays; of phantoms and of sources that may be shown."""
    from cxr_pipeline.evaluation.config import EvaluateConfig

    shown = [dataset.name for dataset in DATASETS.values() if dataset.redistribution]
    job = _evaluation_job(lake, EvaluateConfig(task="explain", show_sources=shown))
    launch(job, _ignore)
    folder = lake.folder("evaluation", "explanations")
    mirror_folder(job.folder / "explanations", folder)
    return folder


def write_report(lake: Lake, *, tracker: Tracker) -> tuple[Path, TrackedRun]:
    """`evaluation/report`: the page and its Markdown twin, also put with the final metrics into the MLflow run."""
    from cxr_pipeline.evaluation import report

    checkpoint = current_checkpoint(lake)
    folder = lake.folder("evaluation", "report")
    inputs = report.ReportInputs(
        cohort=lake.table("split", "cohort"),
        predictions=lake.table("evaluation", "predictions"),
        metrics=lake.table("evaluation", "metrics"),
        checkpoint=checkpoint.folder,
        events=checkpoint.job.events,
        explanations=lake.folder("evaluation", "explanations"),
    )
    report.write_report(inputs, folder)
    run = _tracked(checkpoint.job, tracker, _launch_nothing, parameters=checkpoint.config()["train"], tags={})
    run.log_metrics(_metric_names(read_table(inputs.metrics, MetricTable)))
    run.log_folder(folder, "report")
    return folder, run


def index_path(lake: Lake, dataset: str) -> Path:
    """The index table of an image store."""
    return lake.folder("images", dataset) / "index.parquet"


def _job(lake: Lake, stage: str, *, config: Mapping[str, Any], **inputs: Path) -> Job:
    """The job of one stage's program over the current cohort and stores; `inputs` are further folders
    that it reads, each described by a `config.json`."""
    cohort = lake.table("split", "cohort")
    read_table(cohort, CohortTable)
    program = f"cxr_pipeline.{stage}"
    code = {name: _code_digest(name) for name in ("cxr_pipeline.training", program)}
    digests = {"cohort": file_digest(cohort), **code}
    digests |= {f"images/{name}": file_digest(index_path(lake, name)) for name in DATASETS}
    digests |= {name: file_digest(folder / "config.json") for name, folder in inputs.items()}
    paths = {"cohort": cohort, "images": lake.root / "images", **inputs}
    return prepare_job(
        lake.folder(stage, "jobs"),
        program,
        config=config,
        inputs={name: str(path.resolve()) for name, path in paths.items()} | {"cohort_digest": digests["cohort"]},
        digests=digests,
    )


def _evaluation_job(lake: Lake, config: "EvaluateConfig") -> Job:
    """The job of one evaluation task over the current checkpoint."""
    checkpoint = current_checkpoint(lake).folder
    return _job(lake, "evaluation", config=config.model_dump(mode="json"), checkpoint=checkpoint)


def _code_digest(package: str) -> str:
    """SHA-256 over a package's source files: weights of yesterday's code are not today's."""
    spec = find_spec(package)
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _tracked(
    job: Job, tracker: Tracker, launch: Launch, *, parameters: Mapping[str, Any], tags: Mapping[str, str]
) -> TrackedRun:
    """The MLflow run of a training job: the one it had, or a new one that follows it (or replays its events)."""
    note = job.folder / "mlflow.json"
    known = tracker.find_run(json.loads(note.read_text())["run_id"]) if job.is_done and note.exists() else None
    if known:
        launch(job, _ignore)  # which says that nothing is repeated
        return known
    run = tracker.start_run(job.folder.name, parameters=parameters, tags=tags)
    write_json(note, {"run_id": run.run_id})
    finished = False
    try:
        if job.is_done:
            for event in EventTail(job.events).read():
                run.log_epoch(event)
        launch(job, run.log_epoch)
        run.log_folder(job.folder / "checkpoint", "checkpoint")
        run.register_checkpoint(artifact="checkpoint")
        finished = True
    finally:
        run.finish(failed=not finished)
    return run


def _metric_names(metrics: pl.DataFrame) -> dict[str, float]:
    """`test/all/macro/auroc` -> value, of the numbers that there are."""
    known = metrics.filter(pl.col("value").is_not_null() & (pl.col("subgroup") == "all"))
    names = known.select(pl.concat_str("split", "source", "pathology", "metric", separator="/").alias("name"), "value")
    return dict(names.iter_rows())


def _launch_nothing(job: Job, _: OnEvent) -> dict[str, Any]:
    """For a job that is done: only its result is wanted."""
    return job.result()


def _ignore(_: dict[str, Any]) -> None:
    pass
