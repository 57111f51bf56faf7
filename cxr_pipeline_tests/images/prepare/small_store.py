"""A source of seven small pictures, the store that is prepared from it, and what is in that."""

import polars as pl

from cxr_pipeline.images.prepare.digests import MEMORY
from cxr_pipeline.images.prepare.step import prepare_images
from cxr_pipeline.images.store.shards import StoreForm
from cxr_pipeline.storage.lake import read_table
from cxr_pipeline.tables.images import StoreIndex

SIZE = 32  # pixels
COUNT = 7


def table_of(root, numbers=range(COUNT)):
    paths = [f"images/{number}.png" for number in numbers]
    sizes = [(root / path).stat().st_size if (root / path).exists() else 0 for path in paths]
    return pl.DataFrame({"image_id": [f"nih/{number}" for number in numbers], "path": paths, "file_bytes": sizes})


def prepare_small(root, folder, numbers=range(COUNT), *, size=SIZE, codec="zstd", **options):
    return prepare_images(table_of(root, numbers), root, folder, form=StoreForm(size, codec), **options)


def read_index(folder):
    return read_table(folder / "index.parquet", StoreIndex)


def contents(folder):
    """Name, bytes and modification time of every file of the store."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in (".lock", MEMORY))
    return [(path.relative_to(folder), path.read_bytes(), path.stat().st_mtime_ns) for path in files]


def file_bytes(folder):
    return [(name, data) for name, data, _ in contents(folder)]
