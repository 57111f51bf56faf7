"""What is black and white is what the standard and pydicom's own functions say."""

import io

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless

from cxr_pipeline.images.decode.exposure import GREY_WINDOW
from cxr_pipeline.images.decode.pixels import decode_radiograph
from cxr_pipeline_tests.images.decode.dicom.dicoms import (
    FULL_WINDOW,
    SIZE,
    dicom_of,
    lut_item,
    shown_by_pydicom,
    values_of,
)


def shown(data, *, size=SIZE):
    return decode_radiograph(data, size=size).pixels.astype(int)


def reference(data):
    header = pydicom.dcmread(io.BytesIO(data))
    return np.rint(shown_by_pydicom(header, header.pixel_array))


def test_low_values_are_white_in_monochrome1_once():
    values = values_of(top=250, dtype=np.uint8)
    inverse = {"shown": "MONOCHROME1", "PresentationLUTShape": "INVERSE"}
    np.testing.assert_array_equal(shown(dicom_of(values, bits=8, **inverse)), 255 - values.astype(int))


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("rescale", [{}, {"RescaleSlope": 2, "RescaleIntercept": -1000}])
@pytest.mark.parametrize("form", ["MONOCHROME1", "MONOCHROME2"])
def test_window_is_that_of_the_standard(function, rescale, form):
    data = dicom_of(values_of(), shown=form, WindowCenter=1900, WindowWidth=1500, VOILUTFunction=function, **rescale)
    np.testing.assert_allclose(shown(data), reference(data), atol=1)


def test_narrow_window_counts_whole_values():
    ramp = np.tile(np.arange(SIZE, dtype=np.uint16), (SIZE, 1))
    for function in ("LINEAR", "LINEAR_EXACT"):
        data = dicom_of(ramp, WindowCenter=32, WindowWidth=20, VOILUTFunction=function)
        np.testing.assert_allclose(shown(data), reference(data), atol=1)


def test_negative_slope_turns_the_stored_values_over():
    values = values_of()
    turned = dicom_of(values, RescaleSlope=-1, RescaleIntercept=4095, **FULL_WINDOW)
    np.testing.assert_allclose(shown(turned), 255 - shown(dicom_of(values, **FULL_WINDOW)), atol=1)


def test_first_of_several_windows_counts():
    several = dicom_of(values_of(), WindowCenter=[1900, 100], WindowWidth=[1500, 10])
    single = dicom_of(values_of(), WindowCenter=1900, WindowWidth=1500)
    np.testing.assert_array_equal(shown(several), shown(single))


@pytest.mark.parametrize("window", [("9", "0"), ("9", "-5"), ("nan", "100"), ("9", "nan"), ("inf", "1"), ("", "100")])
def test_a_window_without_width_is_none(window):
    centre, width = window
    values = values_of(top=700)
    data = dicom_of(values, WindowCenter="1111", WindowWidth="2222")
    data = data.replace(b"1111", centre.encode().ljust(4)).replace(b"2222", width.encode().ljust(4))
    np.testing.assert_array_equal(shown(data), shown(dicom_of(values)))


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("form", ["MONOCHROME1", "MONOCHROME2"])
def test_a_window_may_be_narrower_than_one(function, form):
    values = values_of()
    rescale = {"RescaleSlope": "0.000244", "RescaleIntercept": 0}
    window = {"WindowCenter": 0.5, "WindowWidth": 0.6, "VOILUTFunction": function}
    share = (values * 0.000244 - 0.5) / 0.6
    white = 255 / (1 + np.exp(-4 * share)) if function == "SIGMOID" else 255 * np.clip(share + 0.5, 0, 1)
    expected = white if form == "MONOCHROME2" else 255 - white
    np.testing.assert_allclose(shown(dicom_of(values, shown=form, **rescale, **window)), expected, atol=1)


def test_a_linear_window_of_width_one_is_a_threshold():
    values = values_of()
    data = dicom_of(values, WindowCenter=2000, WindowWidth=1)
    np.testing.assert_array_equal(shown(data), np.where(values > 1999.5, 255, 0))


@pytest.mark.parametrize("beside", [{"WindowCenter": 99999}, {"WindowCenter": -5000}, {"VOILUTFunction": "SIGMOID"}])
@pytest.mark.parametrize("padding", [{}, {"PixelPaddingValue": 0}])
@pytest.mark.parametrize("form", ["MONOCHROME1", "MONOCHROME2"])
def test_a_window_beside_all_values_gives_way_to_percentiles(beside, padding, form):
    values = values_of(top=700)
    window = {"WindowCenter": 3000, "WindowWidth": 10} | beside
    expected = shown(dicom_of(values, shown=form, **padding))
    np.testing.assert_allclose(shown(dicom_of(values, shown=form, **padding, **window)), expected, atol=1)


@pytest.mark.parametrize("window", [{}, {"WindowCenter": 2048}])
def test_without_a_usable_window_the_percentiles_fill_the_range(window):
    values = values_of(top=700)
    low, high = np.percentile(values, GREY_WINDOW)
    expected = np.clip((values - low) / (high - low), 0, 1) * 255
    np.testing.assert_allclose(shown(dicom_of(values, **window)), expected, atol=1)


def test_voi_lut_comes_before_a_window():
    curve = (np.arange(4096) ** 2 // 4096).tolist()
    data = dicom_of(values_of(), VOILUTSequence=[lut_item(0, curve, 12)], **FULL_WINDOW)
    np.testing.assert_allclose(shown(data), reference(data), atol=1)


def test_voi_lut_of_8_bit_entries_is_indexed_by_all_bits():
    halves = [0] * 2048 + [255] * 2048
    data = dicom_of(values_of(), VOILUTSequence=[lut_item(0, halves, 8)])
    np.testing.assert_array_equal(shown(data), np.where(values_of() < 2048, 0, 255))


def test_values_beyond_a_lut_get_its_last_entry():
    values = values_of()
    data = dicom_of(values, VOILUTSequence=[lut_item(1000, np.arange(256).tolist(), 8)])
    np.testing.assert_array_equal(shown(data), np.clip(values.astype(int) - 1000, 0, 255))


def test_modality_lut_comes_before_the_window():
    item = lut_item(0, np.arange(4095, -1, -1).tolist(), 16)
    item.ModalityLUTType = "US"
    values = values_of()
    turned = dicom_of(values, ModalityLUTSequence=[item], **FULL_WINDOW)
    np.testing.assert_allclose(shown(turned), 255 - shown(dicom_of(values, **FULL_WINDOW)), atol=1)


def test_a_padding_value_that_is_not_used_changes_nothing():
    values = (values_of(top=3000, height=512, width=512) + 1000).astype(np.uint16)
    for syntax in (ExplicitVRLittleEndian, JPEG2000Lossless):
        plain, named = (shown(dicom_of(values, syntax=syntax, **tags)) for tags in ({}, {"PixelPaddingValue": 5}))
        np.testing.assert_array_equal(named, plain)


def test_a_padded_part_stays_black_at_a_fraction_of_the_size():
    values = (values_of(top=2000, height=512, width=512) + 1000).astype(np.uint16)
    values[:, :160] = 5
    window = {"WindowCenter": 2000, "WindowWidth": 2100, "shown": "MONOCHROME1"}
    for syntax in (ExplicitVRLittleEndian, JPEG2000Lossless):
        stored = shown(dicom_of(values, syntax=syntax, PixelPaddingValue=5, **window))
        unpadded = shown(dicom_of(values, syntax=syntax, **window))
        assert (stored[:, :20].max(), unpadded[:, :20].min()) == (0, 255)
        np.testing.assert_allclose(stored[:, 22:], unpadded[:, 22:], atol=1)


@pytest.mark.parametrize("representation", ["SS", "US"])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("bits", [12, 16])
def test_padding_of_signed_values_may_be_written_unsigned(representation, syntax, bits):
    values = values_of(top=2000, dtype=np.int16)
    values[:, :8] = -2000
    header = {"shown": "MONOCHROME1", "WindowCenter": 1000, "WindowWidth": 1800, "bits": bits, "syntax": syntax}
    number = -2000 if representation == "SS" else 2**16 - 2000
    padding = {"PixelPaddingValue": pydicom.DataElement("PixelPaddingValue", representation, number)}
    stored = shown(dicom_of(values, **header, **padding))
    assert (stored[:, :8].max(), shown(dicom_of(values, **header))[:, :8].min()) == (0, 255)
    np.testing.assert_array_equal(stored[:, 8:], shown(dicom_of(values, **header))[:, 8:])


def test_eight_bit_values_stay_as_published_in_every_syntax_and_in_words():
    values = values_of(top=200).astype(np.uint16)
    for syntax in (ExplicitVRLittleEndian, JPEG2000Lossless):
        np.testing.assert_array_equal(shown(dicom_of(values, bits=8, syntax=syntax)), values)


@pytest.mark.parametrize("form", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("window", [{}, {"WindowCenter": 2000, "WindowWidth": 2000}])
def test_padding_is_black_and_does_not_widen_the_window(form, window):
    values = (values_of(top=2000) + 1000).astype(np.uint16)
    tags = {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 5, "shown": form, **window}
    left_padded = values.copy()
    left_padded[:, :8] = 0
    stored = shown(dicom_of(left_padded, **tags))
    assert (stored[:, :8] == 0).all()
    expected = shown(dicom_of(values, shown=form, **window))
    np.testing.assert_allclose(stored[:, 10:], expected[:, 10:], atol=4)


def test_large_files_are_resized_before_the_window():
    values = values_of(height=256, width=192)
    stored = decode_radiograph(dicom_of(values, **FULL_WINDOW), size=64)
    blocks = values.reshape(64, 4, 48, 4).mean(axis=(1, 3)) / 4095 * 255
    np.testing.assert_allclose(stored.pixels[:, 8:56], blocks, atol=1)
    assert (stored.source_height, stored.source_width) == (256, 192)
