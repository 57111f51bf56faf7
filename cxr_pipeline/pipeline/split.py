"""Assets `split/duplicates`, `split/cohort`, `split/summary`, and why an image is in its split."""

from typing import TYPE_CHECKING

import polars as pl

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.errors import SplitError
from cxr_pipeline.pipeline.images import index_path
from cxr_pipeline.pipeline.origins import (
    COHORT,
    DUPLICATES,
    SOURCES,
    check_sources,
    check_table,
    digests_of,
    table_of,
)
from cxr_pipeline.split.cohort import SplitCohort, build_cohort
from cxr_pipeline.split.config import SplitConfig
from cxr_pipeline.split.duplicates.config import DEFAULT_SEARCH, DuplicateConfig
from cxr_pipeline.split.explain import Evidence, Explanation, explain_image, why_absent
from cxr_pipeline.split.history import read_memory, recall, remember
from cxr_pipeline.split.summary import summarize_splits
from cxr_pipeline.storage.lake import Lake, read_table, write_table
from cxr_pipeline.storage.origins import write_origin
from cxr_pipeline.tables.images import StoreIndex
from cxr_pipeline.tables.labels import LabelTable
from cxr_pipeline.tables.split import CohortTable, DuplicateTable, SplitSummaryTable

if TYPE_CHECKING:
    from cxr_pipeline.split.duplicates.audit import DuplicateAudit


def write_duplicates(lake: Lake, config: DuplicateConfig = DEFAULT_SEARCH) -> pl.DataFrame:
    """`split/duplicates`: pairs of stored images of all sources that show the same radiograph."""
    from cxr_pipeline.split.duplicates.pairs import find_duplicates

    check_sources(lake)
    made_from = digests_of(lake, SOURCES)
    labels, indexes = _read_sources(lake)
    pairs = find_duplicates(labels, indexes, lake.root / "images", config)
    table = write_table(table_of(lake, DUPLICATES), pairs, DuplicateTable)
    write_origin(table_of(lake, DUPLICATES), made_from)
    return table


def audit_pairs(lake: Lake, pairs: pl.DataFrame) -> "DuplicateAudit":
    """What a person is shown of `split/duplicates`."""
    from cxr_pipeline.split.duplicates.audit import audit_duplicates

    return audit_duplicates(pairs, _read_sources(lake)[0], lake.root / "images")


def write_cohort(lake: Lake, config: SplitConfig, *, start_over: bool = False) -> SplitCohort:
    """`split/cohort`: all sources merged, each patient in one split, and what the lake remembers of it.

    Patients that have a split keep it, unless the user starts over. Raises SplitError when the memory is lost, and
    OriginError when a table it reads was made from others than those that are there.
    """
    check_sources(lake)
    if table_of(lake, DUPLICATES).is_file():
        check_table(lake, DUPLICATES, command="cxr split")
    made_from = digests_of(lake, (*SOURCES, DUPLICATES))
    memory = recall(lake, config, start_over=start_over)
    labels, indexes = _read_sources(lake)
    cohort = build_cohort(labels, indexes, config, pairs=read_duplicates(lake), memory=memory)
    remember(lake, cohort.memory, config, start_over=start_over)
    write_table(table_of(lake, COHORT), cohort.table, CohortTable)
    write_origin(table_of(lake, COHORT), made_from)
    return cohort


def read_duplicates(lake: Lake) -> pl.DataFrame:
    """`split/duplicates`: the verified pairs; none where they have not been searched for."""
    path = lake.table("split", "duplicates")
    return read_table(path, DuplicateTable) if path.is_file() else DuplicateTable.create_empty()


def write_split_summary(lake: Lake) -> pl.DataFrame:
    """`split/summary`: images, patients and positives per source, split and class, and how far prevalences differ."""
    summary = summarize_splits(read_table(lake.table("split", "cohort"), CohortTable))
    return write_table(lake.table("split", "summary"), summary, SplitSummaryTable)


def explain_split(lake: Lake, image_id: str) -> Explanation:
    """Why an image is in its split; raises SplitError that says why it is in none."""
    memory, config = read_memory(lake)
    cohort = read_table(lake.table("split", "cohort"), CohortTable)
    if image_id not in cohort["image_id"]:
        raise SplitError(_why_absent(lake, image_id))
    return explain_image(image_id, Evidence(cohort, read_duplicates(lake), memory.assignment, memory.moves), config)


def _why_absent(lake: Lake, image_id: str) -> str:
    dataset = image_id.partition("/")[0]
    if dataset not in DATASETS:
        return f"{image_id} names no source: expected <dataset>/<name>, with a dataset of {', '.join(DATASETS)}."
    labels = read_table(lake.table("labels", dataset), LabelTable)
    return why_absent(image_id, labels, read_table(index_path(lake, dataset), StoreIndex))


def _read_sources(lake: Lake) -> tuple[dict[str, pl.DataFrame], dict[str, pl.DataFrame]]:
    """(label table, store index) of every source by its name."""
    labels = {name: read_table(lake.table("labels", name), LabelTable) for name in DATASETS}
    return labels, {name: read_table(index_path(lake, name), StoreIndex) for name in DATASETS}
