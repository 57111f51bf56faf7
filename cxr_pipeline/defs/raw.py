"""Assets `raw/<dataset>`: the inventory of each source as published."""

from pathlib import Path

import dagster as dg
import polars as pl

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.datasets.inventory import count_labellers, fingerprint
from cxr_pipeline.datasets.quality import judge_completeness, judge_files, judge_patients
from cxr_pipeline.defs.failures import told
from cxr_pipeline.defs.resources import Installation
from cxr_pipeline.defs.standing import NOT_USED, REASON_TAG, SEQUENCE_METADATA, STATE_METADATA
from cxr_pipeline.defs.tables import column_schema, markdown_table, table_result, warning_checks
from cxr_pipeline.pipeline.raw import take_stock, unpack_pictures, write_inventory
from cxr_pipeline.tables.raw import RawTable

STAGE = "raw"
CHECKS = {
    "complete": "As many images and patients as were published",
    "files": "Every published image has its file, every file its image",
    "patients": "Every patient has one sex and one birth year",
}


def raw_asset(dataset: Dataset) -> dg.AssetsDefinition:
    """The inventory asset of one source."""

    @dg.asset(
        key=[STAGE, dataset.name],
        group_name=STAGE,
        kinds={"polars", "parquet"},
        check_specs=warning_checks([STAGE, dataset.name], CHECKS),
        description=f"{dataset.title}: one row per published image, and whether its pixel file is there.",
        metadata={
            **column_schema(RawTable),
            "home_page": dg.MetadataValue.url(dataset.home_page),
            "citation": dataset.citation,
            "licence": dataset.licence,
            "access": dataset.access,
        },
    )
    @told
    def raw(context: dg.AssetExecutionContext, installation: Installation) -> dg.MaterializeResult:
        root = installation.root_of(dataset.name)
        if reason := context.run.tags.get(REASON_TAG):
            context.log.info(f"Asked for since {reason}")
        if root:
            unpack_pictures(
                dataset, root, on_unpack=lambda read, parts: context.log.info(f"unpacked {read} of {parts} parts")
            )
        stock = take_stock(Path(installation.watch_root), dataset, root) if root else None  # before anything is read
        inventory = write_inventory(installation.lake, dataset, root, unpack=False)
        for warning in inventory.warnings:
            context.log.warning(warning)
        return table_result(
            installation.lake.table(STAGE, dataset.name),
            rows=inventory.table.height,
            version=fingerprint(dataset, root) if root else "not used",
            metadata={
                STATE_METADATA: stock.digest if stock else NOT_USED,
                SEQUENCE_METADATA: stock.sequence if stock else 0,
                "root": str(root) if root else f"not used: set {dataset.root_variable} to use it",
                "patients": inventory.table["patient_id"].n_unique(),
                "views": markdown_table(inventory.table.group_by("view").agg(images=pl.len()).sort("view")),
                "labelled_by": markdown_table(count_labellers(inventory.table)),
            },
            verdicts={
                "complete": judge_completeness(
                    dataset, inventory.table, layout=dataset.describe_layout(root).name if root else ""
                ),
                "files": judge_files(inventory.table, extra=inventory.extra),
                "patients": judge_patients(inventory.table),
            },
        )

    return raw


assets = [raw_asset(dataset) for dataset in DATASETS.values()]
