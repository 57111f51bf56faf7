"""What is no PNG, JPEG or DICOM file is named, with advice that helps."""

import numpy as np
import pytest

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode.pixels import decode_radiograph
from cxr_pipeline_tests.images.conftest import encode, picture


def refusal(data):
    with pytest.raises(ImageError) as error:
        decode_radiograph(data, size=32)
    return error.value.reason, str(error.value)


@pytest.mark.parametrize(
    ("form", "name"),
    [("TIFF", "TIFF"), ("BMP", "BMP"), ("WEBP", "WebP"), ("JPEG2000", "JPEG 2000"), ("GIF", "GIF"), ("AVIF", "HEIF")],
)
def test_a_picture_of_another_format_is_to_be_converted(form, name):
    reason, text = refusal(encode(picture(0), form))
    assert reason == "unsupported"
    assert text == f"The file is {name}, expected a PNG, JPEG or DICOM file. Convert it to PNG."


@pytest.mark.parametrize(
    ("height", "width", "advice"),
    [(16, 16, "Take it at its full size"), (40, 200, "Leave it out"), (64, 64, "Leave it out")],
)
def test_a_picture_that_is_no_radiograph_is_not_to_be_fetched_again(height, width, advice):
    text = refusal(encode(np.zeros((height, width), np.uint8)))[1]
    assert text.endswith(f". {advice}.")


@pytest.mark.parametrize(
    ("data", "advice"),
    [
        (b"# A title\n\nSome text.", "Leave it out"),
        (b"path,label\n", "Leave it out"),
        (b"\x7fELF\x02\x01", "Leave it out"),
        (b"PK\x03\x04....", "Unpack it"),
        (b"\x1f\x8b\x08....", "Unpack it"),
        (b"%PDF-1.7", "Export the picture"),
        (b"<!DOCTYPE html><html>", "Fetch the file again"),
        (b"\n<html>", "Fetch the file again"),
        (bytes(600), "Fetch it again"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    ],
)
def test_what_is_no_picture_is_fetched_again_only_where_that_helps(data, advice):
    reason, text = refusal(data)
    assert reason == "not_an_image"
    assert advice in text
    assert ("again" in text) == ("again" in advice)
