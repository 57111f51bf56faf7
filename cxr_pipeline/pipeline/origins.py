"""Whether the tables of the lake fit together: each beside the tables it was made from, as they are now.

How that is noted is in `storage.origins`; whose numbers `evaluation/` holds is asked in `pipeline.evaluation`.
"""

from collections.abc import Iterable
from pathlib import Path

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.pipeline.images import index_path
from cxr_pipeline.storage.lake import Lake
from cxr_pipeline.storage.origins import check_origin, digest_or_absent, origin_path, read_origin

DUPLICATES, COHORT = "split/duplicates", "split/cohort"
SOURCES = tuple(f"{stage}/{name}" for name in DATASETS for stage in ("labels", "images"))


def table_of(lake: Lake, asset: str) -> Path:
    """The file of the asset `<stage>/<name>`; of `images/<dataset>` the index of its store."""
    stage, _, name = asset.partition("/")
    return index_path(lake, name) if stage == "images" else lake.table(stage, name)


def digests_of(lake: Lake, assets: Iterable[str]) -> dict[str, str]:
    """asset -> SHA-256 of its table now; to be taken before it is read, so that a change meanwhile comes out."""
    return {asset: digest_or_absent(table_of(lake, asset)) for asset in assets}


def check_sources(lake: Lake) -> None:
    """Raises OriginError where labels are not of the report tables, or an index not of the inventory, there now.

    A table of an earlier version has no note, and nothing to compare.
    """
    for asset in SOURCES:
        if origin_path(table_of(lake, asset)).is_file():
            stage, _, name = asset.partition("/")
            check_table(lake, asset, command=f"cxr {stage} {name}")


def check_cohort(lake: Lake) -> None:
    """Raises OriginError where the cohort is not of the labels, indexes and duplicates that are there now.

    Raises StoreError where the shards of a store are not those of its index.
    """
    from cxr_pipeline.images.store.integrity import check_shards

    check_sources(lake)
    check_table(lake, COHORT, command="cxr split")
    for name in DATASETS:
        check_shards(lake.folder("images", name))


def check_indexes(lake: Lake) -> None:
    """Raises OriginError where the index of a store was replaced since it was made."""
    for name in DATASETS:
        if origin_path(index_path(lake, name)).is_file():
            read_origin(index_path(lake, name), remedy=f"run `cxr images {name}` (or materialize images/{name})")


def check_table(lake: Lake, asset: str, *, command: str) -> None:
    """Raises OriginError when one of the tables that `asset` was made from is another one now."""
    path, remedy = table_of(lake, asset), f"run `{command}` (or materialize {asset})"
    check_origin(path, digests_of(lake, read_origin(path, remedy=remedy)), remedy=remedy)
