"""A header that leaves pixels open, or says what cannot be, is refused by the name of its tag."""

import numpy as np
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode.pixels import decode_radiograph
from cxr_pipeline_tests.images.decode.dicom.dicoms import FULL_WINDOW, SIZE, dicom_of, values_of, without


def refusal(data):
    with pytest.raises(ImageError) as error:
        decode_radiograph(data, size=SIZE)
    assert "Fetch" not in str(error.value)
    return error.value.reason, str(error.value)


@pytest.mark.parametrize(
    "keyword", ["Columns", "BitsAllocated", "BitsStored", "PixelRepresentation", "PhotometricInterpretation"]
)
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian], ids=lambda one: one.keyword)
def test_a_header_without_what_pixels_need_is_refused_by_its_name(keyword, syntax):
    reason, message = refusal(without(dicom_of(values_of(), syntax=syntax, **FULL_WINDOW), keyword))
    assert reason == "damaged"
    assert f"lacks {keyword}" in message


@pytest.mark.parametrize("keyword", ["HighBit", "SamplesPerPixel", "WindowWidth"])
def test_what_the_standard_decides_may_be_absent(keyword):
    assert decode_radiograph(without(dicom_of(values_of(), **FULL_WINDOW), keyword), size=SIZE).pixels.max() > 200


@pytest.mark.parametrize(
    "keyword", ["WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept", "PixelSpacing", "ImagerPixelSpacing"]
)
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian], ids=lambda one: one.keyword)
def test_decimal_commas_are_refused_by_the_name_of_their_tag(keyword, syntax):
    number = "20481.25" if "Spacing" not in keyword else ["20481.25", "20481.25"]
    whole = dicom_of(values_of(), syntax=syntax, **FULL_WINDOW | {keyword: number})
    reason, message = refusal(whole.replace(b"20481.25", b"20481,25"))
    assert reason == "damaged"
    assert message.startswith(f"{keyword} of the DICOM header is no number")
    assert "20481" not in message


UNUSABLE = {
    "three grey samples": ("unsupported", {"SamplesPerPixel": 3}, "3 samples"),
    "an inner high bit": ("damaged", {"HighBit": 7}, "bit 7"),
    "a high bit beyond the word": ("damaged", {"HighBit": 16}, "bit 16"),
    "a slope of 0": ("damaged", {"RescaleSlope": 0}, "slope"),
    "another function": ("unsupported", {"VOILUTFunction": "GAMMA"}, "VOI LUT function"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_headers_that_cannot_be_are_refused(name):
    reason, tags, word = UNUSABLE[name]
    found, message = refusal(dicom_of(values_of(), **tags))
    assert found == reason
    assert word in message


def test_three_samples_of_a_grey_picture_are_refused_where_there_are_three():
    values = np.repeat(values_of(top=250, dtype=np.uint8)[..., None], 3, axis=2)
    data = dicom_of(values[..., 0], bits=8, SamplesPerPixel=3, PixelData=values.tobytes())
    assert refusal(data)[0] == "unsupported"
