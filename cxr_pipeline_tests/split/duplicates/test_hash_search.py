import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cxr_pipeline.images.store.hashing import HASH_BITS, hamming
from cxr_pipeline.split.duplicates.hash_search import (
    MAX_FAMILY,
    MIN_SET_BITS,
    first_of_each,
    hamming_distances,
    hash_words,
    near_pairs,
    unique_pairs,
)


def words_of(bits: np.ndarray) -> np.ndarray:
    return np.packbits(bits.astype(bool), axis=1).view(np.uint64)


def alike(count: int, seed: int = 0) -> np.ndarray:
    """Bits [count, 256] in the way of radiographs: neighbours go together, and so do most images."""
    rng = np.random.default_rng(seed)
    latent = rng.standard_normal((count, 12)) @ rng.standard_normal((12, HASH_BITS))
    return latent + rng.standard_normal(HASH_BITS) * 3 + rng.standard_normal((count, HASH_BITS)) > 0


def flipped(bits: np.ndarray, places: list[int]) -> np.ndarray:
    changed = bits.copy()
    changed[places] ^= True
    return changed


def brute_force(words: np.ndarray, radius: int) -> list[tuple[int, int]]:
    hashes = [row.tobytes() for row in words]
    return [
        (i, j) for i in range(len(hashes)) for j in range(i + 1, len(hashes)) if hamming(hashes[i], hashes[j]) <= radius
    ]


@pytest.mark.parametrize("radius", [0, 1, 4, 8, 12])
def test_finds_exactly_the_pairs_of_brute_force(radius: int):
    rng = np.random.default_rng(1)
    bits = alike(200)
    copies = [flipped(bits[i], rng.choice(HASH_BITS, rng.integers(0, 15), replace=False)) for i in range(100)]
    words = words_of(np.concatenate([bits, copies, bits[:7]]))
    found = near_pairs(words, radius=radius)
    expected = brute_force(words, radius)
    assert len(expected) > 7
    assert list(map(tuple, found.tolist())) == expected
    assert hamming_distances(words, found).max() <= radius


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, HASH_BITS - 1), min_size=9, max_size=9), st.integers(0, 50))
def test_no_eight_flipped_bits_hide_a_copy_and_the_ninth_does(places: set[int], seed: int):
    original = alike(1, seed)[0]
    flips = sorted(places)
    eight, nine = (words_of(np.stack([original, flipped(original, flips[:count])])) for count in (8, 9))
    assert near_pairs(eight, radius=8).tolist() == [[0, 1]]
    assert near_pairs(nine, radius=8).tolist() == []


def test_flat_hashes_pair_with_nothing_not_even_with_their_equals():
    flat = np.zeros((3, HASH_BITS), bool)
    flat[1, : MIN_SET_BITS - 1] = flat[2, : MIN_SET_BITS - 1] = True
    assert near_pairs(words_of(flat), radius=8).tolist() == []
    flat[1:, MIN_SET_BITS - 1] = True
    assert near_pairs(words_of(flat), radius=8).tolist() == [[1, 2]]


def test_large_family_of_equal_hashes_stays_connected_without_all_its_pairs():
    count = 3000
    pairs = near_pairs(words_of(np.repeat(alike(1), count, axis=0)), radius=8)
    assert len(pairs) < count * MAX_FAMILY
    graph = coo_array((np.ones(len(pairs)), tuple(pairs.T)), shape=(count, count))
    assert connected_components(graph)[0] == 1


def test_every_member_of_a_family_meets_every_member_of_a_near_one():
    first = alike(1)[0]
    second = flipped(first, [3, 77, 200])
    pairs = near_pairs(words_of(np.stack([second, first, first, second, first])), radius=3)
    assert len(pairs) == 10


def test_one_row_stands_for_each_distinct_hash():
    bits = alike(3)
    words = words_of(bits[[2, 0, 2, 1, 0]])
    assert first_of_each(words).tolist() == [0, 1, 3]


def test_no_rows_give_no_pairs():
    assert near_pairs(hash_words([]), radius=8).shape == (0, 2)
    assert near_pairs(hash_words([b"\x5a" * 32]), radius=8).shape == (0, 2)


def test_pairs_are_told_once_with_the_smaller_row_first():
    assert unique_pairs(np.array([[4, 1], [0, 3], [1, 4]])).tolist() == [[0, 3], [1, 4]]
