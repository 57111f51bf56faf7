from dataclasses import asdict

import cv2
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import JPEG2000Lossless

from cxr_pipeline.images.decode.letterbox import Letterbox, letterbox
from cxr_pipeline.images.decode.pixels import decode_radiograph
from cxr_pipeline.storage.lake import read_table, write_table
from cxr_pipeline.tables.images import StoreIndex
from cxr_pipeline_tests.images.conftest import encode
from cxr_pipeline_tests.images.decode.dicom.dicoms import dicom_of

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


numbers = st.floats(0, 4000, allow_nan=False)
placements = st.builds(
    letterbox,
    st.integers(32, 4000),
    st.integers(32, 4000),
    size=st.integers(32, 1024),
    pixel_aspect=st.floats(0.3, 3),
    crop_top=st.integers(0, 500),
    crop_left=st.integers(0, 500),
)


@given(placements, st.lists(st.tuples(numbers, numbers, numbers, numbers), min_size=1, max_size=5))
def test_any_box_comes_back_from_any_placement(box, boxes):
    np.testing.assert_allclose(box.to_source(box.to_stored(np.array(boxes))), boxes, rtol=1e-9, atol=1e-6)


@given(placements)
def test_content_lies_within_the_square_and_keeps_the_true_aspect(box):
    size = max(box.height, box.width)
    assert 0 <= box.top <= size - box.height
    assert 0 <= box.left <= size - box.width
    assert Letterbox(**asdict(box)) == box


def test_a_placement_comes_back_from_the_index_of_a_store(tmp_path):
    placed = letterbox(100, 81, size=50, pixel_aspect=1.3, crop_top=3, crop_left=4)
    row = dict.fromkeys(StoreIndex.columns()) | {"source_path": "a", "source_bytes": 1, "source_digest": "0"}
    stored = {"shard": "a", "row": 0, "dhash": b"", "mean": 1.0, "spread": 1.0, "transform": asdict(placed)}
    rows = [row | stored | {"image_id": "nih/1"}, row | {"image_id": "nih/2", "quarantine": "blank"}]
    for some in (rows, rows[1:]):
        write_table(tmp_path / "index.parquet", pl.DataFrame(some), StoreIndex)
        found = read_table(tmp_path / "index.parquet", StoreIndex)["transform"].to_list()
        assert [box and Letterbox(**box) for box in found] == [placed, None][-len(some) :]


def test_what_is_left_after_a_crop_becomes_the_content():
    box = letterbox(100, 80, size=50, crop_top=30, crop_left=12)
    np.testing.assert_allclose(box.to_stored(np.array([[12, 30, 80, 100]])), [[5, 0, 40, 50]])


def test_boxes_on_pixels_that_are_not_square_move_by_their_own_axis():
    box = letterbox(100, 200, size=100, pixel_aspect=2.0)
    np.testing.assert_allclose(box.to_stored(np.array([[20, 10, 40, 30]])), [[10, 10, 20, 30]])


@pytest.mark.parametrize(("height", "width", "size"), [(384, 192, 96), (192, 384, 96), (320, 320, 80), (48, 32, 96)])
def test_a_drawn_box_is_found_where_the_letterbox_says(height, width, size):
    x, y, box_width, box_height = width // 8, height // 4, width // 2, height // 2
    source = np.full((height, width), 20, np.uint8)
    source[y : y + box_height, x : x + box_width] = 250
    stored = decode_radiograph(encode(source), size=size).pixels
    found = cv2.boundingRect((stored > 135).astype(np.uint8))
    expected = letterbox(height, width, size=size).to_stored(np.array([[x, y, box_width, box_height]]))
    np.testing.assert_array_equal(np.array([found]), expected)


def test_a_drawn_box_is_found_after_a_crop():
    source = np.zeros((480, 400), np.uint8)
    source[96:, 80:] = 20
    source[192:288, 160:240] = 250
    radiograph = decode_radiograph(encode(source), size=96, crop_borders=True)
    found = cv2.boundingRect((radiograph.pixels > 135).astype(np.uint8))
    expected = radiograph.placement.to_stored(np.array([[160, 192, 80, 96]]))
    np.testing.assert_array_equal(np.array([found]), expected)
    np.testing.assert_allclose(radiograph.placement.to_source(expected), [[160, 192, 80, 96]])


@pytest.mark.parametrize("form", ["JPEG", "JPEG2000Lossless"])
def test_a_drawn_box_is_found_at_a_fraction_of_the_size(form):
    source = np.full((1001, 803), 20, np.uint8)
    source[300:700, 200:600] = 250
    data = encode(source, "JPEG") if form == "JPEG" else dicom_of(source, syntax=JPEG2000Lossless, bits=8)
    radiograph = decode_radiograph(data, size=96)
    place, grey = radiograph.placement, radiograph.pixels.astype(float)
    expected = place.to_stored(np.array([[200, 300, 400, 400]]))[0]
    content = (place.content(grey) - 20) / 230
    middle = np.s_[len(content) // 2 - 5 : len(content) // 2 + 5]
    width, height = content[middle].mean(axis=0).sum(), content[:, middle].mean(axis=1).sum()  # edges are partly grey
    np.testing.assert_allclose([width, height], expected[2:], atol=0.15)
    centre = np.average(np.arange(len(content)) + 0.5, weights=content.sum(axis=1))
    assert centre + place.top == pytest.approx(expected[1] + expected[3] / 2, abs=0.05)
