"""Asset `split/duplicates`: pairs of images that show the same radiograph, and what is odd about them."""

import dagster as dg

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.defs.failures import told
from cxr_pipeline.defs.pictures import show_picture
from cxr_pipeline.defs.resources import Installation
from cxr_pipeline.defs.tables import column_schema, markdown_table, table_result, warning_checks
from cxr_pipeline.pipeline.split import audit_pairs, write_duplicates
from cxr_pipeline.split.derived import judge_derived
from cxr_pipeline.split.duplicates.config import DuplicateConfig
from cxr_pipeline.tables.split import DuplicateTable

KEY = ["split", "duplicates"]
CHECKS = {"derived": "No source consists of another one's images by its ids (RSNA and SIIM of NIH, ...)"}


class DuplicateRunConfig(DuplicateConfig, dg.Config):
    """The launchpad form of DuplicateConfig."""


@dg.asset(
    key=KEY,
    deps=[[stage, name] for name in DATASETS for stage in ("labels", "images")],
    group_name=KEY[0],
    kinds={"polars", "parquet"},
    check_specs=warning_checks(KEY, CHECKS),
    metadata=column_schema(DuplicateTable),
)
@told
def duplicates(config: DuplicateRunConfig, installation: Installation) -> dg.MaterializeResult:
    """Pairs of images, within and across sources, that the stored pixels prove to be the same radiograph."""
    pairs = write_duplicates(installation.lake, DuplicateConfig(**config.model_dump()))
    audit = audit_pairs(installation.lake, pairs)
    tables = {
        "distances": audit.distances,
        "across_published_parts": audit.crossings,
        "labels": audit.disagreements,
        "derived": audit.derived,
    }
    return table_result(
        installation.lake.table(*KEY),
        rows=pairs.height,
        metadata={
            **audit.facts,
            **{name: markdown_table(table) for name, table in tables.items()},
            "pictures": _pictures(audit.preview),
        },
        verdicts={"derived": judge_derived(audit.derived)},
    )


def _pictures(preview: bytes | None) -> dg.MarkdownMetadataValue:
    if preview is None:
        return dg.MetadataValue.md("No pair, or none that its sources' terms let be shown.")
    return show_picture("pairs", preview)


assets = [duplicates]
