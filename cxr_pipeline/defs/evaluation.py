"""Assets `evaluation/*`: probabilities, numbers, pictures, and the report that holds them together."""

from pathlib import Path

import dagster as dg

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.defs.failures import told
from cxr_pipeline.defs.pipes import launch_with_pipes
from cxr_pipeline.defs.resources import Installation
from cxr_pipeline.defs.tables import column_schema, markdown_table, table_result
from cxr_pipeline.pipeline.evaluation import (
    headline_metrics,
    write_explanations,
    write_metrics,
    write_predictions,
    write_report,
)
from cxr_pipeline.tables.evaluation import MetricTable, PredictionTable

STAGE = "evaluation"
STORES = [["images", name] for name in DATASETS]


@dg.asset(
    key=[STAGE, "predictions"],
    deps=[["training", "checkpoint"], ["split", "cohort"], *STORES],
    group_name=STAGE,
    kinds={"pytorch", "parquet"},
    metadata=column_schema(PredictionTable),
)
@told
def predictions(context: dg.AssetExecutionContext, installation: Installation) -> dg.MaterializeResult:
    """Probabilities of the checkpoint for the validation and test images."""
    table = write_predictions(installation.lake, launch=launch_with_pipes(context))
    return table_result(installation.lake.table(STAGE, "predictions"), rows=table.height)


@dg.asset(
    key=[STAGE, "metrics"],
    deps=[[STAGE, "predictions"], ["training", "checkpoint"], ["split", "cohort"]],
    group_name=STAGE,
    kinds={"scikitlearn", "parquet"},
    metadata=column_schema(MetricTable),
)
@told
def metrics(installation: Installation) -> dg.MaterializeResult:
    """Every metric per class, source and split with its 95 % patient-level bootstrap interval; null is n/a."""
    table = write_metrics(installation.lake)
    headline = headline_metrics(table)
    numbers = {f"{split}_{source}_macro_auroc": value for split, source, value, _, _ in headline.rows()}
    return table_result(
        installation.lake.table(STAGE, "metrics"),
        rows=table.height,
        metadata={"macro_auroc": markdown_table(headline), **{k: v for k, v in numbers.items() if v is not None}},
    )


@dg.asset(
    key=[STAGE, "explanations"],
    deps=[["training", "checkpoint"], ["split", "cohort"], *STORES],
    group_name=STAGE,
    kinds={"pytorch"},
)
@told
def explanations(context: dg.AssetExecutionContext, installation: Installation) -> dg.MaterializeResult:
    """Grad-CAM overlays of true positives and of the worst errors, only for sources that may be shown."""
    folder = write_explanations(installation.lake, launch=launch_with_pipes(context))
    return dg.MaterializeResult(
        metadata={"folder": dg.MetadataValue.path(folder), "pictures": len(list(folder.glob("*.png")))},
    )


@dg.asset(
    key=[STAGE, "report"],
    deps=[
        [STAGE, "metrics"],
        [STAGE, "explanations"],
        [STAGE, "predictions"],
        ["training", "checkpoint"],
        ["split", "cohort"],
    ],
    group_name=STAGE,
    kinds={"html", "mlflow"},
)
@told
def report(installation: Installation) -> dg.MaterializeResult:
    """The evaluation as one self-contained page, and the same as Markdown here."""
    folder, run = write_report(installation.lake, tracker=installation.tracker)
    page: Path = folder / "report.html"
    return dg.MaterializeResult(
        metadata={
            "report": dg.MetadataValue.md((folder / "report.md").read_text()),
            "page": dg.MetadataValue.path(page.resolve()),
            "mlflow_run": dg.MetadataValue.url(run.url),
        },
    )


assets = [predictions, metrics, explanations, report]
