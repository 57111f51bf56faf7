"""Assets `evaluation/...`: predictions, metrics, explanations and the report of the current checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.launch.job import Job
from cxr_pipeline.pipeline.jobs import Launch, OnEvent, ignore_event, prepare_stage_job, track_job
from cxr_pipeline.pipeline.training import current_checkpoint
from cxr_pipeline.storage.files import mirror_folder
from cxr_pipeline.storage.lake import Lake, read_table, write_table
from cxr_pipeline.tables.evaluation import MetricTable, PredictionTable
from cxr_pipeline.tracking import TrackedRun, Tracker

if TYPE_CHECKING:
    from cxr_pipeline.evaluation.config import EvaluateConfig


def write_predictions(lake: Lake, *, launch: Launch) -> pl.DataFrame:
    """`evaluation/predictions`: probabilities of the current checkpoint for validation and test."""
    from cxr_pipeline.evaluation.config import EvaluateConfig

    job = _evaluation_job(lake, EvaluateConfig(task="predict"))
    launch(job, ignore_event)
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
    launch(job, ignore_event)
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
    run = track_job(checkpoint.job, tracker, _launch_nothing, parameters=checkpoint.config()["train"], tags={})
    run.log_metrics(_metric_names(read_table(inputs.metrics, MetricTable)))
    run.log_folder(folder, "report")
    return folder, run


def _evaluation_job(lake: Lake, config: "EvaluateConfig") -> Job:
    """The job of one evaluation task over the current checkpoint."""
    checkpoint = current_checkpoint(lake).folder
    return prepare_stage_job(lake, "evaluation", config=config.model_dump(mode="json"), checkpoint=checkpoint)


def _metric_names(metrics: pl.DataFrame) -> dict[str, float]:
    """`test/all/macro/auroc` -> value, of the numbers that there are."""
    known = metrics.filter(pl.col("value").is_not_null() & (pl.col("subgroup") == "all"))
    names = known.select(pl.concat_str("split", "source", "pathology", "metric", separator="/").alias("name"), "value")
    return dict(names.iter_rows())


def _launch_nothing(job: Job, _: OnEvent) -> dict[str, Any]:
    """For a job that is done: only its result is wanted."""
    return job.result()
