"""Assets `labels/<dataset>`: each source in the fourteen classes."""

import dagster as dg
import polars as pl

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.defs import reports
from cxr_pipeline.defs.failures import told
from cxr_pipeline.defs.pictures import show_picture
from cxr_pipeline.defs.resources import Installation
from cxr_pipeline.defs.tables import column_schema, markdown_table, table_result, warning_checks
from cxr_pipeline.labels.adjudicated import ADJUDICATED_FILE
from cxr_pipeline.labels.boxes import judge_placement
from cxr_pipeline.labels.overview import capability_matrix
from cxr_pipeline.labels.plots import plot_labels
from cxr_pipeline.labels.policy import LabelPolicy, describe_policy
from cxr_pipeline.labels.quality import judge_positives, judge_prevalence, judge_unknown, judge_words
from cxr_pipeline.labels.summary import count_labels
from cxr_pipeline.pipeline.labels import (
    count_labels_of_all,
    describe_placements,
    write_adjudicated,
    write_boxes,
    write_labels,
)
from cxr_pipeline.pipeline.reports import origin_of_states
from cxr_pipeline.tables.labels import AdjudicatedTable, BoxTable, LabelTable

STAGE = "labels"
CHECKS = {
    "words": "Every word of the source has a row in its mapping",
    "positives": "Every class with negatives has positives too",
    "prevalence": "Each class is about as frequent as in the published release",
    "unknown": "Each class that its words speak of is known, and null about as often as in the published release",
}


BOX_CHECKS = {"placement": "Every box has its place in the picture that is here"}


class LabelRunConfig(LabelPolicy, dg.Config):
    """The launchpad form of LabelPolicy."""


def labels_asset(dataset: Dataset) -> dg.AssetsDefinition:
    """The harmonized label table of one source."""

    @dg.asset(
        key=[STAGE, dataset.name],
        deps=[["raw", dataset.name], *reports.sources_of_labels(dataset)],
        group_name=STAGE,
        kinds={"polars", "parquet"},
        check_specs=warning_checks([STAGE, dataset.name], CHECKS),
        description=f"{dataset.title} in the fourteen classes: 1 / 0 / -1 / null, and the evidence for each cell.",
        metadata=column_schema(LabelTable),
    )
    @told
    def labels(
        context: dg.AssetExecutionContext, config: LabelRunConfig, installation: Installation
    ) -> dg.MaterializeResult:
        policy = LabelPolicy(**config.model_dump())
        result = write_labels(installation.lake, dataset, installation.root_of(dataset.name), policy=policy)
        for finding, count in result.unmapped.rows():
            context.log.warning(f"'{finding}' ({count} images) has no row in labels/mappings/{dataset.name}.csv")
        counts = count_labels(result.table)
        path, origin = installation.lake.table(STAGE, dataset.name), origin_of_states(installation.lake, dataset)
        return table_result(
            path,
            rows=result.table.height,
            version=reports.version_of_labels(path, origin),
            metadata={
                **origin,
                "policy": markdown_table(describe_policy(policy)),
                "plot": show_picture("labels per class", plot_labels(counts)),
                "classes": markdown_table(counts),
                "unmapped_words": markdown_table(result.unmapped),
            },
            verdicts={
                "words": judge_words(result.unmapped),
                "positives": judge_positives(result.table),
                "prevalence": judge_prevalence(dataset.name, result.table),
                "unknown": judge_unknown(dataset.name, result.table),
            },
        )

    return labels


@dg.asset(
    key=[STAGE, "adjudicated_nih"],
    deps=[["raw", "nih"]],
    group_name=STAGE,
    kinds={"polars", "parquet"},
    metadata=column_schema(AdjudicatedTable),
)
@told
def adjudicated_nih(installation: Installation) -> dg.MaterializeResult:
    """NIH images that radiologists agreed on, for evaluation alone: never merged into the labels."""
    table = write_adjudicated(installation.lake, installation.root_of("nih"))
    found = {"file": "found" if table.height else f"{ADJUDICATED_FILE} is not in the folder of NIH: the table is empty"}
    return table_result(installation.lake.table(STAGE, "adjudicated_nih"), rows=table.height, metadata=found)


@dg.asset(
    key=[STAGE, "overview"],
    deps=[[STAGE, name] for name in DATASETS],
    group_name=STAGE,
    kinds={"polars"},
)
@told
def overview(installation: Installation) -> dg.MaterializeResult:
    """What each source can say at all, and what it says here: positives / known images per class."""
    counts = count_labels_of_all(installation.lake)
    return dg.MaterializeResult(
        metadata={"can_say": markdown_table(capability_matrix()), "says_here": markdown_table(counts)}
    )


@dg.asset(
    key=[STAGE, "boxes"],
    deps=[["raw", name] for name, dataset in DATASETS.items() if dataset.read_boxes],
    group_name=STAGE,
    kinds={"polars", "parquet"},
    check_specs=warning_checks([STAGE, "boxes"], BOX_CHECKS),
    metadata=column_schema(BoxTable),
)
@told
def boxes(context: dg.AssetExecutionContext, installation: Installation) -> dg.MaterializeResult:
    """The boxes that readers drew, in pixels of the pictures here, with the class that each word means."""
    roots = {name: installation.root_of(name) for name in DATASETS}
    table = write_boxes(installation.lake, roots)
    for line in describe_placements(roots, table):
        context.log.warning(line)
    counts = table.group_by("finding", "pathology").agg(boxes=pl.len()).sort("boxes", "finding", descending=True)
    return table_result(
        installation.lake.table(STAGE, "boxes"),
        rows=table.height,
        metadata={"words": markdown_table(counts)},
        verdicts={"placement": judge_placement(table)},
    )


assets = [
    overview,
    boxes,
    adjudicated_nih,
    *reports.assets,
    *(labels_asset(dataset) for dataset in DATASETS.values()),
]
