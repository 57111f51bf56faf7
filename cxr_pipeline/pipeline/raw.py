"""Assets `raw/<dataset>`: the inventory of a source, its pictures unpacked before."""

import time
from pathlib import Path

from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.datasets.files.archives import Progress, archive_of, unpack_archive
from cxr_pipeline.datasets.inventory import Inventory, take_inventory
from cxr_pipeline.errors import StoreError
from cxr_pipeline.storage.lake import Lake, write_table
from cxr_pipeline.tables.raw import RawTable
from cxr_pipeline.watch import Look, look, open_memory

_LOOK_SECONDS = 0.5  # between two tries to look while the sensor does


def take_stock(folder: Path, dataset: Dataset, root: Path) -> Look:
    """All files of the source, as the memory in `folder` has them after a look that is not cut short.

    A look of the sensor, which holds the memory for seconds, is waited for.
    """
    while True:
        try:
            with open_memory(folder / dataset.name) as memory:
                return look(memory, dataset, root)
        except StoreError:
            time.sleep(_LOOK_SECONDS)


def unpack_pictures(dataset: Dataset, root: Path, *, on_unpack: Progress | None = None) -> None:
    """Unpacks the pictures of a source that are still in the parts of its archive."""
    archive = archive_of(dataset, root)
    if archive and archive.is_pending:
        unpack_archive(archive, on_progress=on_unpack)


def write_inventory(
    lake: Lake, dataset: Dataset, root: Path | None, *, unpack: bool = True, on_unpack: Progress | None = None
) -> Inventory:
    """`raw/<dataset>`; a source that is not used (`root` is None) has an empty table.

    Pictures that are still packed are unpacked first, unless `unpack` is False.
    """
    if root and unpack:
        unpack_pictures(dataset, root, on_unpack=on_unpack)
    inventory = take_inventory(dataset, root) if root else Inventory.empty()
    write_table(lake.table("raw", dataset.name), inventory.table, RawTable)
    return inventory
