"""Grey pictures that are kept as colours are read in every form; coloured ones are refused by name."""

import numpy as np
import pytest
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode.pixels import decode_radiograph
from cxr_pipeline_tests.images.decode.dicom.coloured import channels_of, coloured_dicom, palette_of
from cxr_pipeline_tests.images.decode.dicom.dicoms import SIZE, dicom_of, values_of

NATIVE = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]


def shown(data):
    return decode_radiograph(data, size=SIZE)


@pytest.mark.parametrize("form", ["RGB", "YBR_FULL"])
@pytest.mark.parametrize(
    ("syntax", "planar"),
    [(syntax, planar) for syntax in NATIVE[:2] for planar in (0, 1)] + [(RLELossless, 0), (ExplicitVRBigEndian, 0)],
)
def test_a_grey_picture_in_three_samples_is_read(form, planar, syntax):
    grey = values_of(top=250, dtype=np.uint8)
    radiograph = shown(coloured_dicom(channels_of(grey, form), form, syntax=syntax, planar=planar))
    np.testing.assert_array_equal(radiograph.pixels, grey)
    name = "RGB" if form == "RGB" else "YCBCR"
    assert (radiograph.photometric, radiograph.source_mode) == (name, f"DICOM8-{name}")


@pytest.mark.parametrize("bits", [12, 16])
def test_words_are_shown_from_none_to_all_bits(bits):
    grey = values_of(top=2**bits - 1)
    pixels = shown(coloured_dicom(channels_of(grey, "RGB"), "RGB", bits=bits)).pixels
    np.testing.assert_allclose(pixels, grey / (2**bits - 1) * 255, atol=1)


@pytest.mark.parametrize(
    ("syntax", "form"),
    [
        (JPEGBaseline8Bit, "YBR_FULL_422"),
        (JPEGBaseline8Bit, "YBR_FULL"),
        (JPEGLosslessSV1, "RGB"),
        (JPEGLSLossless, "RGB"),
        (JPEGLSLossless, "YBR_FULL"),
        (JPEG2000Lossless, "YBR_RCT"),
        (JPEG2000Lossless, "RGB"),
    ],
)
def test_a_compressed_grey_picture_in_three_samples_is_read(syntax, form):
    grey = values_of(top=250, dtype=np.uint8)
    stored = channels_of(grey, "RGB" if syntax == JPEGBaseline8Bit else form)
    pixels = shown(coloured_dicom(stored, form, syntax=syntax)).pixels.astype(int)
    assert np.abs(pixels - grey).max() <= (4 if syntax == JPEGBaseline8Bit else 1)


def test_halved_chroma_of_native_files_is_read():
    grey = values_of(top=250, dtype=np.uint8)
    packed = np.full((SIZE, SIZE // 2, 4), 128, np.uint8)
    packed[..., :2] = grey.reshape(SIZE, SIZE // 2, 2)
    data = dicom_of(grey, bits=8, shown="YBR_FULL_422", SamplesPerPixel=3, PixelData=packed.tobytes())
    np.testing.assert_array_equal(shown(data).pixels, grey)


@pytest.mark.parametrize("form", ["RGB", "YBR_FULL"])
def test_few_coloured_pixels_are_enough_to_be_refused(form):
    channels = channels_of(values_of(top=250, dtype=np.uint8), form)
    channels[3:5, 7:9, 2] ^= 0x40
    with pytest.raises(ImageError, match="colours in 0.1%") as error:
        shown(coloured_dicom(channels, form))
    assert error.value.reason == "unsupported"


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLSLossless, RLELossless])
@pytest.mark.parametrize(("bits", "packed"), [(8, False), (8, True), (16, False), (12, False)])
def test_a_grey_palette_is_looked_up(syntax, bits, packed):
    places, top = values_of(top=255, dtype=np.uint8), 2**bits - 1
    entries = np.rint((1 - np.arange(256) / 255) ** 2 * top)
    tags = palette_of(entries, bits=bits, packed=packed)
    radiograph = shown(dicom_of(places, bits=8, shown="PALETTE COLOR", syntax=syntax, **tags))
    np.testing.assert_allclose(radiograph.pixels, entries[places] / top * 255, atol=1)
    assert radiograph.photometric == "PALETTE"


def test_a_palette_of_words_may_start_anywhere():
    entries = np.arange(4096) * 16
    data = dicom_of(values_of() // 2 + 1000, bits=16, shown="PALETTE COLOR", **palette_of(entries, bits=16, first=1000))
    np.testing.assert_allclose(shown(data).pixels, entries[values_of() // 2] / 65535 * 255, atol=1)


def test_only_colours_that_are_used_count():
    places, entries = values_of(top=250, dtype=np.uint8), np.arange(256)
    unused, used = entries.copy(), entries.copy()
    unused[253], used[100] = 0, 0
    form = {"bits": 8, "shown": "PALETTE COLOR"}
    pixels = shown(dicom_of(places, **form, **palette_of(entries, bits=8, blue=unused))).pixels
    np.testing.assert_array_equal(pixels, places)
    with pytest.raises(ImageError, match="colours"):
        shown(dicom_of(places, **form, **palette_of(entries, bits=8, blue=used)))


REFUSED = {
    "partial range": {"shown": "YBR_PARTIAL_422", "SamplesPerPixel": 3},
    "one sample of RGB": {"shown": "RGB"},
    "three samples of a palette": {"shown": "PALETTE COLOR", "SamplesPerPixel": 3},
    "a palette without tables": {"shown": "PALETTE COLOR"},
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_forms_are_refused(name):
    with pytest.raises(ImageError) as error:
        shown(dicom_of(values_of(top=250, dtype=np.uint8), bits=8, **REFUSED[name]))
    assert error.value.reason == "unsupported"
    assert "Fetch" not in str(error.value)
