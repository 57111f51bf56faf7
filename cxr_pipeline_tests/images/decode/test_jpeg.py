"""JPEG at a fraction of its size is the same picture; damage is noticed at every fraction."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode.jpeg import OVERSAMPLING, FrameHeader, decode_jpeg, read_frame_header
from cxr_pipeline.images.decode.pixels import decode_radiograph
from cxr_pipeline_tests.images.conftest import encode, picture


def decibels(stored, exact):
    """Peak signal to noise ratio of 8-bit pixels."""
    return 10 * np.log10(255**2 / np.mean((stored - exact) ** 2))


@pytest.mark.parametrize(("height", "width"), [(1024, 1024), (1023, 1001), (1160, 1414), (997, 1013)])
@pytest.mark.parametrize("size", [64, 200, 384])
def test_a_fraction_of_the_size_gives_the_picture_of_a_full_decode(height, width, size):
    rng = np.random.default_rng(0)
    noisy = picture(0, height=height, width=width) + rng.normal(0, 4, (height, width))
    data = encode(np.clip(noisy, 0, 255).astype(np.uint8), "JPEG")
    radiograph = decode_radiograph(data, size=size)
    whole = np.asarray(Image.open(io.BytesIO(data)), dtype=np.float32)
    place = radiograph.placement
    exact = cv2.resize(whole, (place.width, place.height), interpolation=cv2.INTER_AREA)
    assert decibels(place.content(radiograph.pixels), exact) > 50


@pytest.mark.parametrize(("side", "factor"), [(2828, 4), (3056, 4), (2000, 2), (1343, 1), (6000, 8)])
def test_the_largest_fraction_is_taken_that_leaves_enough(side, factor):
    data = encode(np.zeros((side // 2, side), np.uint8), "JPEG")
    plane = decode_jpeg(data, stored_side=384).plane
    assert (plane.factor, plane.values.shape) == (factor, (-(-(side // 2) // factor), -(-side // factor)))
    assert plane.values.shape[1] >= OVERSAMPLING * 384 or factor == 1
    assert decode_jpeg(data, stored_side=None).plane.factor == 1


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 4}])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_no_truncation_ever_passes(mode, options):
    buffer = io.BytesIO()
    Image.fromarray(picture(0, height=256, width=256)).convert(mode).save(buffer, "JPEG", **options)
    data = buffer.getvalue()
    for end in range(4, len(data) - 1, len(data) // 60):
        with pytest.raises(ImageError) as error:
            decode_jpeg(data[:end], stored_side=32)
        assert error.value.reason == "truncated"


def test_damage_in_the_middle_that_pillow_reads_over_is_noticed():
    data = bytearray(encode(picture(0, height=256, width=256), "JPEG"))
    middle = len(data) // 2
    data[middle : middle + 64] = np.random.default_rng(0).bytes(64)
    assert np.asarray(Image.open(io.BytesIO(data))).shape == (256, 256)
    with pytest.raises(ImageError) as error:
        decode_jpeg(bytes(data), stored_side=32)
    assert error.value.reason == "damaged"


@pytest.mark.parametrize(("mode", "photometric"), [("L", "MONOCHROME2"), ("RGB", "YCBCR"), ("CMYK", "CMYK")])
def test_colours_are_named_as_stored(mode, photometric):
    exposure = decode_jpeg(encode(picture(0), "JPEG", mode=mode), stored_side=None)
    assert (exposure.photometric, exposure.mode, exposure.bit_depth) == (photometric, f"{mode}8", 8)


def test_colour_jpeg_at_a_fraction_is_luma():
    grey = picture(0, height=512, width=512)
    tint = np.dstack([grey, np.clip(grey - 20.0, 0, 255), np.clip(grey - 10.0, 0, 255)]).astype(np.uint8)
    stored = decode_radiograph(encode(tint, "JPEG"), size=64).pixels
    exact = (tint @ np.array([0.299, 0.587, 0.114])).reshape(64, 8, 64, 8).mean(axis=(1, 3))
    np.testing.assert_allclose(stored, exact, atol=2)


def test_bytes_after_the_end_are_ignored():
    data = encode(picture(0), "JPEG")
    whole = decode_jpeg(data, stored_side=None).plane.values
    np.testing.assert_array_equal(decode_jpeg(data + bytes(20), stored_side=None).plane.values, whole)


def test_the_frame_header_is_found_behind_other_segments():
    assert read_frame_header(encode(picture(0, height=40, width=50), "JPEG")) == FrameHeader(8, 40, 50, 1)
    for broken in (b"", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\x00\x00" * 9):
        with pytest.raises(ImageError) as error:
            read_frame_header(broken)
        assert error.value.reason == "damaged"
