"""Assets `labels/<dataset>`: each source in the fourteen classes."""

import dagster as dg

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.defs.resources import Installation
from cxr_pipeline.defs.tables import column_schema, markdown_table, table_result
from cxr_pipeline.labels.summary import count_labels
from cxr_pipeline.pipeline import write_labels
from cxr_pipeline.tables import LabelTable

STAGE = "labels"


def labels_asset(dataset: Dataset) -> dg.AssetsDefinition:
    """The harmonized label table of one source."""

    @dg.asset(
        key=[STAGE, dataset.name],
        deps=[["raw", dataset.name]],
        group_name=STAGE,
        kinds={"polars", "parquet"},
        description=f"{dataset.title} in the fourteen classes: 1 / 0 / -1 / null, and the evidence for each cell.",
        metadata=column_schema(LabelTable),
    )
    def labels(context: dg.AssetExecutionContext, installation: Installation) -> dg.MaterializeResult:
        result = write_labels(installation.lake, dataset, installation.root_of(dataset.name))
        for finding, count in result.unmapped.rows():
            context.log.warning(f"'{finding}' ({count} images) has no row in labels/mappings/{dataset.name}.csv")
        return table_result(
            installation.lake.table(STAGE, dataset.name),
            rows=result.table.height,
            metadata={
                "classes": markdown_table(count_labels(result.table)),
                "unmapped_words": markdown_table(result.unmapped),
                "unmapped": result.unmapped.height,
            },
        )

    return labels


assets = [labels_asset(dataset) for dataset in DATASETS.values()]
