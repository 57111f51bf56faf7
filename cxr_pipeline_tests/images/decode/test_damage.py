"""However a file is damaged, it is decoded or refused with a known reason: PNG, JPEG and every DICOM compression.

Ten thousand files in all. A crash of a decoder would end the process, and so fail the run.
"""

import re
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode.pixels import decode_radiograph
from cxr_pipeline.images.decode.reasons import REASONS
from cxr_pipeline_tests.images.conftest import encode, picture
from cxr_pipeline_tests.images.decode.dicom.dicoms import FRAMES, FULL_WINDOW, dicom_of, lut_item, values_of

FILES = 330  # damaged ones of each of 31 forms
SECONDS = 10  # that one may take
MEBIBYTES = 256  # that the process may grow by


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


def memory(which):
    """MiB of this process: `VmRSS` now, `VmHWM` at most since the peak was forgotten."""
    kibibytes = re.search(rf"{which}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]
    return int(kibibytes) / 1024


def test_there_are_ten_thousand():
    assert len(WHOLE) * FILES >= 10_000


@pytest.mark.parametrize("name", WHOLE)
def test_damaged_files_are_soon_decoded_or_refused_with_a_known_reason(name):
    assert outcome(WHOLE[name]) == (48, 48)
    rng = np.random.default_rng(sorted(WHOLE).index(name))
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak
    outcomes, slowest, before = set(), 0.0, memory("VmRSS")
    for _ in range(FILES):
        damaged, started = damage(rng, WHOLE[name]), time.monotonic()
        outcomes.add(outcome(damaged))
        slowest = max(slowest, time.monotonic() - started)
    assert outcomes <= {*REASONS, (48, 48)}
    assert {"truncated", "damaged"} & outcomes
    assert slowest < SECONDS
    assert memory("VmHWM") - before < MEBIBYTES
