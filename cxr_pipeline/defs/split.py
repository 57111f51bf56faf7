"""Assets `split/cohort`, all sources merged with each patient in one split, and `split/summary`, what is in it."""

import dagster as dg
from pydantic import Field

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.defs.failures import told
from cxr_pipeline.defs.pictures import show_picture
from cxr_pipeline.defs.resources import Installation
from cxr_pipeline.defs.tables import column_schema, markdown_table, table_result
from cxr_pipeline.pipeline.split import write_cohort, write_split_summary
from cxr_pipeline.split.cohort import count_moves
from cxr_pipeline.split.config import SplitConfig
from cxr_pipeline.split.history import changed_settings
from cxr_pipeline.split.plots import plot_deviations, plot_sizes
from cxr_pipeline.split.summary import ALL, count_sizes, tabulate_deviations, tabulate_positives
from cxr_pipeline.tables.split import CohortTable, SplitSummaryTable

STAGE = "split"


class SplitRunConfig(SplitConfig, dg.Config):
    """The launchpad form of SplitConfig."""

    start_over: bool = Field(False, description="Forget who was placed where: a new split; train again after it")


@dg.asset(
    key=[STAGE, "cohort"],
    deps=[[STAGE, "duplicates"], *([stage, name] for name in DATASETS for stage in ("labels", "images"))],
    group_name=STAGE,
    kinds={"polars", "parquet"},
    metadata=column_schema(CohortTable),
)
@told
def cohort(
    context: dg.AssetExecutionContext, config: SplitRunConfig, installation: Installation
) -> dg.MaterializeResult:
    """Every usable frontal image of every source, with its split: patient-disjoint, official test sets honoured."""
    settings = SplitConfig(**config.model_dump(exclude={"start_over"}))
    made = write_cohort(installation.lake, settings, start_over=config.start_over)
    if made.moved.height:
        context.log.warning(f"{made.moved.height} patients moved to a stricter split: see the page of this asset")
    if unprepared := made.left_out["unprepared"].sum():
        context.log.warning(f"{unprepared} frontal labelled images have no pixels in an image store")
    return table_result(
        installation.lake.table(STAGE, "cohort"),
        rows=made.table.height,
        metadata={
            "patients": made.table["patient_id"].n_unique(),
            "placed_by": markdown_table(made.count_placed()),
            "moved_now": markdown_table(count_moves(made.moved)),
            "moved_ever": markdown_table(count_moves(made.memory.moves)),
            "settings_for_arrivals_alone": ", ".join(changed_settings(installation.lake, settings)) or "none",
            "left_out": markdown_table(made.left_out),
            "copies": int(made.table["duplicate_group"].is_not_null().sum()),
            "phantoms": int(made.table["is_phantom"].sum()),
        },
    )


@dg.asset(
    key=[STAGE, "summary"],
    deps=[[STAGE, "cohort"]],
    group_name=STAGE,
    kinds={"polars", "parquet"},
    metadata=column_schema(SplitSummaryTable),
)
@told
def summary(installation: Installation) -> dg.MaterializeResult:
    """Images, patients and positives of each class per source and split; how far prevalences are apart."""
    table = write_split_summary(installation.lake)
    sizes, deviations = count_sizes(table), tabulate_deviations(table)
    worst = deviations["largest_deviation"].max()
    return table_result(
        installation.lake.table(STAGE, "summary"),
        rows=table.height,
        metadata={
            "sizes_plot": show_picture("images per source: train, val, test", plot_sizes(sizes)),
            "sizes": markdown_table(sizes),
            "positives": markdown_table(tabulate_positives(table)),
            "deviations_plot": show_picture(
                "deviation of prevalence per class: val, test", plot_deviations(table, ALL)
            ),
            "deviations": markdown_table(deviations.sort("largest_deviation", descending=True, nulls_last=True)),
            **({"largest_deviation": worst} if isinstance(worst, float) else {}),
        },
    )


assets = [cohort, summary]
