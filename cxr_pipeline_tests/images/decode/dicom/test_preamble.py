"""A DICOM file without a preamble is known and read; other files are not taken for one."""

import io

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLSLossless

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode.dicom.preamble import is_dicom
from cxr_pipeline.images.decode.pixels import decode_radiograph
from cxr_pipeline_tests.images.decode.dicom.dicoms import FULL_WINDOW, SIZE, dicom_of, values_of

WHOLE = dicom_of(values_of(), **FULL_WINDOW)
NATIVE = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]


def shown(data):
    return decode_radiograph(data, size=SIZE).pixels


def bare(syntax):
    """The elements alone, as `storescu` sends them and ACR-NEMA files have them."""
    header = pydicom.dcmread(io.BytesIO(dicom_of(values_of(), syntax=syntax, **FULL_WINDOW)))
    header.preamble = None
    del header.file_meta
    buffer = io.BytesIO()
    header.save_as(buffer, implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian)
    return buffer.getvalue()


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda syntax: syntax.keyword)
def test_elements_alone_are_read(syntax):
    data = bare(syntax)
    assert not data.startswith(bytes(100))
    assert is_dicom(data[:132])
    np.testing.assert_array_equal(shown(data), shown(WHOLE))


@pytest.mark.parametrize("syntax", [*NATIVE, JPEGLSLossless], ids=lambda syntax: syntax.keyword)
@pytest.mark.parametrize("cut", [128, 132])
def test_a_file_without_its_preamble_is_read(syntax, cut):
    data = dicom_of(values_of(), syntax=syntax, **FULL_WINDOW)[cut:]
    assert is_dicom(data[:132])
    np.testing.assert_array_equal(shown(data), shown(WHOLE))


def test_a_group_length_may_come_first():
    data = b"\x08\x00\x00\x00\x04\x00\x00\x00\x10\x00\x00\x00" + bare(ImplicitVRLittleEndian)
    np.testing.assert_array_equal(shown(data), shown(WHOLE))


OTHERS = [
    b"", b"DIC", b"\x08\x00", b"\x08\x00" * 70, b"\x02\x00" + bytes(200), b"\x08\x00\x05\x00" + bytes(200), bytes(200),
    b"GIF89a" + bytes(200), b"BM" + bytes(range(200)), b"8" * 200, b"\x00\x08" + bytes(200),
]  # fmt: skip


@pytest.mark.parametrize("data", OTHERS, ids=range(len(OTHERS)))
def test_other_bytes_are_not_taken_for_dicom(data):
    assert not is_dicom(data)
    with pytest.raises(ImageError) as error:
        decode_radiograph(data, size=SIZE)
    assert error.value.reason in ("empty", "not_an_image", "unsupported")


def test_compressed_elements_alone_do_not_pass_for_pixels():
    data = dicom_of(values_of(), syntax=JPEGLSLossless, **FULL_WINDOW)
    with pytest.raises(ImageError) as error:
        shown(data[data.index(b"\x08\x00\x16\x00UI") :])
    assert error.value.reason == "damaged"
