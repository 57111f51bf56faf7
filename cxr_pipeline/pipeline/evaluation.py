"""Assets `evaluation/...`: predictions, metrics, explanations and the report of the current checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.launch.job import Job
from cxr_pipeline.pipeline.jobs import Launch, OnEvent, ignore_event, prepare_stage_job, track_job
from cxr_pipeline.pipeline.origins import check_indexes
from cxr_pipeline.pipeline.training import Checkpoint, evaluated_checkpoint
from cxr_pipeline.storage.files import file_digest, mirror_folder
from cxr_pipeline.storage.lake import Lake, read_table, write_table
from cxr_pipeline.storage.origins import check_origin, digest_or_absent, write_origin
from cxr_pipeline.tables.evaluation import MetricTable, PredictionTable
from cxr_pipeline.tracking import TrackedRun, Tracker

if TYPE_CHECKING:
    from cxr_pipeline.evaluation.config import EvaluateConfig
    from cxr_pipeline.evaluation.report import ReportInputs


def write_predictions(lake: Lake, *, launch: Launch) -> pl.DataFrame:
    """`evaluation/predictions`: probabilities of the current checkpoint for validation and test."""
    from cxr_pipeline.evaluation.config import EvaluateConfig

    checkpoint, identity = evaluated_checkpoint(lake)
    job = _evaluation_job(lake, checkpoint, EvaluateConfig(task="predict"))
    launch(job, ignore_event)
    made, path = job.folder / "predictions.parquet", lake.table("evaluation", "predictions")
    check_origin(made, identity, remedy=_remedy("predictions"))
    table = write_table(path, pl.read_parquet(made), PredictionTable)
    write_origin(path, identity)
    return table


def write_metrics(lake: Lake, *, samples: int = 1000) -> pl.DataFrame:
    """`evaluation/metrics`: every number of the evaluation with its interval."""
    from cxr_pipeline.evaluation.metrics import metric_rows
    from cxr_pipeline.evaluation.scored import read_scored

    checkpoint, identity = evaluated_checkpoint(lake)
    predictions, path = lake.table("evaluation", "predictions"), lake.table("evaluation", "metrics")
    scored = read_scored(lake.table("split", "cohort"), predictions)
    check_origin(predictions, identity, remedy=_remedy("predictions"))
    rows = metric_rows(scored, checkpoint.config()["thresholds"], samples=samples)
    table = write_table(path, pl.DataFrame(rows, infer_schema_length=None), MetricTable)
    write_origin(path, identity | {"evaluation/predictions": file_digest(predictions)})
    return table


def headline_metrics(metrics: pl.DataFrame) -> pl.DataFrame:
    """Macro AUROC with interval per split and source: `split, source, value, low, high`."""
    is_headline = (pl.col("pathology") == "macro") & (pl.col("metric") == "auroc") & (pl.col("subgroup") == "all")
    return metrics.filter(is_headline).select("split", "source", "value", "low", "high").sort("split", "source")


def write_explanations(lake: Lake, *, launch: Launch) -> Path:
    """`evaluation/explanations`: Grad-CAM overlays; of phantoms and of sources that may be shown."""
    from cxr_pipeline.evaluation.config import EvaluateConfig

    shown = [dataset.name for dataset in DATASETS.values() if dataset.redistribution]
    checkpoint, identity = evaluated_checkpoint(lake)
    job = _evaluation_job(lake, checkpoint, EvaluateConfig(task="explain", show_sources=shown))
    launch(job, ignore_event)
    made, folder = job.folder / "explanations", lake.folder("evaluation", "explanations")
    check_origin(made / "explanations.json", identity, remedy=_remedy("explanations"))
    mirror_folder(made, folder)
    return folder


def write_report(lake: Lake, *, tracker: Tracker) -> tuple[Path, TrackedRun]:
    """`evaluation/report`: the page and its Markdown twin, also put with the final metrics into the MLflow run.

    Raises OriginError when predictions, metrics or pictures are another checkpoint's, or of another cohort: nothing is
    written or logged then.
    """
    from cxr_pipeline.evaluation import report

    checkpoint, identity = evaluated_checkpoint(lake)
    folder = lake.folder("evaluation", "report")
    inputs = report.ReportInputs(
        cohort=lake.table("split", "cohort"),
        predictions=lake.table("evaluation", "predictions"),
        metrics=lake.table("evaluation", "metrics"),
        checkpoint=checkpoint.folder,
        events=checkpoint.job.events,
        explanations=lake.folder("evaluation", "explanations"),
    )
    origin = _check_inputs(inputs, identity)
    report.write_report(inputs, folder)
    write_origin(folder / "report.html", origin)
    run = track_job(checkpoint.job, tracker, _launch_nothing, parameters=checkpoint.config()["train"], tags={})
    run.log_metrics(_metric_names(read_table(inputs.metrics, MetricTable)))
    run.log_folder(folder, "report")
    return folder, run


def _evaluation_job(lake: Lake, checkpoint: Checkpoint, config: "EvaluateConfig") -> Job:
    """The job of one evaluation task over a checkpoint."""
    check_indexes(lake)
    return prepare_stage_job(lake, "evaluation", config=config.model_dump(mode="json"), checkpoint=checkpoint.folder)


def _check_inputs(inputs: "ReportInputs", identity: dict[str, str]) -> dict[str, str]:
    """What a report of these inputs is made from; raises OriginError unless all are of this checkpoint and cohort."""
    read_table(inputs.predictions, PredictionTable)
    read_table(inputs.metrics, MetricTable)
    scored = identity | {"evaluation/predictions": file_digest(inputs.predictions)}
    check_origin(inputs.predictions, identity, remedy=_remedy("predictions"))
    check_origin(inputs.metrics, scored, remedy=_remedy("metrics"))
    pictures = inputs.explanations / "explanations.json"
    if pictures.is_file():
        check_origin(pictures, identity, remedy=_remedy("explanations"))
    tables = {"evaluation/metrics": file_digest(inputs.metrics), "evaluation/explanations": digest_or_absent(pictures)}
    return scored | tables


def _remedy(asset: str) -> str:
    return f"materialize evaluation/{asset} (or run `cxr evaluate`)"


def _metric_names(metrics: pl.DataFrame) -> dict[str, float]:
    """`test/all/macro/auroc` -> value, of the numbers that there are."""
    known = metrics.filter(pl.col("value").is_not_null() & (pl.col("subgroup") == "all"))
    names = known.select(pl.concat_str("split", "source", "pathology", "metric", separator="/").alias("name"), "value")
    return dict(names.iter_rows())


def _launch_nothing(job: Job, _: OnEvent) -> dict[str, Any]:
    """For a job that is done: only its result is wanted."""
    return job.result()
