"""How the images of a shard are spelled: `zstd`, lossless and the default, or `raw`. Files do not live here (`store`).

`zstd` is one frame per image: the differences from each row to the next, modulo 256, compressed at level 1 with long
matches only (noise has no others worth taking; both sides are faster for it), and a checksum. On 248 NIH images of
384 x 384 that takes 0.96 of their bytes as PNG (`benchmarks/image_store.py`, 2026-11-23); differences along the row
took 1.02, and both together 0.87 but a fifth longer to read. `raw` is one byte a pixel, row by row: 2.3 times the disk
of `zstd`, read as fast as memory is copied.
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from zstandard import ZstdCompressionParameters, ZstdCompressor, ZstdDecompressor, ZstdError, frame_content_size

Codec = Literal["zstd", "raw"]
CODECS: tuple[Codec, ...] = get_args(Codec)

Frames: TypeAlias = npt.NDArray[np.uint8] | pa.BinaryArray  # raw pixels [n, size, size], or n zstd frames


def known_codec(name: str) -> Codec | None:
    """`name` as a codec, or None where this version does not know it."""
    return next((codec for codec in CODECS if codec == name), None)


def encode(image: npt.NDArray[np.uint8], codec: Codec) -> bytes:
    """The frame of an image uint8 [size, size]; the same pixels give the same bytes."""
    if codec == "raw":
        return image.tobytes()
    settings = ZstdCompressionParameters.from_level(1, min_match=7, hash_log=6, write_checksum=True)
    return ZstdCompressor(compression_params=settings).compress(_row_differences(image).data)


def as_column(frames: Sequence[bytes], codec: Codec, *, size: int) -> pa.Array:
    """The column of a shard that holds `frames`, joined at once: `pa.array` grows as it goes, eight times as long."""
    values = pa.py_buffer(b"".join(frames))
    if codec == "raw":
        return pa.FixedSizeBinaryArray.from_buffers(pa.binary(size * size), len(frames), [None, values])
    ends = np.cumsum([0, *map(len, frames)], dtype=np.int32)
    return pa.Array.from_buffers(pa.binary(), len(frames), [None, pa.py_buffer(ends), values])


def view_frames(column: pa.Array, codec: Codec, *, size: int) -> Frames:
    """`column` of a mapped shard without a copy; it must have been validated, since `raw` trusts its buffer."""
    if codec == "zstd":
        return column
    pixels = column.buffers()[1]
    return np.frombuffer(pixels, dtype=np.uint8, count=len(column) * size * size).reshape(-1, size, size)


class FrameReader:
    """Copies frames into images. It holds a decompressor, which threads cannot share: each reader has its own."""

    def __init__(self) -> None:
        self._zstd = ZstdDecompressor()

    def copy(self, frames: Frames, row: int, image: npt.NDArray[np.uint8]) -> bool:
        """Fills `image` [size, size] with frame `row`; whether it was whole. `sum_rows` makes pixels of zstd frames."""
        if isinstance(frames, np.ndarray):
            image[:] = frames[row]
            return True
        frame = frames[row].as_buffer()
        try:
            # A frame of another size would leave rows unwritten, or its checksum unread.
            return frame_content_size(frame) == image.nbytes == self._zstd.stream_reader(frame).readinto(image)
        except ZstdError:
            return False


def sum_rows(images: npt.NDArray[np.uint8]) -> None:
    """Turns row differences [n, size, size] into pixels, in place.

    One addition of a row of all images at a time: numpy's `accumulate` takes three times as long down the rows, and
    eleven times along them.
    """
    for row in range(1, images.shape[1]):
        np.add(images[:, row], images[:, row - 1], out=images[:, row])


def _row_differences(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    differences = np.empty_like(image, order="C")
    differences[0] = image[0]
    np.subtract(image[1:], image[:-1], out=differences[1:])
    return differences
