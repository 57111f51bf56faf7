"""A DICOM file that cannot be used is refused with its reason, and says nothing of the patient."""

import numpy as np
import pytest
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode.dicom.files import decode_dicom
from cxr_pipeline.images.decode.pixels import decode_radiograph
from cxr_pipeline_tests.images.decode.dicom.dicoms import FULL_WINDOW, SIZE, dicom_of, values_of, without


def reason_of(data):
    with pytest.raises(ImageError) as error:
        decode_radiograph(data, size=32)
    return error.value.reason


BESIDE = {"WindowCenter": 3000, "WindowWidth": 100}
UNUSABLE = {
    "palette colours": ("unsupported", dicom_of(values_of(), shown="PALETTE COLOR")),
    "two frames": ("unsupported", dicom_of(values_of(), NumberOfFrames=2)),
    "colour": ("unsupported", dicom_of(values_of(), shown="RGB")),
    "an icon": ("too_small", dicom_of(values_of(height=16, width=16))),
    "one value": ("blank", dicom_of(np.full((64, 64), 900, np.uint16))),
    "nothing but padding": ("blank", dicom_of(np.zeros((64, 64), np.uint16), PixelPaddingValue=0)),
    "a window beside values of nearly one kind": ("blank", dicom_of(values_of(top=50), **BESIDE)),
    "half of the pixels": ("truncated", dicom_of(values_of())[:-4096]),
    "half of a code stream": ("truncated", dicom_of(values_of(), syntax=JPEG2000Lossless)[:-1000]),
    "a file cut in its header": ("not_an_image", dicom_of(values_of())[:300]),
    "a preamble alone": ("not_an_image", dicom_of(values_of())[:132]),
    "a header without pixels": ("not_an_image", without(dicom_of(values_of()), "PixelData")),
    "a report": ("not_an_image", without(dicom_of(values_of()), "PixelData", "Rows", "Columns")),
    "too many pixels": ("too_large", dicom_of(values_of(), Rows=60_000, Columns=60_000)),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_unusable_files_are_refused_with_their_reason(name):
    reason, data = UNUSABLE[name]
    assert reason_of(data) == reason


def is_refused(data):
    try:
        decode_radiograph(data, size=32)
    except ImageError:
        return True
    return False


@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless, JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless],
    ids=lambda syntax: syntax.keyword,
)
def test_flipped_bytes_raise_nothing_but_image_errors(syntax):
    rng = np.random.default_rng(0)
    bits, dtype = (8, np.uint8) if syntax == JPEGBaseline8Bit else (12, np.uint16)
    whole = dicom_of(values_of(top=2**bits - 1, dtype=dtype), bits=bits, syntax=syntax, **FULL_WINDOW)
    refused = 0
    for _ in range(80):
        data = bytearray(whole)
        for place in rng.integers(132, 900, 4):
            data[place] = rng.integers(256)
        refused += is_refused(bytes(data))
    assert 5 < refused < 80


def test_no_tag_that_names_the_patient_is_parsed(monkeypatch):
    seen = []
    monkeypatch.setattr("cxr_pipeline.images.decode.dicom.files._decode", lambda file, *_: seen.append(file.header))
    decode_dicom(dicom_of(values_of(), **FULL_WINDOW), stored_side=None)
    assert seen[0].Rows == SIZE
    assert "planted" not in str(seen[0]).lower()


def test_messages_say_nothing_of_the_patient():
    with pytest.raises(ImageError) as error:
        decode_radiograph(dicom_of(values_of(), WindowCenter=2048)[:700].replace(b"OW", b"XX"), size=32)
    assert "planted" not in str(error.value).lower()
