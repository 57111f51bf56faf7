"""Perceptual hashes that tell whether two files show the same radiograph. Grouping by them does not live here."""

import numpy as np
import numpy.typing as npt
from PIL import Image

HASH_BITS = 256
_DEAD_ZONE = 0.5  # grey levels: flat areas then give 0 at every resolution, where rounding noise would flip bits


def difference_hash(pixels: npt.NDArray[np.uint8]) -> bytes:
    """16x16 difference hash of grey `pixels` [height, width]: 32 bytes, row by row, most significant bit first.

    A bit is set where a cell is brighter than its left neighbour. Pass the picture without letterbox bars. The usual
    64-bit hashes are useless on chest radiographs, which all look alike (measured: 175 false pairs). Triangle-filtered
    floats, not the usual 8-bit thumbnail, make the hash hold over resolutions: on 248 NIH originals at most 4 bits
    differ between 1024, 384, 224 and 64 pixels (10 with 8-bit Lanczos), and at least 21 between different images.
    """
    picture = Image.fromarray(np.ascontiguousarray(pixels, dtype=np.float32))
    cells = np.asarray(picture.resize((17, 16), Image.Resampling.BILINEAR))
    return np.packbits(cells[:, 1:] > cells[:, :-1] + _DEAD_ZONE).tobytes()


def hamming(a: bytes, b: bytes) -> int:
    """Number of bits, 0..256, in which two difference hashes differ."""
    return (int.from_bytes(a) ^ int.from_bytes(b)).bit_count()
