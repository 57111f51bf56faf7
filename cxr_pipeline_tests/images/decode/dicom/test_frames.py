"""Every transfer syntax gives the values that were stored, whole or at a fraction of the size; damage is refused."""

import io
import warnings

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode.dicom.files import decode_dicom
from cxr_pipeline.images.decode.pixels import decode_radiograph
from cxr_pipeline_tests.images.decode.dicom.dicoms import SIZE, dicom_of, shown_by_pydicom, values_of, without

NATIVE = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
LOSSLESS = [*NATIVE, RLELossless, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless]
LOSSY = {JPEGExtended12Bit: 8, JPEGLSNearLossless: 2, JPEG2000: 16}  # greatest difference of a 12-bit value
RESCALE = {"RescaleSlope": 2, "RescaleIntercept": -1000}
FORMS = {  # bits stored, type, least and greatest value
    "8 of 8 bits": (8, np.uint8, 0, 255),
    "10 of 16 bits": (10, np.uint16, 0, 1023),
    "12 of 16 bits": (12, np.uint16, 0, 4095),
    "16 bits": (16, np.uint16, 0, 65535),
    "signed 12 of 16 bits": (12, np.int16, -2048, 2047),
    "signed 16 bits": (16, np.int16, -32768, 32767),
}


def named(syntax):
    return syntax.keyword


def stored_in(data):
    return decode_dicom(data, stored_side=None).plane.values


def ramp(low, high, dtype):
    return np.rint(low + values_of(top=1, dtype=float, height=48) * (high - low)).astype(dtype)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("syntax", LOSSLESS, ids=named)
def test_every_lossless_syntax_gives_the_stored_values(syntax, form):
    bits, dtype, low, high = FORMS[form]
    values = np.linspace(low, high, 48 * SIZE).reshape(48, SIZE).astype(dtype)
    decoded = stored_in(dicom_of(values, syntax=syntax, bits=bits))
    np.testing.assert_array_equal(decoded, values)
    assert decoded.dtype == dtype


@pytest.mark.parametrize("syntax", LOSSY, ids=named)
def test_lossy_syntaxes_come_near_the_stored_values(syntax):
    values = values_of()
    decoded = stored_in(dicom_of(values, syntax=syntax)).astype(int)
    assert 0 < np.abs(decoded - values).max() <= LOSSY[syntax]


@pytest.mark.parametrize("form", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("syntax", [*LOSSLESS, *LOSSY], ids=named)
def test_every_syntax_is_shown_as_pydicom_shows_the_stored_values(syntax, form):
    values = values_of()
    data = dicom_of(values, syntax=syntax, shown=form, WindowCenter=2800, WindowWidth=6000, **RESCALE)
    radiograph = decode_radiograph(data, size=SIZE)
    expected = shown_by_pydicom(pydicom.dcmread(io.BytesIO(data)), values)
    np.testing.assert_allclose(radiograph.pixels, expected, atol=2)
    assert (radiograph.bit_depth, radiograph.photometric, radiograph.source_mode) == (12, form, f"DICOM12-{form}")


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEGExtended12Bit], ids=named)
def test_jpeg_of_8_bits_stays_as_published(syntax):
    values = values_of(top=250, dtype=np.uint8)
    decoded = decode_radiograph(dicom_of(values, syntax=syntax, bits=8), size=SIZE).pixels
    assert np.abs(decoded.astype(int) - values).max() <= 4


@pytest.mark.parametrize("syntax", [*LOSSLESS, JPEG2000, JPEGBaseline8Bit], ids=named)
def test_a_large_frame_shows_the_same_at_a_fraction_of_its_size(syntax):
    bits, dtype = (8, np.uint8) if syntax == JPEGBaseline8Bit else (12, np.uint16)
    values = values_of(height=511, width=421, top=2**bits - 6, dtype=dtype)
    pixels = decode_radiograph(dicom_of(values, syntax=syntax, bits=bits, **_whole(bits)), size=SIZE).pixels
    expected = decode_radiograph(dicom_of(values, bits=bits, **_whole(bits)), size=SIZE, crop_borders=True).pixels
    assert np.abs(pixels.astype(int) - expected).max() <= 2


def _whole(bits):
    return {"WindowCenter": 2 ** (bits - 1), "WindowWidth": 2**bits}


def test_signed_values_in_an_unsigned_code_stream_are_not_averaged_across_zero():
    values = ramp(-300, 300, np.int16).repeat(4, axis=0).repeat(4, axis=1)
    tags = {"bits": 12, "WindowCenter": 0, "WindowWidth": 800}
    for syntax in (JPEG2000Lossless, JPEGLosslessSV1):
        pixels = decode_radiograph(dicom_of(values, syntax=syntax, **tags), size=32).pixels
        np.testing.assert_allclose(pixels, decode_radiograph(dicom_of(values, **tags), size=32).pixels, atol=1)


def test_bits_above_the_stored_ones_are_ignored():
    values = values_of()
    for syntax in (ExplicitVRLittleEndian, RLELossless):
        overlaid = dicom_of(values | np.uint16(0xA000), syntax=syntax)
        np.testing.assert_array_equal(stored_in(overlaid), values)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
@pytest.mark.parametrize("bits", [12, 14])
def test_values_that_go_on_beyond_the_stored_bits_are_refused_and_not_wrapped(syntax, bits):
    values = values_of(top=65535, height=512, width=512)
    with pytest.raises(ImageError, match=f"beyond the {bits} bits that BitsStored counts") as refused:
        stored_in(dicom_of(values, syntax=syntax, bits=bits))
    assert refused.value.reason == "damaged"


def test_drawing_in_the_bits_above_is_left_out():
    values = values_of()
    drawn = values.copy()
    drawn[10:20, 5:40] |= 0x8000
    drawn[::3, ::2] |= 0x1000
    np.testing.assert_array_equal(stored_in(dicom_of(drawn)), values)


def test_stored_bits_may_lie_at_the_upper_end():
    values = values_of()
    np.testing.assert_array_equal(stored_in(dicom_of(values << np.uint16(4), HighBit=15)), values)


def test_signed_values_written_without_their_sign_are_signed():
    values = ramp(-2048, 2047, np.int16)
    cleared = dicom_of((values & 0x0FFF).astype(np.int16))
    np.testing.assert_array_equal(stored_in(cleared), values)


def test_bytes_of_big_endian_words_are_swapped_back():
    values = np.arange(48 * 33, dtype=np.uint32).reshape(48, 33).astype(np.uint8)
    data = dicom_of(values.reshape(-1, 2)[:, ::-1].reshape(48, 33), syntax=ExplicitVRBigEndian, bits=8)
    words = data.replace(b"\x7f\xe0\x00\x10OB", b"\x7f\xe0\x00\x10OW")
    assert words != data
    np.testing.assert_array_equal(stored_in(words), values)


def test_a_frame_may_lie_in_several_fragments():
    values = values_of()
    data = dicom_of(values, syntax=JPEGLSLossless)
    header = pydicom.dcmread(io.BytesIO(data))
    header.PixelData = encapsulate([pydicom.encaps.get_frame(header.PixelData, 0)], fragments_per_frame=3)
    buffer = io.BytesIO()
    header.save_as(buffer)
    np.testing.assert_array_equal(stored_in(buffer.getvalue()), values)


@pytest.mark.parametrize("kind", ["RLE", "jpeg_ls_lossless", "jp2klossless", "bigendian", "implicit"])
def test_files_of_other_programs_hold_what_their_plain_copy_holds(kind):
    plain = pydicom.dcmread(get_testdata_file("MR_small.dcm", download=False)).pixel_array
    np.testing.assert_array_equal(stored_in(as_radiograph(f"MR_small_{kind}.dcm")), plain)


@pytest.mark.parametrize("name", ["JPEG2000.dcm", "J2K_pixelrep_mismatch.dcm", "693_J2KI.dcm"])
def test_jpeg_2000_of_other_programs_is_read_as_pydicom_reads_it(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the mismatch
        expected = pydicom.dcmread(get_testdata_file(name, download=False)).pixel_array
    np.testing.assert_array_equal(stored_in(as_radiograph(name)), expected)


def as_radiograph(name):
    """One of pydicom's own files as if it were a radiograph: the same pixels, another kind and shape."""
    header = pydicom.dcmread(get_testdata_file(name, download=False))
    header.Modality, header.PixelAspectRatio = "DX", [1, 2]
    for keyword in ("BodyPartExamined", "PixelPaddingValue"):
        if keyword in header:
            delattr(header, keyword)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old files
        header.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def reason_of(data):
    with pytest.raises(ImageError) as error:
        decode_radiograph(data, size=32)
    return error.value.reason


@pytest.mark.parametrize("syntax", [*LOSSLESS, *LOSSY], ids=named)
def test_no_truncation_ever_passes(syntax):
    whole = dicom_of(values_of(), syntax=syntax)
    for missing in (2, 9, 200, 1000, len(whole) // 2):
        assert reason_of(whole[:-missing]) in ("truncated", "damaged", "not_an_image")


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGExtended12Bit, JPEGLSLossless, JPEG2000Lossless], ids=named)
def test_a_frame_cut_within_a_whole_file_is_refused(syntax):
    whole = dicom_of(values_of(), syntax=syntax)
    header = pydicom.dcmread(io.BytesIO(whole))
    frame = pydicom.encaps.get_frame(header.PixelData, 0)
    for part in (0.3, 0.9):
        data = dicom_of(values_of(), syntax=syntax, PixelData=encapsulate([frame[: int(part * len(frame))]]))
        assert reason_of(data) in ("truncated", "damaged")


UNUSABLE = {
    "a compression that is not read": ("unsupported", {"syntax": HTJ2KLossless, "PixelData": encapsulate([bytes(9)])}),
    "no item but the offsets": ("damaged", {"syntax": JPEGLSLossless, "PixelData": b"\xfe\xff\x00\xe0\0\0\0\0"}),
    "a JPEG 2000 frame of another size": ("damaged", {"syntax": JPEG2000Lossless, "Rows": 60}),
    "a JPEG frame of another size": ("damaged", {"syntax": JPEGExtended12Bit, "Rows": 60}),
    "a JPEG-LS frame of another size": ("damaged", {"syntax": JPEGLSLossless, "Columns": 60}),
    "noise in place of a frame": ("damaged", {"syntax": JPEG2000Lossless, "PixelData": encapsulate([bytes(256)])}),
    "32 bits": ("unsupported", {"BitsAllocated": 32}),
    "more bits than there is room for": ("unsupported", {"BitsStored": 20}),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_frames_that_do_not_fit_their_header_are_refused(name):
    reason, tags = UNUSABLE[name]
    assert reason_of(dicom_of(values_of(), **tags)) == reason


@pytest.mark.parametrize("tags", [{"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}, {"Rows": 32}, {"Columns": 60}])
def test_an_element_longer_than_its_picture_is_refused(tags):
    assert reason_of(without(dicom_of(values_of()), **tags)) == "damaged"


@pytest.mark.parametrize("syntax", NATIVE[:2], ids=named)
def test_an_element_shorter_than_its_picture_is_truncated_whatever_follows(syntax):
    data = dicom_of(values_of(), syntax=syntax, PixelData=bytes(6000), DataSetTrailingPadding=bytes(9000))
    assert reason_of(data) == "truncated"


def test_one_byte_of_padding_to_an_even_length_is_no_fault():
    values = values_of(dtype=np.uint8, top=255, height=33, width=33)
    np.testing.assert_array_equal(stored_in(dicom_of(values, bits=8, PixelData=values.tobytes() + b"\0")), values)


@pytest.mark.parametrize("length", [b"\xff\xff\xff\xff", b"\x00\x40\x00\x00"])
def test_compressed_pixels_under_a_native_syntax_are_damaged(length):
    values = np.random.default_rng(0).integers(0, 4096, (SIZE, SIZE)).astype(np.uint16)
    data = dicom_of(values, syntax=JPEG2000Lossless, Columns=32)
    tag = data.index(b"\xff\xff\xff\xff\xfe\xff\x00\xe0")
    relabelled = data.replace(JPEG2000Lossless.encode() + b"\0"[: len(JPEG2000Lossless) % 2], _padded_native())
    native = relabelled[:tag] + length + relabelled[tag + 4 :]
    assert reason_of(native) == "damaged"


def _padded_native():
    """The identifier of explicit little endian, as long as that of lossless JPEG 2000."""
    return ExplicitVRLittleEndian.encode().ljust(len(JPEG2000Lossless) + len(JPEG2000Lossless) % 2, b"\0")


def test_an_rle_frame_of_another_size_is_refused():
    data = dicom_of(values_of(), syntax=RLELossless)
    assert reason_of(without(data, Rows=60)) == "damaged"
    assert reason_of(without(data, Rows=70)) == "truncated"


def test_compressed_pixels_outside_of_items_are_refused():
    data = dicom_of(values_of(), syntax=JPEGLSLossless)
    tag = data.index(b"\xff\xff\xff\xff\xfe\xff\x00\xe0")
    assert reason_of(data[:tag] + b"\0\x10\0\0" + data[tag + 4 :]) == "damaged"


def test_a_deflated_bomb_is_not_inflated():
    packed = dicom_of(np.zeros((4096, 4096), np.uint16), syntax=DeflatedExplicitVRLittleEndian)
    assert len(packed) < 100_000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cxr_pipeline.images.decode.dicom.files._MAX_INFLATED", 2**20)
        assert reason_of(packed) == "too_large"
