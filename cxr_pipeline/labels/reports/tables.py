"""Label tables of sources that have reports and no labels: what the labeler found, harmonized like any finding."""

from pathlib import Path

import polars as pl

from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.datasets.inventory import read_image_rows
from cxr_pipeline.errors import TableError
from cxr_pipeline.labels.harmonize import LabelResult, harmonize, label_table
from cxr_pipeline.labels.labellers import keep_labellers
from cxr_pipeline.labels.mapping import read_mapping
from cxr_pipeline.labels.policy import DEFAULT_POLICY, LabelPolicy
from cxr_pipeline.labels.reports.imports import StatesFile, import_states
from cxr_pipeline.labels.reports.labeler import described_studies, label_reports, lexicon_hash
from cxr_pipeline.labels.reports.states import strongest_states
from cxr_pipeline.labels.statements import gather_findings
from cxr_pipeline.pathologies import POSITIVE
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables.reports import ImportedStateTable, ReportEvidenceTable

NOT_DESCRIBED = "(not described)"  # of a study whose report has no findings: its silence means nothing


def is_reported(dataset: Dataset) -> bool:
    """Whether the labels of a source come from its reports: it has some, and no labels of its own."""
    return dataset.read_findings is None and dataset.read_reports is not None


def label_source(
    dataset: Dataset, root: Path, policy: LabelPolicy = DEFAULT_POLICY, *, states: StatesFile | None = None
) -> LabelResult:
    """The harmonized labels of a source, from its own words or from its reports, whichever it has.

    `states` may hold what takes the place of our reading of the reports.
    """
    if not is_reported(dataset):
        return keep_labellers(label_table(dataset, root, policy), policy)
    imported = import_states(states, read_image_rows(dataset, root)["study_id"]).table if states else None
    result = label_from_reports(dataset, root, read_evidence(dataset, root), policy, imported=imported)
    return keep_labellers(result, policy)


def read_evidence(dataset: Dataset, root: Path, *, processes: int = 1) -> pl.DataFrame:
    """What the labeler finds in the reports of a source: a ReportEvidenceTable, one row per mention.

    Positions are offsets into the section's text; no text is in the table. Raises TableError for a source without
    reports, and as its reader does.
    """
    labels = label_reports(_read_reports(dataset, root), processes=processes)
    evidence = labels.evidence.with_columns(lexicon_hash=pl.lit(lexicon_hash()))
    return validate_table(evidence, ReportEvidenceTable)


def label_from_reports(
    dataset: Dataset,
    root: Path,
    evidence: pl.DataFrame,
    policy: LabelPolicy = DEFAULT_POLICY,
    *,
    imported: pl.DataFrame | None = None,
) -> LabelResult:
    """The harmonized labels of every image of the source at `root`, each with the states of its study.

    A class that the report does not mention is absent where findings were written down at all, and unknown elsewhere.
    `imported` (ImportedStateTable): its used rows, if any, take the place of `evidence`. A study without such a row
    was not read: all its classes are unknown.
    """
    images = read_image_rows(dataset, root)
    used = (ImportedStateTable.create_empty() if imported is None else imported).filter("is_used")
    said = evidence if used.is_empty() else used
    read = described_studies(_read_reports(dataset, root)).filter("is_described")["study_id"]
    if used.height:
        read = read.filter(read.is_in(used["study_id"].unique().implode()))
    silent = images.filter(~pl.col("study_id").is_in(read.implode()))
    states = strongest_states(said).rename({"pathology": "finding", "state": "value"})
    findings = pl.concat(
        [
            images.select("image_id", "study_id").join(states, on="study_id").drop("study_id"),
            silent.select("image_id", finding=pl.lit(NOT_DESCRIBED), value=pl.lit(POSITIVE, pl.Int8)),
        ]
    ).with_columns(reader=pl.lit(""))
    return harmonize(
        images, gather_findings(images, findings), read_mapping(dataset.name), unstated_is="negative", policy=policy
    )


def _read_reports(dataset: Dataset, root: Path) -> pl.DataFrame:
    if dataset.read_reports is None:
        raise TableError(f"{dataset.title} publishes no reports: its labels come from its own words.")
    return dataset.read_reports(root).collect()
