"""Assets `images/<dataset>`: the image store of a source, and what people see and count of it."""

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.storage.lake import Lake, read_table, write_table
from cxr_pipeline.storage.origins import digest_or_absent, write_origin
from cxr_pipeline.tables.images import StoreIndex
from cxr_pipeline.tables.raw import FRONTAL_VIEWS, RawTable

if TYPE_CHECKING:
    from cxr_pipeline.images.looks.files import Looks
    from cxr_pipeline.images.prepare.cluster import Cluster
    from cxr_pipeline.images.prepare.quarantine import QuarantineCount
    from cxr_pipeline.images.prepare.step import PrepareSummary, Report
    from cxr_pipeline.images.store.shards import StoreForm


def write_images(
    lake: Lake,
    dataset: Dataset,
    root: Path | None,
    *,
    form: "StoreForm",
    cluster: "Cluster | None" = None,
    on_progress: "Report | None" = None,
) -> "PrepareSummary":
    """`images/<dataset>`: the frontal images that are there, decoded once, as shards and an index."""
    from cxr_pipeline.images.prepare.step import PrepareSummary, prepare_images

    inventory, index = lake.table("raw", dataset.name), index_path(lake, dataset.name)
    if root is None:
        write_table(index, StoreIndex.create_empty(), StoreIndex)
        write_origin(index, {})
        return PrepareSummary(images=0, stored=0, decoded=0, quarantined={})
    made_from = {f"raw/{dataset.name}": digest_or_absent(inventory)}
    raw = read_table(inventory, RawTable)
    frontal = raw.filter(pl.col("is_present") & pl.col("view").is_in(FRONTAL_VIEWS))
    folder = lake.folder("images", dataset.name)
    summary = prepare_images(frontal, root, folder, form=form, cluster=cluster, on_progress=on_progress)
    write_origin(index, made_from)
    return summary


def write_looks(
    lake: Lake, dataset: Dataset, root: Path | None, reports: Path, *, on_request: bool = False
) -> "Looks | None":
    """Histograms and contact sheets of `images/<dataset>`, in `<reports>/images/`; None where the source is not used.

    Where its terms keep thumbnails from everyone's eyes, sheets are drawn only `on_request`.
    """
    from cxr_pipeline.images.looks import files as looks

    if root is None:
        return None
    index = read_table(index_path(lake, dataset.name), StoreIndex)
    is_phantom = bool(read_table(lake.table("raw", dataset.name), RawTable)["is_phantom"].all())
    source = looks.StoredSource(dataset, index, lake.folder("images", dataset.name), root, is_phantom)
    return looks.write_looks(source, reports / "images", on_request=on_request)


def count_quarantine(lake: Lake, dataset: Dataset) -> "QuarantineCount":
    """How many image files of `images/<dataset>` were missing, and how many cannot be used, by reason."""
    from cxr_pipeline.images.prepare import quarantine

    raw = read_table(lake.table("raw", dataset.name), RawTable)
    absent = raw.filter(~pl.col("is_present") & pl.col("view").is_in(FRONTAL_VIEWS)).height
    return quarantine.count_quarantine(read_table(index_path(lake, dataset.name), StoreIndex), absent=absent)


def index_path(lake: Lake, dataset: str) -> Path:
    """The index table of an image store."""
    return lake.folder("images", dataset) / "index.parquet"
