import cv2
import numpy as np
import pytest

from cxr_pipeline.images.letterbox import letterbox
from cxr_pipeline.images.pixels import decode_radiograph
from cxr_pipeline_tests.images.conftest import encode

SHAPES = [(64, 64), (390, 320), (320, 390), (2022, 2021), (40, 97), (33, 99)]


def test_a_wide_picture_lies_in_the_middle_with_bars_above_and_below():
    box = letterbox(100, 200, size=50)
    assert (box.top, box.left, box.height, box.width) == (12, 0, 25, 50)
    assert (box.scale_y, box.scale_x) == (0.25, 0.25)


@pytest.mark.parametrize(("height", "width"), SHAPES)
def test_the_whole_picture_becomes_the_content(height, width):
    box = letterbox(height, width, size=96)
    whole = np.array([[0, 0, width, height]])
    np.testing.assert_allclose(box.to_stored(whole), [[box.left, box.top, box.width, box.height]])
    assert max(box.height, box.width) == 96
    assert box.content(np.zeros((96, 96), np.uint8)).shape == (box.height, box.width)


@pytest.mark.parametrize(("height", "width"), SHAPES)
def test_boxes_come_back_from_the_stored_square(height, width):
    boxes = np.random.default_rng(0).uniform(0, 30, (20, 4))
    box = letterbox(height, width, size=96)
    np.testing.assert_allclose(box.to_source(box.to_stored(boxes)), boxes, atol=1e-9)


@pytest.mark.parametrize(("height", "width", "size"), [(384, 192, 96), (192, 384, 96), (320, 320, 80), (48, 32, 96)])
def test_a_drawn_box_is_found_where_the_letterbox_says(height, width, size):
    x, y, box_width, box_height = width // 8, height // 4, width // 2, height // 2
    source = np.full((height, width), 20, np.uint8)
    source[y : y + box_height, x : x + box_width] = 250
    stored = decode_radiograph(encode(source), size=size).pixels
    found = cv2.boundingRect((stored > 135).astype(np.uint8))
    expected = letterbox(height, width, size=size).to_stored(np.array([[x, y, box_width, box_height]]))
    np.testing.assert_array_equal(np.array([found]), expected)
