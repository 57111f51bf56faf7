"""Assets `labels/report...`: what reports say, in the words of our labeler and of others, and how far these agree."""

from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import polars as pl

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.defs.failures import told
from cxr_pipeline.defs.resources import Installation
from cxr_pipeline.defs.standing import STAMP_METADATA, stamp_of_states
from cxr_pipeline.defs.tables import column_schema, markdown_table, table_result, warning_checks
from cxr_pipeline.labels.quality import judge_labeler
from cxr_pipeline.labels.reports.crosscheck import LANGUAGES, judge_crosscheck
from cxr_pipeline.labels.reports.imports import judge_studies
from cxr_pipeline.labels.reports.labeler import lexicon_hash
from cxr_pipeline.labels.reports.tables import is_reported
from cxr_pipeline.pipeline.reports import (
    imported_path,
    report_path,
    write_crosscheck,
    write_imported_states,
    write_report_agreement,
    write_report_evidence,
    write_report_gold,
)
from cxr_pipeline.storage.files import file_digest
from cxr_pipeline.tables.reports import AgreementTable, ImportedStateTable, ReportEvidenceTable, ReportScoreTable

STAGE = "labels"
GOLD_CHECKS = {"agreement": "The report labeler reaches its floor on OpenI's test reports"}
IMPORT_CHECKS = {"studies": "The imported states are of the studies of this source, and of all of them"}
CROSSCHECKS = {"agreement": "What the reader finds in the reports agrees with the source's own labels"}


def reports_asset(dataset: Dataset) -> dg.AssetsDefinition:
    """What the report labeler found in the reports of one source."""

    @dg.asset(
        key=[STAGE, f"reports_{dataset.name}"],
        deps=[["raw", dataset.name]],
        group_name=STAGE,
        kinds={"polars", "parquet"},
        code_version=lexicon_hash(),
        description=f"{dataset.title}: each finding named in a report, what is said of it, and the words that decided.",
        metadata=column_schema(ReportEvidenceTable),
    )
    @told
    def reports(installation: Installation) -> dg.MaterializeResult:
        evidence = write_report_evidence(installation.lake, dataset, installation.root_of(dataset.name))
        counts = evidence.group_by("pathology", "state").agg(mentions=pl.len()).sort("pathology", "state")
        return table_result(
            report_path(installation.lake, dataset),
            rows=evidence.height,
            metadata={"lexicon_hash": lexicon_hash(), "mentions": markdown_table(counts, limit=60)},
        )

    return reports


def imported_asset(dataset: Dataset) -> dg.AssetsDefinition:
    """What other labelers found in the reports of one source."""
    variable = f"CXR_{dataset.name.upper()}_STATES"

    @dg.asset(
        key=[STAGE, f"imported_{dataset.name}"],
        deps=[["raw", dataset.name]],
        group_name=STAGE,
        kinds={"polars", "parquet"},
        check_specs=warning_checks([STAGE, f"imported_{dataset.name}"], IMPORT_CHECKS),
        description=f"{dataset.title}: what others found in its reports (`{variable}`), and whether it is used.",
        metadata=column_schema(ImportedStateTable),
    )
    @told
    def imported(installation: Installation) -> dg.MaterializeResult:
        file = installation.states_of(dataset.name)
        stamp = stamp_of_states(file)  # before it is read
        states = write_imported_states(installation.lake, dataset, installation.root_of(dataset.name), file)
        origin = {"file": dg.MetadataValue.path(file.path), "file_sha256": file_digest(file.path)} if file else {}
        return table_result(
            imported_path(installation.lake, dataset),
            rows=states.table.height,
            metadata={
                STAMP_METADATA: stamp,
                **(origin or {"file": f"none: set {variable} to import one"}),
                "takes_the_place_of_ours": (file and file.labeler) or "none",
                "sources": markdown_table(states.counts),
            },
            verdicts={"studies": judge_studies(states)},
        )

    return imported


@dg.asset(
    key=[STAGE, "report_agreement"],
    deps=[
        [stage, f"{what}{dataset.name}"]
        for dataset in DATASETS.values()
        if is_reported(dataset)
        for stage, what in (("raw", ""), (STAGE, "reports_"), (STAGE, "imported_"))
    ],
    group_name=STAGE,
    kinds={"polars", "parquet"},
    metadata=column_schema(AgreementTable),
)
@told
def report_agreement(installation: Installation) -> dg.MaterializeResult:
    """Our report labeler beside the imported ones: who calls what positive, and Cohen's kappa, per class."""
    agreement = write_report_agreement(installation.lake)
    return table_result(
        installation.lake.table(STAGE, "report_agreement"),
        rows=agreement.height,
        metadata={"agreement": markdown_table(_rounded(agreement), limit=60)},
    )


def crosscheck_asset(dataset: Dataset) -> dg.AssetsDefinition:
    """The reader of reports against the labels that a source publishes beside them."""
    name = f"report_crosscheck_{dataset.name}"
    language = LANGUAGES[dataset.name]

    @dg.asset(
        key=[STAGE, name],
        deps=[["raw", dataset.name], [STAGE, dataset.name]],
        group_name=STAGE,
        kinds={"polars", "parquet"},
        code_version=lexicon_hash(language),
        check_specs=warning_checks([STAGE, name], CROSSCHECKS),
        description=f"{dataset.title}: our reader (lexicon `{language}`) against its own labels. It labels nothing.",
        metadata=column_schema(AgreementTable),
    )
    @told
    def crosscheck(installation: Installation) -> dg.MaterializeResult:
        agreement = write_crosscheck(installation.lake, dataset, installation.root_of(dataset.name))
        return table_result(
            installation.lake.table(STAGE, name),
            rows=agreement.height,
            metadata={
                "lexicon_hash": lexicon_hash(language),
                "agreement": markdown_table(_rounded(agreement), limit=60),
            },
            verdicts={"agreement": judge_crosscheck(agreement)},
        )

    return crosscheck


def sources_of_labels(dataset: Dataset) -> list[list[str]]:
    """The assets that the labels of a source are made from, beside its files."""
    return [[STAGE, f"{what}_{dataset.name}"] for what in ("reports", "imported")] if is_reported(dataset) else []


def version_of_labels(path: Path, origin: Mapping[str, str]) -> str:
    """The data version of a label table: its bytes, and where its states come from, if that is said."""
    return "-".join([file_digest(path), *origin.values()])


@dg.asset(
    key=[STAGE, "report_gold"],
    deps=[["raw", "openi"]],
    group_name=STAGE,
    kinds={"polars", "parquet"},
    code_version=lexicon_hash(),
    check_specs=warning_checks([STAGE, "report_gold"], GOLD_CHECKS),
    metadata=column_schema(ReportScoreTable),
)
@told
def report_gold(installation: Installation) -> dg.MaterializeResult:
    """The report labeler scored against what experts indexed in OpenI, on reports that never chose a word or a rule."""
    scores, flagged = write_report_gold(installation.lake, installation.root_of("openi"))
    shown = scores.select("reports", "pathology", "support", pl.col("precision", "recall", "f1", "f1_low", "f1_high"))
    return table_result(
        installation.lake.table(STAGE, "report_gold"),
        rows=scores.height,
        metadata={
            "scores": markdown_table(shown.with_columns(pl.selectors.float().round(3)), limit=60),
            **{f"normal_reports_flagged, {part}": share for part, share in flagged.items()},
        },
        verdicts={"agreement": judge_labeler(scores)},
    )


def _rounded(agreement: pl.DataFrame) -> pl.DataFrame:
    return agreement.with_columns(pl.col("kappa").round(3))


assets = [
    report_gold,
    report_agreement,
    *(
        asset(dataset)
        for dataset in DATASETS.values()
        if is_reported(dataset)
        for asset in (reports_asset, imported_asset)
    ),
    *(crosscheck_asset(DATASETS[name]) for name in LANGUAGES),
]
