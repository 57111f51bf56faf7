"""The prepared image store on disk: Arrow shards of pixels, and batch reads from them. Runs on a GPU node.

How pixels come to be does not live here (`pixels`), nor how they are spelled (`codecs`), nor which images belong into
a store (`prepare`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cxr_pipeline.errors import StoreError
from cxr_pipeline.images.store.codecs import (
    CODECS,
    Codec,
    FrameReader,
    Frames,
    as_column,
    known_codec,
    sum_rows,
    view_frames,
)
from cxr_pipeline.storage.files import write_atomically

INDEX = "index.parquet"


@dataclass(frozen=True)
class StoreForm:
    """What the images of a store are to be like."""

    size: int  # height and width, pixels
    codec: Codec = "zstd"


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
        index = _read_usable(folder, ["image_id", "shard", "row"])
        self._image_ids = index["image_id"].combine_chunks()
        self._rows = index["row"].to_numpy().astype(np.int64)
        shards = index["shard"].combine_chunks().dictionary_encode()
        self._numbers = shards.indices.to_numpy().astype(np.int64)
        self._shards = [open_shard(folder / name) for name in shards.dictionary.to_pylist()]
        self.size = self._shards[0].size
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
        """Pixels uint8 [n, size, size] at `positions` [n], in their order; the array is the caller's own.

        Raises StoreError when a frame is damaged. Threads may read at once: decoding holds no lock.
        """
        positions = np.asarray(positions, dtype=np.int64)
        if len(positions) and not (positions.min() >= 0 and positions.max() < len(self)):
            raise StoreError(f"Positions must lie in 0..{len(self) - 1}, the images of {self.folder}: use `locate`.")
        return read_rows(self._shards, self._numbers[positions], self._rows[positions])

    def read_ids(self, image_ids: Sequence[str]) -> npt.NDArray[np.uint8]:
        """Pixels uint8 [n, size, size] of `image_ids`, in their order; raises StoreError as `locate` does."""
        return self.read(self.locate(image_ids))

    def count_shrunk(self, positions: npt.NDArray[np.int64]) -> int:
        """How many of the images at `positions` were larger than they are stored, so that detail was lost.

        Those of which the index does not say it count as such.
        """
        if "transform" not in pq.read_schema(self.folder / INDEX).names:
            return len(positions)
        transform = _read_usable(self.folder, ["shard", "transform"])["transform"]
        scales = [pc.struct_field(transform, name) for name in ("scale_y", "scale_x")]
        is_whole = pc.fill_null(pc.greater_equal(pc.min_element_wise(*scales, skip_nulls=False), 1.0), False)
        return int((~is_whole.to_numpy()[positions]).sum())

    def _check_shards(self) -> None:
        sizes = sorted({shard.size for shard in self._shards})
        if len(sizes) > 1:
            raise StoreError(f"The shards of {self.folder} have sizes {sizes}, expected one. Prepare the images again.")
        counts = np.array([len(shard.frames) for shard in self._shards])
        beyond = int((self._rows >= counts[self._numbers]).sum())
        if beyond:
            raise StoreError(
                f"The shards of {self.folder} lack {beyond} rows that {INDEX} names. Delete the folder's shards and "
                "prepare the images again."
            )


@dataclass(frozen=True)
class Shard:
    """One file of images of the same size, memory-mapped for as long as its frames are held."""

    path: Path
    size: int
    codec: Codec
    frames: Frames


def open_shard(path: Path) -> Shard:
    """Maps one shard; raises StoreError when it is missing, unreadable, or of a codec that this version lacks."""
    if not path.is_file():
        raise StoreError(f"The shard {path.name} of the store {path.parent} is missing: prepare the images again.")
    try:
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
            schema, batch = reader.schema, reader.get_batch(0)
            batch.validate(full=True)  # reads offsets, not pixels: a damaged one would point outside the map
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{path} is not a readable shard ({error}): delete it and prepare again.") from error
    name = (schema.metadata or {}).get(b"codec", b"").decode()
    codec = known_codec(name)
    if codec is None:
        known = " and ".join(CODECS)
        raise StoreError(f"{path} has the codec {name!r}, this version reads {known}: update it or prepare again.")
    size = int(schema.metadata[b"size"])
    return Shard(path, size, codec, view_frames(batch.column("pixels"), codec, size=size))


def read_rows(
    shards: Sequence[Shard], numbers: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint8]:
    """Pixels uint8 [n, size, size]: image i is row `rows[i]` of `shards[numbers[i]]`, all shards being of one size.

    Raises StoreError that names the shard and row of a damaged frame.
    """
    size = shards[0].size
    images = np.empty((len(rows), size, size), dtype=np.uint8)
    reader = FrameReader()
    for image, number, row in zip(images, numbers.tolist(), rows.tolist(), strict=True):
        if not reader.copy(shards[number].frames, row, image):
            raise _damaged(shards[number].path, row)
    _sum_where(np.array([shard.codec == "zstd" for shard in shards])[numbers], images)
    return images


def write_shard(
    path: Path, image_ids: Sequence[str], frames: Sequence[bytes], form: StoreForm, *, pixel_rules: int
) -> bool:
    """Writes `frames` (`codecs.encode`), that of row i being of `image_ids[i]`, atomically; whether the bytes changed.

    The same input gives the same bytes. `pixel_rules` is the version of the rules that made the pixels
    (`pixels.PIXEL_RULES`); with size and codec it stands in the schema's metadata. One record batch holds all rows, so
    that a reader sees one contiguous array.
    """
    if len(image_ids) != len(frames):
        raise StoreError(f"Got {len(image_ids)} ids for {len(frames)} images, expected one each.")
    if form.codec == "raw" and {len(frame) for frame in frames} - {form.size**2}:
        raise StoreError(f"Got images of other than {form.size} x {form.size} bytes, expected one byte a pixel.")
    column = as_column(frames, form.codec, size=form.size)
    metadata = {"size": str(form.size), "codec": form.codec, "pixel_rules": str(pixel_rules)}
    schema = pa.schema([("image_id", pa.string()), ("pixels", column.type)], metadata=metadata)
    batch = pa.record_batch([pa.array(image_ids, type=pa.string()), column], schema=schema)
    return write_atomically(path, lambda temporary: _write_batch(temporary, batch))


def _damaged(path: Path, row: int) -> StoreError:
    return StoreError(
        f"Row {row} of the shard {path} is damaged. Delete the shard and prepare images/{path.parent.name} again: only "
        "its images are decoded anew."
    )


def _sum_where(is_summed: npt.NDArray[np.bool_], images: npt.NDArray[np.uint8]) -> None:
    if is_summed.all():
        sum_rows(images)
    elif is_summed.any():  # the codec was changed half-way through a store
        differences = images[is_summed]
        sum_rows(differences)
        images[is_summed] = differences


def _write_batch(path: Path, batch: pa.RecordBatch) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)


def _read_usable(folder: Path, columns: list[str]) -> pa.Table:
    """These columns of the index, of the images that are not in quarantine."""
    path = folder / INDEX
    if not path.is_file():
        raise StoreError(f"No image store at {folder} ({INDEX} is missing): materialize images/{folder.name} first.")
    try:
        index = pq.read_table(path, columns=columns, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{path} is not a readable store index ({error}): prepare the images again.") from error
    usable = index.filter(pc.is_valid(index["shard"]))
    if not usable.num_rows:
        raise StoreError(f"The store {folder} holds no usable image: all {index.num_rows} are in quarantine.")
    return usable
