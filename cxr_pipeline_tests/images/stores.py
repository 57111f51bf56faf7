"""A prepared store with some files in quarantine, for the tests of what people see of it."""

from pathlib import Path

import cv2
import numpy as np
import polars as pl

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.images.looks.files import StoredSource
from cxr_pipeline.images.prepare.step import prepare_images
from cxr_pipeline.images.store.shards import StoreForm
from cxr_pipeline.storage.lake import read_table
from cxr_pipeline.tables.images import StoreIndex
from cxr_pipeline_tests.images.conftest import encode, picture

SIZE = 64
USABLE = 9


def write_source(root: Path) -> None:
    """Pictures of growing width, then one file of each of five reasons, the blank one in 16 bits."""
    root.mkdir(parents=True)
    for number in range(USABLE):
        (root / f"{number}.png").write_bytes(encode(picture(number, width=64 + number)))
    (root / "a.png").write_bytes(b"")
    (root / "b.png").write_bytes(encode(picture(1))[:200])
    (root / "c.png").write_bytes(encode(np.full((40, 40), 3000, np.uint16)))
    red = np.zeros((40, 60, 3), np.uint8)
    red[..., 0] = np.arange(60) * 4
    (root / "d.png").write_bytes(encode(red))
    (root / "e.png").write_bytes(encode(cv2.resize(picture(2), (400, 40))))


def stored_source(folder: Path, *, dataset: str = "nih", is_phantom: bool = False) -> StoredSource:
    """The source of `write_source`, prepared."""
    root, store = folder / "source", folder / "store"
    write_source(root)
    names = sorted(path.name for path in root.iterdir())
    table = pl.DataFrame({"image_id": [f"{dataset}/{name}" for name in names], "path": names})
    prepare_images(table, root, store, form=StoreForm(SIZE))
    index = read_table(store / "index.parquet", StoreIndex)
    return StoredSource(DATASETS[dataset], index, store, root, is_phantom)
