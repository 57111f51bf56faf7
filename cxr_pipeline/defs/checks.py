"""Blocking checks: each table in the lake keeps the rules of its declaration."""

import dagster as dg
import dataframely as dy
import polars as pl

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.defs.failures import told
from cxr_pipeline.defs.resources import Installation
from cxr_pipeline.labels.reports.crosscheck import LANGUAGES
from cxr_pipeline.labels.reports.tables import is_reported
from cxr_pipeline.pipeline.images import index_path
from cxr_pipeline.storage.lake import Lake
from cxr_pipeline.tables.evaluation import MetricTable, PredictionTable
from cxr_pipeline.tables.images import StoreIndex
from cxr_pipeline.tables.labels import AdjudicatedTable, BoxTable, LabelTable
from cxr_pipeline.tables.raw import RawTable
from cxr_pipeline.tables.reports import AgreementTable, ImportedStateTable, ReportEvidenceTable, ReportScoreTable
from cxr_pipeline.tables.split import CohortTable, DuplicateTable, SplitSummaryTable

PER_SOURCE: dict[str, type[dy.Schema]] = {"raw": RawTable, "labels": LabelTable, "images": StoreIndex}
MERGED: dict[tuple[str, str], type[dy.Schema]] = {
    ("labels", "boxes"): BoxTable,
    **{("labels", f"reports_{d.name}"): ReportEvidenceTable for d in DATASETS.values() if is_reported(d)},
    **{("labels", f"imported_{d.name}"): ImportedStateTable for d in DATASETS.values() if is_reported(d)},
    **{("labels", f"report_crosscheck_{name}"): AgreementTable for name in LANGUAGES},
    ("labels", "report_agreement"): AgreementTable,
    ("labels", "report_gold"): ReportScoreTable,
    ("labels", "adjudicated_nih"): AdjudicatedTable,
    ("split", "duplicates"): DuplicateTable,
    ("split", "cohort"): CohortTable,
    ("split", "summary"): SplitSummaryTable,
    ("evaluation", "predictions"): PredictionTable,
    ("evaluation", "metrics"): MetricTable,
}


def schema_check(stage: str, name: str, schema: type[dy.Schema]) -> dg.AssetChecksDefinition:
    """The check that the table of one asset has the columns of `schema` and that no row breaks a rule."""

    @dg.asset_check(
        asset=[stage, name],
        name="schema",
        blocking=True,
        description=f"Columns, types and rules of {schema.__name__}",
    )
    @told
    def check(installation: Installation) -> dg.AssetCheckResult:
        return check_table(pl.read_parquet(_table(installation.lake, stage, name)), schema)

    return check


def check_table(frame: pl.DataFrame, schema: type[dy.Schema]) -> dg.AssetCheckResult:
    """Counts the rows that break each rule; no cell of the table goes into the metadata."""
    try:
        _, failure = schema.filter(frame)
    except dy.exc.SchemaError as error:
        return dg.AssetCheckResult(passed=False, metadata={"columns": str(error)})
    return dg.AssetCheckResult(
        passed=len(failure) == 0,
        metadata={"rows": frame.height, "broken_rows": len(failure), "broken_rules": dict(failure.counts())},
    )


def _table(lake: Lake, stage: str, name: str) -> str:
    return str(index_path(lake, name) if stage == "images" else lake.table(stage, name))


checks = [
    *(schema_check(stage, name, schema) for stage, schema in PER_SOURCE.items() for name in DATASETS),
    *(schema_check(stage, name, schema) for (stage, name), schema in MERGED.items()),
]
