import cv2
import numpy as np
import pytest

from cxr_pipeline.images.decode.resize import HALVING_RATIO, resize
from cxr_pipeline_tests.images.decode.dicom.dicoms import values_of


def whole(values):
    return 0.0, 0.0, float(values.shape[0]), float(values.shape[1])


def area(values, height, width):
    return cv2.resize(values.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize(("height", "width"), [(20, 30), (37, 41), (64, 64)])
def test_rows_and_columns_are_averaged_by_area_as_opencv_does(height, width):
    values = values_of(height=101, width=117).astype(np.float32)
    moved = np.pad(values, ((1, 0), (1, 0)))
    box = (1.0 + 1e-9, 1.0 + 1e-9, 102.0, 118.0)  # not whole pixels, so not left to OpenCV
    np.testing.assert_allclose(resize(moved, box, height=height, width=width), area(values, height, width), rtol=1e-4)


def test_part_of_a_pixel_counts_by_its_part():
    row = np.array([[0, 10, 20, 30]] * 4, dtype=np.uint8)
    np.testing.assert_allclose(resize(row, (0.0, 0.5, 4.0, 3.5), height=1, width=1), [[15]])
    np.testing.assert_allclose(resize(row, (0.0, 0.25, 4.0, 1.75), height=1, width=1), [[5]])


def test_beyond_its_edges_a_picture_goes_on_as_it_ends():
    row = np.array([[0, 10, 20, 30]] * 4, dtype=np.uint8)
    np.testing.assert_allclose(resize(row, (0.0, 2.5, 4.0, 4.5), height=1, width=2), [[25, 30]])


@pytest.mark.parametrize(("height", "width"), [(1000, 900), (997, 901), (1003, 747)])
def test_halving_first_changes_16_bit_values_by_less_than_a_grey_level(height, width):
    values = values_of(height=height, width=width) + np.random.default_rng(0).integers(0, 50, (height, width))
    small = resize(values.astype(np.uint16), whole(values), height=100, width=90)
    assert min(height / 100, width / 90) >= HALVING_RATIO
    assert 10 * np.log10(4095**2 / np.mean((small - area(values, 100, 90)) ** 2)) > 58


def test_8_bit_values_are_rounded_once():
    values = values_of(top=250, dtype=np.uint8, height=256, width=256)
    np.testing.assert_array_equal(
        resize(values, whole(values), height=32, width=32), np.rint(values.reshape(32, 8, 32, 8).mean(axis=(1, 3)))
    )


def test_small_pictures_are_enlarged_smoothly():
    values = values_of(top=250, dtype=np.uint8)
    large = resize(values, whole(values), height=128, width=128)
    np.testing.assert_array_equal(large, cv2.resize(values, (128, 128), interpolation=cv2.INTER_CUBIC))
