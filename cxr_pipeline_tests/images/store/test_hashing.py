import cv2
import numpy as np
import pytest

from cxr_pipeline.images.store.hashing import HASH_BITS, difference_hash, hamming
from cxr_pipeline_tests.images.conftest import picture


def _resized(pixels, side):
    return cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)


def test_bits_say_where_a_cell_is_brighter_than_its_left_neighbour():
    stairs = np.repeat(np.arange(17, dtype=np.uint8) * 10, 8)
    rising = np.tile(stairs, (128, 1))
    assert difference_hash(rising) == b"\xff" * 32
    assert difference_hash(rising[:, ::-1]) == b"\x00" * 32
    upper_half = np.vstack([rising[:64], rising[:64, ::-1]])
    assert difference_hash(upper_half)[:14] == b"\xff" * 14
    assert difference_hash(upper_half)[18:] == b"\x00" * 14


def test_the_first_bit_is_the_left_top_cell():
    pixels = np.zeros((16, 17), np.uint8)
    pixels[0, 1:] = 200
    assert difference_hash(pixels)[:2] == b"\x80\x00"


def test_flat_areas_give_no_bits():
    noise = np.random.default_rng(0).integers(100, 102, (256, 256)).astype(np.uint8)
    assert difference_hash(noise) == b"\x00" * 32


def test_hamming_counts_the_bits_that_differ():
    bits = np.random.default_rng(0).integers(0, 2, (2, HASH_BITS))
    a, b = np.packbits(bits, axis=1)
    assert hamming(a.tobytes(), b.tobytes()) == int((bits[0] != bits[1]).sum())
    assert hamming(a.tobytes(), a.tobytes()) == 0


def test_another_picture_has_another_hash():
    hashes = [difference_hash(picture(seed, height=128, width=128)) for seed in range(5)]
    assert min(hamming(a, b) for i, a in enumerate(hashes) for b in hashes[:i]) > 40


@pytest.mark.realdata
def test_a_radiograph_keeps_its_hash_at_any_resolution(nih_folder):
    paths = sorted(nih_folder.glob("images_*/images/*.png"))[::6]
    originals = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths]
    hashes = [difference_hash(pixels) for pixels in originals]
    for side in (384, 224, 64):
        smaller = [difference_hash(_resized(pixels, side)) for pixels in originals]
        assert max(map(hamming, hashes, smaller)) <= 4
    assert min(hamming(a, b) for i, a in enumerate(hashes) for b in hashes[:i]) >= 18


@pytest.mark.realdata
def test_the_known_duplicate_of_nih_has_the_same_hash(nih_224_folder):
    first, second, other = (
        difference_hash(cv2.imread(str(nih_224_folder / "images-224" / f"{name}.png"), cv2.IMREAD_GRAYSCALE))
        for name in ("00002658_001", "00002658_002", "00002665_001")
    )
    assert hamming(first, second) == 0
    assert hamming(first, other) > 8
