"""However a file is damaged, it is decoded or refused with a known reason: PNG, JPEG and every DICOM compression."""

import cv2
import numpy as np
import pytest
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.pixels import decode_radiograph
from cxr_pipeline.images.reasons import REASONS
from cxr_pipeline_tests.images.conftest import encode, picture
from cxr_pipeline_tests.images.dicoms import FRAMES, FULL_WINDOW, dicom_of, lut_item, values_of

FILES = 120  # damaged ones of each form


def whole_files():
    for mode in ("L", "RGB", "RGBA", "LA", "P"):
        yield f"PNG {mode}", encode(picture(0), mode=mode)
    yield "PNG of 16 bits", cv2.imencode(".png", picture(0).astype(np.uint16) * 200)[1].tobytes()
    for mode in ("L", "RGB", "CMYK"):
        yield f"JPEG {mode}", encode(picture(0), "JPEG", mode=mode)
    for syntax in [ExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless, *FRAMES]:
        bits, values = (8, picture(0)) if syntax == JPEGBaseline8Bit else (12, values_of())
        yield f"DICOM {syntax.keyword}", dicom_of(values, syntax=syntax, bits=bits, **FULL_WINDOW)
        curve = lut_item(0, (np.arange(2**bits) ** 2 // 2**bits).tolist(), bits)
        tags = {"VOILUTSequence": [curve], "PixelPaddingValue": 0}
        yield f"DICOM {syntax.keyword} with a table", dicom_of(values, syntax=syntax, bits=bits, **tags)


WHOLE = dict(whole_files())


def damage(rng, whole):
    """Cut, bits flipped, a stretch of noise, or bytes of the headers changed."""
    data, kind = bytearray(whole), rng.integers(4)
    if kind == 0:
        return bytes(data[: rng.integers(1, len(data))])
    if kind == 1:
        start = int(rng.integers(len(data)))
        stretch = data[start : start + 64]
        data[start : start + 64] = rng.bytes(len(stretch))
        return bytes(data)
    last = len(data) if kind == 2 else min(len(data), 1200)
    for place in rng.integers(0, last, rng.integers(1, 9)):
        data[place] ^= 1 << int(rng.integers(8))
    return bytes(data)


def outcome(data):
    try:
        return decode_radiograph(data, size=48).pixels.shape
    except ImageError as error:
        return error.reason


@pytest.mark.parametrize("name", WHOLE)
def test_damaged_files_are_decoded_or_refused_with_a_known_reason(name):
    assert outcome(WHOLE[name]) == (48, 48)
    rng = np.random.default_rng(sorted(WHOLE).index(name))
    outcomes = [outcome(damage(rng, WHOLE[name])) for _ in range(FILES)]
    assert set(outcomes) <= {*REASONS, (48, 48)}
    assert {"truncated", "damaged"} & set(outcomes)
