"""Lookup tables as real files have them: descriptors that do not fit their entries, in every representation."""

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode.pixels import decode_radiograph
from cxr_pipeline_tests.images.decode.dicom.dicoms import SIZE, dicom_of, values_of

SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]


def shown(data):
    return decode_radiograph(data, size=SIZE).pixels.astype(int)


def lut(descriptor, entries, *, form="US", kind="u2", order="<"):
    """`entries` as words; with the form OW, as bytes of `kind`."""
    item = pydicom.Dataset()
    item.add_new("LUTDescriptor", "SS" if min(descriptor) < 0 else "US", descriptor)
    value = np.asarray(entries).astype(f"{order}{kind}").tobytes() if form == "OW" else list(map(int, entries))
    item.add_new("LUTData", form, value)
    return [item]


@pytest.mark.parametrize("named", [8, 10, 12, 14, 16, 0, 32])
@pytest.mark.parametrize("reached", [8, 10, 12, 14, 16])
def test_entries_decide_what_is_white_where_the_descriptor_names_other_bits(named, reached):
    values, top = values_of(), 2**reached - 1
    entries = np.arange(4096) * top // 4095
    data = dicom_of(values, VOILUTSequence=lut([4096, 0, named], entries))
    np.testing.assert_allclose(shown(data), values / 4095 * 255, atol=1)


def test_a_dim_table_stays_dim():
    values = values_of()
    data = dicom_of(values, VOILUTSequence=lut([4096, 0, 16], np.arange(4096) * 30000 // 4095))
    np.testing.assert_allclose(shown(data), values / 4095 * 30000 / 65535 * 255, atol=1)


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda one: one.keyword)
@pytest.mark.parametrize("first", [-1024, 64512])
def test_the_first_value_is_signed_where_rescaled_values_may_be(syntax, first):
    values = values_of()
    data = dicom_of(
        values,
        syntax=syntax,
        RescaleSlope=1,
        RescaleIntercept=-1024,
        VOILUTSequence=lut([4096, first, 12], np.arange(4096)),
    )
    np.testing.assert_allclose(shown(data), values / 4095 * 255, atol=1)


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda one: one.keyword)
@pytest.mark.parametrize("first", [-2048, 2**16 - 2048])
def test_the_first_value_of_a_modality_lut_is_signed_as_the_pixels_are(syntax, first):
    values = (values_of().astype(np.int32) - 2048).astype(np.int16)
    item = lut([4096, first, 12], np.arange(4096))
    item[0].ModalityLUTType = "US"
    data = dicom_of(values, syntax=syntax, ModalityLUTSequence=item, WindowCenter=2048, WindowWidth=4096)
    np.testing.assert_allclose(shown(data), (values + 2048.0) / 4095 * 255, atol=1)


def test_a_first_value_of_the_upper_half_is_unsigned_for_unsigned_values():
    values = (values_of().astype(np.int32) + 40000).astype(np.uint16)
    data = dicom_of(values, bits=16, VOILUTSequence=lut([4096, 40000, 12], np.arange(4096)))
    np.testing.assert_allclose(shown(data), (values - 40000.0) / 4095 * 255, atol=1)


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda one: one.keyword)
@pytest.mark.parametrize("kind", ["u1", "u2"])
def test_entries_of_8_bits_lie_in_bytes_or_in_words(syntax, kind):
    values, entries = values_of(), np.arange(4096) // 16
    if syntax == ExplicitVRBigEndian and kind == "u1":
        entries_in_file = entries.reshape(-1, 2)[:, ::-1].ravel()  # OW: bytes are swapped in pairs
    else:
        entries_in_file = entries
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    item = lut([4096, 0, 8], entries_in_file, form="OW", kind=kind, order=order)
    np.testing.assert_array_equal(shown(dicom_of(values, syntax=syntax, VOILUTSequence=item)), entries[values])


def test_none_in_the_descriptor_is_all_of_65536_entries():
    values = values_of(top=65535)
    item = lut([0, 0, 16], np.arange(65536)[::-1], form="OW")
    np.testing.assert_allclose(shown(dicom_of(values, bits=16, VOILUTSequence=item)), 255 - values / 257, atol=1)


BROKEN = {
    "fewer entries than counted": lut([4096, 0, 12], np.arange(1000)),
    "no entries": lut([4096, 0, 12], [], form="OW"),
    "a descriptor of two numbers": lut([4096, 0], np.arange(4096)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_table_that_is_not_whole_is_named(name):
    with pytest.raises(ImageError, match="lookup table") as error:
        decode_radiograph(dicom_of(values_of(), VOILUTSequence=BROKEN[name]), size=SIZE)
    assert error.value.reason == "damaged"
