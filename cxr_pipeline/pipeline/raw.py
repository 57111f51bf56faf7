"""Assets `raw/<dataset>`: the inventory of a source, its pictures unpacked before."""

from pathlib import Path

from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.datasets.files.archives import Progress, archive_of, unpack_archive
from cxr_pipeline.datasets.inventory import Inventory, take_inventory
from cxr_pipeline.storage.lake import Lake, write_table
from cxr_pipeline.tables.raw import RawTable


def write_inventory(
    lake: Lake, dataset: Dataset, root: Path | None, *, unpack: bool = True, on_unpack: Progress | None = None
) -> Inventory:
    """`raw/<dataset>`; a source that is not used (`root` is None) has an empty table.

    Pictures that are still packed are unpacked first, unless `unpack` is False.
    """
    archive = archive_of(dataset, root) if root and unpack else None
    if archive and archive.is_pending:
        unpack_archive(archive, on_progress=on_unpack)
    inventory = take_inventory(dataset, root) if root else Inventory.empty()
    write_table(lake.table("raw", dataset.name), inventory.table, RawTable)
    return inventory
