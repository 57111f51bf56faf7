import cv2
import numpy as np
from scipy.fft import dctn

from cxr_pipeline.images.store.hashing import difference_hash
from cxr_pipeline.split.duplicates.hash_search import hamming_distances, hash_words
from cxr_pipeline.split.duplicates.sketches import SKETCH_SIZE, close_sketches, sketch_distances, sketch_picture
from cxr_pipeline_tests.images.conftest import picture
from cxr_pipeline_tests.split.stores import cropped, resized


def sketches_of(pictures: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return np.stack([sketch_picture(one) for one in pictures]), hash_words([difference_hash(one) for one in pictures])


def correlation_16(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(*(cv2.resize(x, (16, 16), interpolation=cv2.INTER_AREA).ravel() for x in (a, b)))[0, 1])


def test_sketch_is_the_lowest_frequencies_of_the_cosine_transform():
    cells = picture(3, height=16, width=16).astype(float)
    cells -= cells.mean()
    reference = dctn(cells / np.linalg.norm(cells), norm="ortho")
    low = [reference[i, j] for total in range(1, 6) for i in range(total + 1) for j in [total - i]]
    assert len(low) == SKETCH_SIZE
    np.testing.assert_allclose(sketch_picture(cells.astype(np.float32)), low, atol=1e-5)


def test_gain_and_offset_leave_a_sketch_alone():
    one = picture(1, height=128, width=128).astype(np.float32)
    np.testing.assert_allclose(sketch_picture(one), sketch_picture(one * 0.5 + 40), atol=1e-5)


def test_distance_is_at_most_one_minus_the_correlation():
    pictures = [picture(seed, height=96, width=96) for seed in range(12)]
    sketches, _ = sketches_of(pictures)
    pairs = np.array([(i, j) for i in range(12) for j in range(i + 1, 12)])
    bounds = [1 - correlation_16(pictures[i], pictures[j]) for i, j in pairs]
    assert (sketch_distances(sketches, pairs) <= np.array(bounds) + 1e-5).all()


def test_cropped_copies_are_found_though_their_hashes_are_far():
    originals = [picture(seed, height=256, width=256) for seed in range(300)]
    copies = [resized(cropped(one, 0.04), 256) for one in originals]
    sketches, words = sketches_of(originals + copies)
    planted = np.stack([np.arange(300), np.arange(300) + 300], axis=1)
    found = set(map(tuple, close_sketches(sketches, words, distance=0.03).tolist()))
    within = planted[(sketch_distances(sketches, planted) <= 0.03) & (hamming_distances(words, planted) <= 32)]
    assert len(within) > 250
    assert (hamming_distances(words, within) > 8).sum() > 30
    assert sum(tuple(pair) in found for pair in within.tolist()) >= 0.98 * len(within)
    assert all(sketch_distances(sketches, np.array([pair]))[0] <= 0.03 for pair in found)


def test_the_same_pictures_give_the_same_pairs():
    sketches, words = sketches_of([picture(seed % 40, height=64, width=64) for seed in range(80)])
    first, second = (close_sketches(sketches, words, distance=0.03) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert {(i, i + 40) for i in range(40)} <= set(map(tuple, first.tolist()))


def test_no_pictures_give_no_pairs():
    empty = np.empty((0, SKETCH_SIZE), np.float32)
    assert close_sketches(empty, hash_words([]), distance=0.03).shape == (0, 2)
