"""One stated frame of several is that frame, compressed or not; without a number the refusal says how to state it."""

import io

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode.pixels import decode_radiograph, read_radiograph
from cxr_pipeline_tests.images.decode.dicom.dicoms import FRAMES, SIZE, dicom_of, frame_of, values_of

PICTURES = [values_of(seed, top=250, dtype=np.uint8) for seed in range(3)]


def several(syntax=ExplicitVRLittleEndian, *, has_offsets=True, fragments=1, **tags):
    if syntax in FRAMES:
        frames = [frame_of(picture, syntax, 8) for picture in PICTURES]
        pixels = encapsulate(frames, has_bot=has_offsets, fragments_per_frame=fragments)
    elif syntax == RLELossless:
        singles = [pydicom.dcmread(io.BytesIO(dicom_of(picture, bits=8, syntax=syntax))) for picture in PICTURES]
        frames = [next(generate_frames(single.PixelData, number_of_frames=1)) for single in singles]
        header = pydicom.dcmread(io.BytesIO(dicom_of(PICTURES[0], bits=8, syntax=syntax)))
        header.PixelData, header.NumberOfFrames = encapsulate(frames), 3
        buffer = io.BytesIO()
        header.save_as(buffer)
        return buffer.getvalue()
    else:
        pixels = b"".join(picture.tobytes() for picture in PICTURES)
    return dicom_of(PICTURES[0], bits=8, syntax=syntax, **{"PixelData": pixels, "NumberOfFrames": 3, **tags})


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_stated_frame_is_read(syntax, number):
    pixels = decode_radiograph(several(syntax), size=SIZE, frame=number).pixels
    np.testing.assert_array_equal(pixels, PICTURES[number - 1])


@pytest.mark.parametrize("form", [{"has_offsets": False}, {"fragments": 4}])
def test_frames_are_found_by_offsets_or_one_to_a_fragment(form):
    pixels = decode_radiograph(several(JPEGLSLossless, **form), size=SIZE, frame=2).pixels
    np.testing.assert_array_equal(pixels, PICTURES[1])


def test_a_file_is_read_with_its_frame(tmp_path):
    (tmp_path / "several.dcm").write_bytes(several())
    pixels = read_radiograph(tmp_path / "several.dcm", size=SIZE, frame=3).pixels
    np.testing.assert_array_equal(pixels, PICTURES[2])


def test_frames_of_colours_are_read():
    grey = np.stack([np.stack([picture] * 3, axis=-1) for picture in PICTURES])
    data = several(shown="RGB", SamplesPerPixel=3, PlanarConfiguration=0, PixelData=grey.tobytes())
    np.testing.assert_array_equal(decode_radiograph(data, size=SIZE, frame=2).pixels, PICTURES[1])


@pytest.mark.parametrize("frame", [None, 1])
def test_a_single_frame_needs_no_number(frame):
    for tags in ({}, {"NumberOfFrames": 1}):
        pixels = decode_radiograph(dicom_of(PICTURES[0], bits=8, **tags), size=SIZE, frame=frame).pixels
        np.testing.assert_array_equal(pixels, PICTURES[0])


REFUSED = {
    "none stated": ("unsupported", several(), None, "State which"),
    "a number beyond the frames": ("unsupported", several(), 4, "1 to 3"),
    "number 0": ("unsupported", several(), 0, "1 to 3"),
    "fragments that belong to no frame": (
        "unsupported",
        several(JPEGLSLossless, has_offsets=False, fragments=2),
        1,
        "without offsets",
    ),
    "more frames than the header counts": ("damaged", several(JPEGLSLossless, NumberOfFrames=1), None, "3 frames"),
    "fewer native frames than counted": ("truncated", several(NumberOfFrames=4), 1, "asks for"),
    "more native frames than counted": ("damaged", several(NumberOfFrames=2), 1, "another picture"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_frames_that_cannot_be_told_apart_are_refused(name):
    reason, data, frame, words = REFUSED[name]
    with pytest.raises(ImageError, match=words) as error:
        decode_radiograph(data, size=SIZE, frame=frame)
    assert error.value.reason == reason


def test_bytes_of_big_endian_words_are_swapped_back_over_all_frames():
    odd = np.arange(33 * 33, dtype=np.uint32).reshape(33, 33).astype(np.uint8)
    whole = np.concatenate([odd.ravel(), odd.T.ravel()])
    data = dicom_of(odd, syntax=ExplicitVRBigEndian, bits=8, NumberOfFrames=2)
    header = pydicom.dcmread(io.BytesIO(data))
    header.PixelData = whole.reshape(-1, 2)[:, ::-1].tobytes()
    header["PixelData"].VR = "OW"
    buffer = io.BytesIO()
    header.save_as(buffer)
    np.testing.assert_array_equal(decode_radiograph(buffer.getvalue(), size=33, frame=2).pixels, odd.T)
