"""Asset `split/cohort`: all sources merged, each patient in one split."""

import dagster as dg

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.defs.resources import Installation
from cxr_pipeline.defs.tables import column_schema, markdown_table, table_result
from cxr_pipeline.pipeline import write_cohort
from cxr_pipeline.split.cohort import summarize_cohort
from cxr_pipeline.split.config import SplitConfig
from cxr_pipeline.tables import CohortTable

STAGE = "split"


class SplitRunConfig(SplitConfig, dg.Config):
    """The launchpad form of SplitConfig."""


@dg.asset(
    key=[STAGE, "cohort"],
    deps=[[stage, name] for name in DATASETS for stage in ("labels", "images")],
    group_name=STAGE,
    kinds={"polars", "parquet"},
    metadata=column_schema(CohortTable),
)
def cohort(config: SplitRunConfig, installation: Installation) -> dg.MaterializeResult:
    """Every usable frontal image of every source, with its split: patient-disjoint, official test sets honoured."""
    table = write_cohort(installation.lake, SplitConfig(**config.model_dump()))
    return table_result(
        installation.lake.table(STAGE, "cohort"),
        rows=table.height,
        metadata={
            "patients": table["patient_id"].n_unique(),
            "parts": markdown_table(summarize_cohort(table)),
            "phantoms": int(table["is_phantom"].sum()),
        },
    )


assets = [cohort]
