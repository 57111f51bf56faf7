"""Every table in the order of the pipeline, and their page `docs/tables.md`. A new table goes into `TABLES`."""

from inspect import getdoc

import dataframely as dy

from cxr_pipeline.tables.evaluation import MetricTable, PredictionTable
from cxr_pipeline.tables.images import StoreIndex
from cxr_pipeline.tables.labels import AdjudicatedTable, BoxTable, FindingTable, LabelTable, MappingTable
from cxr_pipeline.tables.raw import RawTable
from cxr_pipeline.tables.reports import (
    AgreementTable,
    ImportedStateTable,
    ReportEvidenceTable,
    ReportLabelTable,
    ReportScoreTable,
)
from cxr_pipeline.tables.split import AssignmentTable, CohortTable, DuplicateTable, MoveTable, SplitSummaryTable

TABLES: tuple[type[dy.Schema], ...] = (
    RawTable,
    FindingTable,
    MappingTable,
    LabelTable,
    BoxTable,
    AdjudicatedTable,
    ReportEvidenceTable,
    ReportLabelTable,
    ImportedStateTable,
    AgreementTable,
    ReportScoreTable,
    StoreIndex,
    DuplicateTable,
    CohortTable,
    AssignmentTable,
    MoveTable,
    SplitSummaryTable,
    PredictionTable,
    MetricTable,
)


def describe_tables() -> str:
    """Every table as Markdown: the text of `docs/tables.md`."""
    return "\n".join(["# Tables", "", "Written by `make docs` from `cxr_pipeline/tables/`.", *map(_describe, TABLES)])


def _describe(table: type[dy.Schema]) -> str:
    rows = [
        f"| `{name}` | {type(column).__name__} "
        f"| {'key' if column.primary_key else 'nullable' if column.nullable else ''} | {column.description} |"
        for name, column in table.columns().items()
    ]
    return "\n".join(
        [
            "",
            f"## {table.__name__}",
            "",
            getdoc(table) or "",
            "",
            "| column | type | | meaning |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )
