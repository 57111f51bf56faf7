"""The prepared image store on disk: Arrow shards of raw pixels, and batch reads from them. Runs on a GPU node.

How pixels come to be does not live here (`pixels`), nor which images belong into a store (`prepare`).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cxr_pipeline.errors import StoreError
from cxr_pipeline.storage.files import write_atomically

INDEX = "index.parquet"
CODEC = "raw"  # one byte a pixel, row by row


class ImageStore:
    """Reads square grey images, in the order asked for, from a folder that `prepare.prepare_images` made.

    A *position* numbers the usable images of the store, in the order of its index. Look positions up once with
    `locate` and read batches by position. Every shard is memory-mapped when the store is opened, so reads share one
    page cache between threads and forked processes; a pickled store opens its folder anew.
    """

    size: int  # height and width of every image, pixels

    def __init__(self, folder: Path) -> None:
        """Raises StoreError when the index or a shard is missing, unreadable, or does not fit the others."""
        self.folder = folder
        index = _read_index(folder)
        self._image_ids = index["image_id"].combine_chunks()
        self._rows = index["row"].to_numpy().astype(np.int64)
        shards = index["shard"].combine_chunks().dictionary_encode()
        self._shards = shards.indices.to_numpy().astype(np.int64)
        self._pixels = [_map_shard(folder / name) for name in shards.dictionary.to_pylist()]
        self.size = self._pixels[0].shape[1]
        self._check_shards()

    def __len__(self) -> int:
        return len(self._rows)

    def __reduce__(self) -> tuple[type["ImageStore"], tuple[Path]]:
        return ImageStore, (self.folder,)

    def locate(self, image_ids: Sequence[str]) -> npt.NDArray[np.int64]:
        """Positions [n] of `image_ids`, in their order; raises StoreError that counts those the store lacks."""
        wanted = pa.array(image_ids, type=self._image_ids.type)
        found = pc.index_in(wanted, value_set=self._image_ids)
        if found.null_count:
            raise StoreError(
                f"{found.null_count} of {len(wanted)} requested images are not in the store {self.folder}, which holds "
                f"{len(self)}: in quarantine, or never prepared. Make images/{self.folder.name} and the split again."
            )
        return found.to_numpy().astype(np.int64)

    def read(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Pixels uint8 [n, size, size] at `positions` [n], in their order; the array is the caller's own."""
        positions = np.asarray(positions, dtype=np.int64)
        if len(positions) and not (positions.min() >= 0 and positions.max() < len(self)):
            raise StoreError(f"Positions must lie in 0..{len(self) - 1}, the images of {self.folder}: use `locate`.")
        images = np.empty((len(positions), self.size, self.size), dtype=np.uint8)
        for image, shard, row in zip(images, self._shards[positions], self._rows[positions], strict=True):
            image[:] = self._pixels[shard][row]
        return images

    def read_ids(self, image_ids: Sequence[str]) -> npt.NDArray[np.uint8]:
        """Pixels uint8 [n, size, size] of `image_ids`, in their order; raises StoreError as `locate` does."""
        return self.read(self.locate(image_ids))

    def _check_shards(self) -> None:
        sizes = sorted({pixels.shape[1] for pixels in self._pixels})
        if len(sizes) > 1:
            raise StoreError(f"The shards of {self.folder} have sizes {sizes}, expected one. Prepare the images again.")
        counts = np.array([len(pixels) for pixels in self._pixels])
        beyond = int((self._rows >= counts[self._shards]).sum())
        if beyond:
            raise StoreError(
                f"The shards of {self.folder} lack {beyond} rows that {INDEX} names. Delete the folder's shards and "
                "prepare the images again."
            )


def write_shard(path: Path, image_ids: Sequence[str], pixels: npt.NDArray[np.uint8], *, pixel_rules: int) -> bool:
    """Writes `pixels` [n, size, size], row i being `image_ids[i]`, atomically; whether the bytes changed.

    The same input gives the same bytes. `pixel_rules` is the version of the rules that made the pixels
    (`pixels.PIXEL_RULES`); with size and codec it stands in the schema's metadata. One record batch holds all rows, so
    that a reader sees one contiguous array.
    """
    count, size, width = pixels.shape
    if pixels.dtype != np.uint8 or width != size or len(image_ids) != count:
        raise StoreError(f"Got {len(image_ids)} ids for {pixels.dtype} {pixels.shape}, expected uint8 [n, size, size].")
    kind = pa.binary(size * size)
    flat = pa.py_buffer(np.ascontiguousarray(pixels))
    metadata = {"size": str(size), "codec": CODEC, "pixel_rules": str(pixel_rules)}
    schema = pa.schema([("image_id", pa.string()), ("pixels", kind)], metadata=metadata)
    ids = pa.array(image_ids, type=pa.string())
    batch = pa.record_batch([ids, pa.FixedSizeBinaryArray.from_buffers(kind, count, [None, flat])], schema=schema)
    return write_atomically(path, lambda temporary: _write_batch(temporary, batch))


def _write_batch(path: Path, batch: pa.RecordBatch) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)


def _read_index(folder: Path) -> pa.Table:
    path = folder / INDEX
    if not path.is_file():
        raise StoreError(f"No image store at {folder} ({INDEX} is missing): materialize images/{folder.name} first.")
    try:
        index = pq.read_table(path, columns=["image_id", "shard", "row"], use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{path} is not a readable store index ({error}): prepare the images again.") from error
    usable = index.filter(pc.is_valid(index["shard"]))
    if not usable.num_rows:
        raise StoreError(f"The store {folder} holds no usable image: all {index.num_rows} are in quarantine.")
    return usable


def _map_shard(path: Path) -> npt.NDArray[np.uint8]:
    """The pixels [n, size, size] of one shard as a view of its memory map, which lives as long as the view."""
    if not path.is_file():
        raise StoreError(f"The shard {path.name} of the store {path.parent} is missing: prepare the images again.")
    try:
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
            schema, batch = reader.schema, reader.get_batch(0)
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{path} is not a readable shard ({error}): delete it and prepare again.") from error
    codec = (schema.metadata or {}).get(b"codec", b"").decode()
    if codec != CODEC:
        raise StoreError(f"{path} has the codec {codec!r}, this version reads {CODEC!r}: update it or prepare again.")
    size = int(schema.metadata[b"size"])
    pixels = batch.column("pixels").buffers()[1]
    return np.frombuffer(pixels, dtype=np.uint8, count=batch.num_rows * size * size).reshape(-1, size, size)
