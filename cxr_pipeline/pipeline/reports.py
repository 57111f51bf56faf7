"""Assets `labels/report...` and `labels/imported...`: what reports say, in our labeler's words and in others'."""

import os
from pathlib import Path

import polars as pl

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.labels.reports.crosscheck import crosscheck_labels
from cxr_pipeline.labels.reports.gold import flag_normal, read_gold, score_gold
from cxr_pipeline.labels.reports.imports import ImportedStates, StatesFile, compare_imported, import_states
from cxr_pipeline.labels.reports.labeler import label_reports, lexicon_hash
from cxr_pipeline.labels.reports.states import spread_states
from cxr_pipeline.labels.reports.tables import is_reported, read_evidence
from cxr_pipeline.storage.lake import Lake, read_table, validate_table, write_table
from cxr_pipeline.tables.labels import LabelTable
from cxr_pipeline.tables.raw import RawTable
from cxr_pipeline.tables.reports import AgreementTable, ImportedStateTable, ReportEvidenceTable, ReportScoreTable


def write_report_evidence(lake: Lake, dataset: Dataset, root: Path | None) -> pl.DataFrame:
    """`labels/reports_<dataset>`: what the report labeler found where; no report text."""
    evidence = (
        read_evidence(dataset, root, processes=os.cpu_count() or 1) if root else ReportEvidenceTable.create_empty()
    )
    return write_table(report_path(lake, dataset), evidence, ReportEvidenceTable)


def report_path(lake: Lake, dataset: Dataset) -> Path:
    """The evidence table of a source with reports."""
    return lake.table("labels", f"reports_{dataset.name}")


def imported_path(lake: Lake, dataset: Dataset) -> Path:
    """What other labelers found in the reports of a source."""
    return lake.table("labels", f"imported_{dataset.name}")


def write_imported_states(lake: Lake, dataset: Dataset, root: Path | None, file: StatesFile | None) -> ImportedStates:
    """`labels/imported_<dataset>`: what other labelers found in its reports, where this installation names a file."""
    raw = read_table(lake.table("raw", dataset.name), RawTable) if root and file else None
    imported = import_states(file, raw["study_id"]) if raw is not None and file else ImportedStates.empty()
    write_table(imported_path(lake, dataset), imported.table, ImportedStateTable)
    return imported


def read_report_states(lake: Lake, dataset: Dataset) -> pl.DataFrame:
    """What our labeler says of every study of a source: `study_id` and the 14 classes, null where it is silent."""
    studies = read_table(lake.table("raw", dataset.name), RawTable).select("study_id").unique(maintain_order=True)
    return spread_states(read_table(report_path(lake, dataset), ReportEvidenceTable), studies)


def origin_of_states(lake: Lake, dataset: Dataset) -> dict[str, str]:
    """Whose states the labels of a source with reports rest on, and the digest of what decided them; else empty."""
    if not is_reported(dataset):
        return {}
    used = read_table(imported_path(lake, dataset), ImportedStateTable).filter("is_used").head(1)
    if used.is_empty():
        return {"states_of": "report labeler", "states_digest": lexicon_hash()}
    return {"states_of": used["source"].item(), "states_digest": used["file_digest"].item()}


def write_report_agreement(lake: Lake) -> pl.DataFrame:
    """`labels/report_agreement`: our report labeler beside each imported one, over the studies that both read."""
    tables = [_agreement(lake, dataset) for dataset in DATASETS.values() if is_reported(dataset)]
    agreement = pl.concat([AgreementTable.create_empty(), *tables])
    return write_table(lake.table("labels", "report_agreement"), agreement, AgreementTable)


def write_crosscheck(lake: Lake, dataset: Dataset, root: Path | None) -> pl.DataFrame:
    """`labels/report_crosscheck_<dataset>`: a source's own labels beside what our reader finds in its reports."""
    path = lake.table("labels", f"report_crosscheck_{dataset.name}")
    if root is None or dataset.read_reports is None:
        return write_table(path, AgreementTable.create_empty(), AgreementTable)
    labels = read_table(lake.table("labels", dataset.name), LabelTable)
    agreement = crosscheck_labels(dataset.name, dataset.read_reports(root).collect(), labels)
    return write_table(path, agreement, AgreementTable)


def write_report_gold(lake: Lake, root: Path | None) -> tuple[pl.DataFrame, dict[str, float]]:
    """`labels/report_gold`: the report labeler against OpenI's experts; also the share of normal reports it flags."""
    if root is None:
        return write_table(lake.table("labels", "report_gold"), ReportScoreTable.create_empty(), ReportScoreTable), {}
    gold = read_gold(root)
    states = label_reports(gold.reports).states
    scores = write_table(lake.table("labels", "report_gold"), score_gold(gold, states), ReportScoreTable)
    return scores, flag_normal(gold, states)


def _agreement(lake: Lake, dataset: Dataset) -> pl.DataFrame:
    imported = read_table(imported_path(lake, dataset), ImportedStateTable)
    if imported.is_empty():
        return AgreementTable.create_empty()
    agreement = compare_imported(dataset.name, imported, read_report_states(lake, dataset))
    return validate_table(agreement, AgreementTable)
