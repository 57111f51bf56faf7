"""TIFF, BMP, WebP and JPEG 2000 give the picture that the same values in a PNG give; a store does not take them."""

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode.pictures import is_picture
from cxr_pipeline.images.decode.pixels import decode_radiograph
from cxr_pipeline_tests.images.conftest import encode, picture

GREY = picture(0, height=80, width=64)
DEEP = GREY.astype(np.uint16) * 257


def saved(pixels, form, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options)
    return buffer.getvalue()


def stored(data, *, any_format=True):
    return decode_radiograph(data, size=64, any_format=any_format).pixels


def refusal(data):
    with pytest.raises(ImageError) as error:
        stored(data)
    return error.value.reason


FILES = {
    "TIFF": saved(GREY, "TIFF"),
    "LZW TIFF": saved(GREY, "TIFF", compression="tiff_lzw"),
    "deflated TIFF": saved(GREY, "TIFF", compression="tiff_adobe_deflate"),
    "RGB TIFF": saved(np.dstack([GREY] * 3), "TIFF"),
    "BMP": saved(GREY, "BMP"),
    "lossless WebP": saved(np.dstack([GREY] * 3), "WEBP", lossless=True),
    "JP2": saved(GREY, "JPEG2000"),
    "a raw code stream": saved(GREY, "JPEG2000", no_jp2=True),
    "HTJ2K": imagecodecs.htj2k_encode(GREY),
}
DEEP_FILES = {
    "TIFF": saved(DEEP, "TIFF"),
    "TIFF whose zero is white": saved(65535 - DEEP, "TIFF", tiffinfo={262: 0}),
    "JP2": saved(DEEP, "JPEG2000"),
    "HTJ2K": imagecodecs.htj2k_encode(DEEP),
}


@pytest.mark.parametrize("name", FILES)
def test_eight_bits_stay_as_they_are(name):
    np.testing.assert_array_equal(stored(FILES[name]), stored(encode(GREY)))


@pytest.mark.parametrize("name", DEEP_FILES)
def test_sixteen_bits_are_shown_as_those_of_a_png(name):
    np.testing.assert_array_equal(stored(DEEP_FILES[name]), stored(imagecodecs.png_encode(DEEP)))


@pytest.mark.parametrize("name", FILES)
def test_a_store_asks_to_convert_them(name):
    assert is_picture(FILES[name])
    with pytest.raises(ImageError, match="Convert it to PNG") as error:
        stored(FILES[name], any_format=False)
    assert error.value.reason == "unsupported"


@pytest.mark.parametrize("name", FILES)
def test_a_cut_file_is_refused(name):
    assert refusal(FILES[name][: len(FILES[name]) // 2]) == "damaged"


def test_what_is_no_single_grey_picture_of_whole_numbers_is_refused():
    pages = [Image.fromarray(GREY)] * 2
    buffer = io.BytesIO()
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:])
    assert refusal(buffer.getvalue()) == "unsupported"
    assert refusal(saved(GREY.astype(np.float32), "TIFF")) == "unsupported"
    assert refusal(saved(np.zeros((80, 64), np.uint8), "TIFF")) == "blank"
    assert refusal(saved(np.zeros((16, 16), np.uint8), "BMP")) == "too_small"
    assert refusal(saved(np.dstack([picture(1), picture(2), picture(3)]), "TIFF")) == "colour_photo"
