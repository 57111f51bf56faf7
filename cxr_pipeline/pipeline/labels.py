"""Assets `labels/<dataset>`, and the tables beside them: boxes, adjudicated labels, counts. Not reports."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.datasets.files.folders import find_file
from cxr_pipeline.labels.adjudicated import ADJUDICATED_FILE, adjudicated_table
from cxr_pipeline.labels.boxes import box_table, describe_placement
from cxr_pipeline.labels.harmonize import LabelResult, label_table
from cxr_pipeline.labels.labellers import keep_labellers
from cxr_pipeline.labels.overview import count_matrix
from cxr_pipeline.labels.policy import DEFAULT_POLICY, LabelPolicy
from cxr_pipeline.labels.reports.tables import is_reported, label_from_reports
from cxr_pipeline.pipeline.reports import imported_path, report_path
from cxr_pipeline.storage.lake import Lake, read_table, write_table
from cxr_pipeline.storage.origins import digest_or_absent, write_origin
from cxr_pipeline.tables.labels import AdjudicatedTable, BoxTable, LabelTable
from cxr_pipeline.tables.reports import ImportedStateTable, ReportEvidenceTable


def write_labels(
    lake: Lake, dataset: Dataset, root: Path | None, *, policy: LabelPolicy = DEFAULT_POLICY
) -> LabelResult:
    """`labels/<dataset>`: one row per published image, whether or not its pixels are there.

    A source that has reports and no labels takes them from `labels/reports_<dataset>`, or from what
    `labels/imported_<dataset>` puts in its place; both are made before.
    """
    reports = [report_path(lake, dataset), imported_path(lake, dataset)] if root and is_reported(dataset) else []
    made_from = {f"labels/{path.stem}": digest_or_absent(path) for path in reports}
    if root is None:
        result = LabelResult.empty()
    elif is_reported(dataset):
        evidence = read_table(report_path(lake, dataset), ReportEvidenceTable)
        imported = read_table(imported_path(lake, dataset), ImportedStateTable)
        result = label_from_reports(dataset, root, evidence, policy, imported=imported)
    else:
        result = label_table(dataset, root, policy)
    result = keep_labellers(result, policy)
    write_table(lake.table("labels", dataset.name), result.table, LabelTable)
    write_origin(lake.table("labels", dataset.name), made_from)
    return result


def write_adjudicated(lake: Lake, nih_root: Path | None) -> pl.DataFrame:
    """`labels/adjudicated_nih`: what radiologists agreed on, where its file lies in the folder of NIH; else empty."""
    names = [ADJUDICATED_FILE, f"{ADJUDICATED_FILE}.gz"]
    file = find_file([nih_root], names) if nih_root else None
    table = adjudicated_table(file) if file else AdjudicatedTable.create_empty()
    return write_table(lake.table("labels", "adjudicated_nih"), table, AdjudicatedTable)


def write_boxes(lake: Lake, roots: Mapping[str, Path | None]) -> pl.DataFrame:
    """`labels/boxes`: the boxes that readers drew, of every source that is used here and has some."""
    tables = [box_table(DATASETS[name], root) for name, root in roots.items() if root and DATASETS[name].read_boxes]
    boxes = pl.concat([BoxTable.create_empty(), *tables])
    return write_table(lake.table("labels", "boxes"), boxes, BoxTable)


def describe_placements(roots: Mapping[str, Path | None], boxes: pl.DataFrame) -> list[str]:
    """A line for each source whose boxes (a BoxTable) were scaled to its pictures, or have no place in them."""
    of_source = pl.col("image_id").str.extract("^([^/]+)/")
    parts = [(DATASETS[name], root, boxes.filter(of_source == name)) for name, root in roots.items() if root]
    return [line for dataset, root, mine in parts for line in describe_placement(dataset, root, mine)]


def count_labels_of_all(lake: Lake) -> pl.DataFrame:
    """`labels/overview`: positives / known images of each class, one column per source."""
    return count_matrix({name: read_table(lake.table("labels", name), LabelTable) for name in DATASETS})
