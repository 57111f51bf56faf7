"""All pairs of difference hashes that are close: exact search among a million, without a loop over pairs.

What a hash is lives in `images.hashing`; whether two close hashes are the same radiograph, in `pixel_match`.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from cxr_pipeline.images.store.hashing import HASH_BITS

Words = npt.NDArray[np.uint64]  # [n, 4]: 256 bits a row
Pairs = npt.NDArray[np.int64]  # [m, 2]: rows i < j

MIN_SET_BITS = 16  # fewer: a flat picture, whose hash is near that of any other. 1,253 NIH images have 55 or more
MAX_FAMILY = 64  # in larger families of equal hashes, each is compared with the 64 rows that follow it
_GROUPS = 3
_MIN_RADIUS = 4  # below, a block would have more than 32 bits


def hash_words(hashes: list[bytes]) -> Words:
    """Hashes of 32 bytes as rows [n, 4] of 64-bit words."""
    return np.frombuffer(b"".join(hashes), dtype=np.uint64).reshape(-1, HASH_BITS // 64)


def hamming_distances(words: Words, pairs: Pairs) -> npt.NDArray[np.int16]:
    """Bits [m] in which the two hashes of each pair differ."""
    return _count_bits(words[pairs[:, 0]] ^ words[pairs[:, 1]])


def first_of_each(words: Words) -> npt.NDArray[np.int64]:
    """The first row of each distinct hash that is not flat, ascending."""
    order, families = _families(words)
    is_first = np.diff(families, prepend=-1) > 0
    rows = order[is_first]
    return np.sort(rows[_count_bits(words[rows]) >= MIN_SET_BITS])


def near_pairs(words: Words, *, radius: int) -> Pairs:
    """Every pair of rows whose hashes differ in at most `radius` bits, sorted; flat hashes (MIN_SET_BITS) in none.

    Exact but for families of more than MAX_FAMILY equal hashes, which give a number of pairs that grows with their
    size and not with its square.
    """
    order, families = _families(words)
    starts = np.flatnonzero(np.diff(families, prepend=-1))
    is_rich = _count_bits(words[order[starts]]) >= MIN_SET_BITS
    rich = np.flatnonzero(is_rich)
    equal = np.concatenate([*_equal_neighbours(families, limit=MAX_FAMILY), np.empty((0, 2), np.int64)])
    equal = equal[is_rich[families[equal[:, 0]]]]
    near = rich[_search(words[order[starts[rich]]], radius)]
    sizes = np.minimum(np.diff(starts, append=len(order)), MAX_FAMILY)
    return unique_pairs(order[np.concatenate([equal, _members(near, starts, sizes)])])


def equal_key_pairs(keys: npt.NDArray[np.uint64], words: Words, *, radius: int) -> Pairs:
    """Pairs of rows with the same key whose hashes differ in at most `radius` bits."""
    order = np.argsort(keys, kind="stable")
    ordered, found = words[order], [np.empty((0, 2), np.int64)]
    for pairs in _equal_neighbours(keys[order]):
        found.append(pairs[hamming_distances(ordered, pairs) <= radius])
    return order[np.concatenate(found)]


def unique_pairs(pairs: Pairs) -> Pairs:
    """Each pair once, the smaller row first, in ascending order."""
    low, high = pairs.min(axis=1), pairs.max(axis=1)
    span = int(high.max(initial=0)) + 1
    return np.stack(np.divmod(np.unique(low * span + high), span), axis=1)


def _search(words: Words, radius: int) -> Pairs:
    """The pigeonhole principle over keys of two blocks: `radius` flips leave 4 of `radius` + 4 blocks intact, and of 4
    blocks in 3 groups two are in the same. With 8 bits that is 18 keys of 42 bits, which different radiographs share
    thirty times less often than one of the 9 blocks of 28 bits that suffice for the same guarantee.
    """
    blocks = _blocks(words, max(radius, _MIN_RADIUS) + _GROUPS + 1)
    found = [
        unique_pairs(equal_key_pairs(blocks[a] << np.uint64(32) | blocks[b], words, radius=radius))
        for group in range(_GROUPS)
        for a, b in combinations(range(group, len(blocks), _GROUPS), 2)
    ]
    return unique_pairs(np.concatenate(found))


def _blocks(words: Words, count: int) -> npt.NDArray[np.uint64]:
    """The bits of each hash dealt into `count` blocks [count, n], at most 32 bits each.

    Dealt, not cut: neighbouring cells of a radiograph go together, so a run of them is often equal in all of them.
    """
    octets = words.view(np.uint8)
    blocks = np.zeros((count, len(words)), dtype=np.uint64)
    down_the_columns = np.arange(HASH_BITS).reshape(16, 16).T.ravel()
    for place, bit in enumerate(down_the_columns):
        block = blocks[place % count]
        block <<= np.uint64(1)
        block |= (octets[:, bit // 8] >> np.uint8(7 - bit % 8)) & np.uint8(1)
    return blocks


def _equal_neighbours(keys: npt.NDArray[Any], *, limit: int | None = None) -> Iterator[Pairs]:
    """Pairs of places in the sorted `keys` that hold the same key: first those one apart, then two, to `limit`."""
    places = np.flatnonzero(keys[1:] == keys[:-1])
    step = 1
    while len(places):
        yield np.stack([places, places + step], axis=1)
        step += 1
        if limit is not None and step > limit:
            return
        places = places[places < len(keys) - step]
        places = places[keys[places] == keys[places + step]]


def _families(words: Words) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(order of rows by hash and row, number of the distinct hash at each place of that order)."""
    order = np.lexsort(words.T)
    ordered = words[order]
    return order, np.cumsum(np.append([False], (ordered[1:] != ordered[:-1]).any(axis=1))[: len(order)])


def _members(near: Pairs, starts: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> Pairs:
    """Pairs of families as pairs of places: every member of one with every member of the other."""
    width = sizes[near[:, 1]]
    counts = sizes[near[:, 0]] * width
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    first, second = np.divmod(within, np.repeat(width, counts))
    base = np.repeat(starts[near], counts, axis=0)
    return base + np.stack([first, second], axis=1)


def _count_bits(words: Words) -> npt.NDArray[np.int16]:
    return np.bitwise_count(words).sum(axis=1, dtype=np.int16)
