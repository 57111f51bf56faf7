"""DICOM files are shown as the standard and pydicom's own functions say, whatever their compression."""

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_rescale, apply_voi_lut
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from cxr_pipeline.images.dicom import decode_dicom
from cxr_pipeline.images.pixels import GREY_WINDOW, decode_radiograph
from cxr_pipeline_tests.images.dicoms import FULL_WINDOW, SIZE, dicom_of, lut_item, values_of

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "dicom"
REAL = {  # mode, height, width
    "RG1_J2KI.dcm": ("DICOM15-MONOCHROME1", 1955, 1841),
    "RG3_J2KI.dcm": ("DICOM10-MONOCHROME1", 1760, 1760),
    "RG3_J2KR.dcm": ("DICOM10-MONOCHROME1", 1760, 1760),
    "highdicom_dx_image.dcm": ("DICOM8-MONOCHROME1", 169, 211),
    "1.2.276.0.7230010.3.1.4.8323329.6904.1517875201.850819.dcm": ("DICOM8-MONOCHROME2", 1024, 1024),
    "Fake_MONOHR1.dcm": ("DICOM8-MONOCHROME1", 1024, 1024),
}


def shown(data, *, size=SIZE):
    return decode_radiograph(data, size=size).pixels.astype(int)


def reference(path_or_data):
    """What pydicom shows, uint8 [height, width]: rescale, then VOI, scaled from the nominal range, then inverted."""
    file = io.BytesIO(path_or_data) if isinstance(path_or_data, bytes) else path_or_data
    header = pydicom.dcmread(file)
    values = apply_voi_lut(apply_rescale(header.pixel_array, header), header).astype(float)
    slope, intercept = header.get("RescaleSlope", 1), header.get("RescaleIntercept", 0)
    low, high = sorted((intercept, (2**header.BitsStored - 1) * slope + intercept))
    share = (values - low) / (high - low)
    return np.rint(255 * (1 - share if header.PhotometricInterpretation == "MONOCHROME1" else share)).astype(int)


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian,
        RLELossless,
    ],
    ids=lambda syntax: syntax.name,
)  # fmt: skip
@pytest.mark.parametrize("form", ["MONOCHROME1", "MONOCHROME2"])
def test_every_lossless_form_shows_the_same_12_bit_picture(syntax, form):
    data = dicom_of(values_of(), syntax=syntax, shown=form, **FULL_WINDOW)
    np.testing.assert_allclose(shown(data), reference(data), atol=1)
    assert decode_radiograph(data, size=SIZE).source_mode == f"DICOM12-{form}"


@pytest.mark.parametrize(("syntax", "tolerance"), [(JPEG2000Lossless, 1), (JPEG2000, 2)])
def test_jpeg_2000_of_16_bits_shows_what_was_compressed(syntax, tolerance):
    values = values_of(top=60_000)
    tags = {"bits": 16, "WindowCenter": 30_000, "WindowWidth": 60_000}
    plain = shown(dicom_of(values, **tags))
    np.testing.assert_allclose(shown(dicom_of(values, syntax=syntax, **tags)), plain, atol=tolerance)


def test_jpeg_of_8_bits_stays_as_published():
    values = values_of(top=250, dtype=np.uint8)
    assert np.abs(shown(dicom_of(values, syntax=JPEGBaseline8Bit, bits=8)) - values).max() <= 4
    np.testing.assert_array_equal(shown(dicom_of(values, bits=8)), values)


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


def test_negative_slope_turns_the_storedover():
    values = values_of()
    turned = dicom_of(values, RescaleSlope=-1, RescaleIntercept=4095, **FULL_WINDOW)
    np.testing.assert_allclose(shown(turned), 255 - shown(dicom_of(values, **FULL_WINDOW)), atol=1)


def test_first_of_several_windows_counts():
    several = dicom_of(values_of(), WindowCenter=[1900, 100], WindowWidth=[1500, 10])
    single = dicom_of(values_of(), WindowCenter=1900, WindowWidth=1500)
    np.testing.assert_array_equal(shown(several), shown(single))


@pytest.mark.parametrize("window", [{}, {"WindowCenter": 2048}, {"WindowCenter": 9, "WindowWidth": 1}])
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


def test_bits_above_the_stored_ones_are_ignored():
    values = values_of()
    overlaid = values | np.uint16(0xA000)
    np.testing.assert_array_equal(shown(dicom_of(overlaid, **FULL_WINDOW)), shown(dicom_of(values, **FULL_WINDOW)))


def test_signed_values_keep_their_sign_in_12_of_16_bits():
    values = (values_of().astype(int) - 2048).astype(np.int16)
    window = {"WindowCenter": 0, "WindowWidth": 4096}
    expected = np.clip(np.rint((values + 2048.0) / 4095 * 255), 0, 255)
    np.testing.assert_allclose(shown(dicom_of(values, **window)), expected, atol=1)
    cleared = (values & 0x0FFF).astype(np.int16)  # written without sign extension
    np.testing.assert_array_equal(shown(dicom_of(cleared, **window)), shown(dicom_of(values, **window)))


def test_large_files_are_resized_before_the_window():
    values = values_of(height=256, width=192)
    stored = decode_radiograph(dicom_of(values, **FULL_WINDOW), size=64)
    blocks = values.reshape(64, 4, 48, 4).mean(axis=(1, 3)) / 4095 * 255
    np.testing.assert_allclose(stored.pixels[:, 8:56], blocks, atol=1)
    assert (stored.source_height, stored.source_width) == (256, 192)


def real(name):
    if not SHARED.is_dir():
        pytest.skip("no real DICOM files at ../shared/data/dicom")
    return SHARED / name


@pytest.mark.realdata
@pytest.mark.parametrize("name", REAL)
def test_real_files_are_shown_as_pydicom_shows_them(name):
    mode, height, width = REAL[name]
    exposure = decode_dicom(real(name).read_bytes(), check_shape=lambda *_: None, percentiles=GREY_WINDOW)
    assert (exposure.mode, exposure.values.shape) == (mode, (height, width))
    ours = np.clip((exposure.values.astype(float) - exposure.black) / (exposure.white - exposure.black), 0, 1) * 255
    np.testing.assert_allclose(ours, reference(real(name)), atol=0.51)


@pytest.mark.realdata
def test_real_chest_is_dark_outside_and_white_in_the_middle():
    pixels = shown(real("RG1_J2KI.dcm").read_bytes(), size=128)
    assert pixels[60:120, 55:75].mean() > pixels[30:90, 30:45].mean() + 30  # spine and heart against a lung


@pytest.mark.realdata
def test_real_file_that_is_marked_the_other_way_is_its_negative():
    plain, turned = (
        shown(real(name).read_bytes())
        for name in ("1.2.276.0.7230010.3.1.4.8323329.6904.1517875201.850819.dcm", "Fake_MONOHR1.dcm")
    )
    np.testing.assert_allclose(turned, 255 - plain, atol=1)
