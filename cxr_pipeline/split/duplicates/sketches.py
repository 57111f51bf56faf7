"""A second way to candidates, for copies whose edges were cut: coarse sketches of pictures, and close pairs of them.

A crop of 2 % moves every edge in the picture: the hash of half the images then differs in more than 8 bits.
"""

import cv2
import numpy as np
import numpy.typing as npt

from cxr_pipeline.split.duplicates.hash_search import Pairs, Words, equal_key_pairs, unique_pairs

Sketches = npt.NDArray[np.float32]  # [n, SKETCH_SIZE]

SKETCH_SIZE = 20  # lowest frequencies of the cosine transform, without the mean
MAX_SKETCH_BITS = 32  # hashes of a cropped copy differ in up to 31 bits (248 NIH images, 2 % off the left edge)
_SIDE = 16
_TABLES, _KEY_BITS = 24, 22


def sketch_picture(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Sketch [SKETCH_SIZE] of grey pixels [height, width] without letterbox bars; gain and offset leave it alone.

    Half the squared distance of two sketches is at most one minus the correlation of the two pictures at 16x16.
    """
    cells = cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    cells -= cells.mean()
    return _cosines() @ (cells / (np.linalg.norm(cells) + 1e-6)).ravel()


def sketch_distances(sketches: Sketches, pairs: Pairs) -> npt.NDArray[np.float32]:
    """Half the squared distance [m] of each pair: 0 for equal pictures, about 0.4 for two radiographs."""
    return ((sketches[pairs[:, 0]] - sketches[pairs[:, 1]]) ** 2).sum(axis=1) / 2


def close_sketches(sketches: Sketches, words: Words, *, distance: float) -> Pairs:
    """Pairs of rows whose sketches lie within `distance`, and their hashes within MAX_SKETCH_BITS.

    Locality-sensitive hashing (Charikar 2002, doi:10.1145/509907.509965): the signs of random projections are keys,
    tried in several tables. So this one is not exact: a pair at the far end is missed now and then, the same pairs
    each time. Projections are drawn from a fixed seed, of sketches scaled by the median and spread of the data.
    """
    rng = np.random.default_rng(0)
    scaled = _scale(sketches)
    found = [np.empty((0, 2), dtype=np.int64)]
    for _ in range(_TABLES):
        keys = _keys(scaled @ rng.standard_normal((SKETCH_SIZE, _KEY_BITS), dtype=np.float32))
        pairs = equal_key_pairs(keys, words, radius=MAX_SKETCH_BITS)
        found.append(unique_pairs(pairs[sketch_distances(sketches, pairs) <= distance]))
    return unique_pairs(np.concatenate(found))


def _scale(sketches: Sketches) -> Sketches:
    if not len(sketches):
        return sketches
    spread = sketches.std(axis=0)
    return np.divide(sketches - np.median(sketches, axis=0), np.where(spread > 0, spread, 1), dtype=np.float32)


def _keys(projected: npt.NDArray[np.float32]) -> npt.NDArray[np.uint64]:
    octets = np.packbits(projected > 0, axis=1)
    keys = np.zeros(len(octets), dtype=np.uint64)
    for octet in octets.T:
        keys = keys << np.uint64(8) | octet
    return keys


def _cosines() -> npt.NDArray[np.float32]:
    """Orthonormal basis [SKETCH_SIZE, 256] of the lowest frequencies of a 16x16 picture (DCT-II)."""
    place = np.arange(_SIDE)
    waves = np.cos(np.pi * (2 * place + 1) * place[:, None] / (2 * _SIDE)) * np.sqrt(2 / _SIDE)
    waves[0] /= np.sqrt(2)
    frequencies = sorted(((i, j) for i in range(_SIDE) for j in range(_SIDE)), key=lambda ij: (sum(ij), ij))
    chosen = frequencies[1 : SKETCH_SIZE + 1]
    return np.stack([np.outer(waves[i], waves[j]).ravel() for i, j in chosen]).astype(np.float32)
