"""A reduced JPEG 2000 picture lies where the whole one does, whatever its size, depth and sign."""

import cv2
import imagecodecs
import numpy as np
import pytest

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode.exposure import check_decoded
from cxr_pipeline.images.decode.jpeg2000 import OVERSAMPLING, decode_jpeg_2000, read_code_stream
from cxr_pipeline.images.decode.letterbox import letterbox
from cxr_pipeline.images.decode.resize import resize
from cxr_pipeline_tests.images.decode.dicom.dicoms import values_of


def code_stream(values, **options):
    return imagecodecs.jpeg2k_encode(values, level=0, codecformat="j2k", reversible=True, **options)


def reduced(values, size, **options):
    data = code_stream(values, **options)
    plane = decode_jpeg_2000(data, read_code_stream(data), stored_side=size)
    return check_decoded(plane, *values.shape)


@pytest.mark.parametrize(("height", "width"), [(512, 512), (511, 421), (513, 397), (490, 501)])
@pytest.mark.parametrize("size", [64, 100, 150])
def test_a_reduced_picture_is_that_of_a_full_decode(height, width, size):
    values = values_of(height=height, width=width) + np.random.default_rng(0).integers(0, 80, (height, width))
    plane = reduced(values.astype(np.uint16), size, bitspersample=13)
    assert plane.factor > 1
    assert plane.values.shape[0] >= OVERSAMPLING * size * height / max(height, width) - 1
    box = letterbox(height, width, size=size)
    bottom, right = (side / plane.factor + plane.phase for side in (height, width))
    small = resize(plane.values, (plane.phase, plane.phase, bottom, right), height=box.height, width=box.width)
    exact = cv2.resize(values.astype(np.float32), (box.width, box.height), interpolation=cv2.INTER_AREA)
    assert 10 * np.log10(4095**2 / np.mean((small - exact) ** 2)) > 50


@pytest.mark.parametrize("bits", [6, 8, 10, 12, 15, 16])
def test_every_depth_gives_the_stored_values(bits):
    dtype = np.uint8 if bits <= 8 else np.uint16
    values = values_of(top=2**bits - 1, dtype=dtype, height=50, width=45)
    np.testing.assert_array_equal(reduced(values, None, bitspersample=bits).values, values)


@pytest.mark.parametrize("dtype", [np.int8, np.int16])
def test_a_signed_code_stream_gives_signed_values(dtype):
    limits = np.iinfo(dtype)
    values = np.linspace(limits.min, limits.max, 50 * 45).reshape(50, 45).astype(dtype)
    np.testing.assert_array_equal(reduced(values, None).values, values)


def test_no_more_levels_are_left_out_than_there_are():
    values = values_of(height=512, width=512)
    assert reduced(values, 32, resolutions=2).factor == 2
    assert reduced(values, 32, resolutions=1).factor == 1


@pytest.mark.parametrize("data", [b"", b"\xff\x4f\xff\x51", bytes(90)])
def test_a_code_stream_without_a_header_is_damaged(data):
    with pytest.raises(ImageError) as error:
        read_code_stream(data)
    assert error.value.reason == "damaged"
