"""What functional groups say of a frame is shown as if it stood in the header."""

import numpy as np
import pydicom
import pytest

from cxr_pipeline.images.decode.pixels import decode_radiograph
from cxr_pipeline_tests.images.conftest import picture
from cxr_pipeline_tests.images.decode.dicom.dicoms import SIZE, dicom_of

VALUES = picture(1, height=SIZE, width=SIZE).astype(np.uint16) * 16
WINDOW = {"WindowCenter": "1000", "WindowWidth": "400", "VOILUTFunction": "LINEAR_EXACT"}
NEGATIVE = {"RescaleSlope": "-1", "RescaleIntercept": "4095"}


def sequence_of(*items):
    return pydicom.Sequence([dataset_of(**tags) for tags in items])


def dataset_of(**tags):
    made = pydicom.Dataset()
    for keyword, value in tags.items():
        setattr(made, keyword, value)
    return made


def shown(frame=None, **tags):
    return decode_radiograph(dicom_of(VALUES, **tags), size=SIZE, frame=frame).pixels


def group(macro, tags):
    return {macro: sequence_of(tags)}


@pytest.mark.parametrize("place", ["SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"])
@pytest.mark.parametrize(
    ("macro", "tags"),
    [("FrameVOILUTSequence", WINDOW), ("PixelValueTransformationSequence", NEGATIVE)],
)
def test_window_and_rescaling_of_a_group_count(place, macro, tags):
    told = shown(**{place: sequence_of(group(macro, tags))})
    np.testing.assert_array_equal(told, shown(**tags))
    assert np.abs(told.astype(int) - shown().astype(int)).max() > 100  # it matters


def test_pixel_spacing_of_a_group_makes_pixels_square():
    measures = group("PixelMeasuresSequence", {"PixelSpacing": ["0.2", "0.1"]})
    told = shown(SharedFunctionalGroupsSequence=sequence_of(measures))
    np.testing.assert_array_equal(told, shown(PixelSpacing=["0.2", "0.1"]))


def test_group_of_the_frame_counts_before_the_shared_one_and_the_header_before_both():
    other = {**WINDOW, "WindowCenter": "3000"}
    groups = {
        "PerFrameFunctionalGroupsSequence": sequence_of(group("FrameVOILUTSequence", WINDOW)),
        "SharedFunctionalGroupsSequence": sequence_of(group("FrameVOILUTSequence", other)),
    }
    np.testing.assert_array_equal(shown(**groups), shown(**WINDOW))
    np.testing.assert_array_equal(shown(**groups, **other), shown(**other))


def test_each_frame_has_its_own_group():
    other = {**WINDOW, "WindowCenter": "3000"}
    tags = {
        "PerFrameFunctionalGroupsSequence": sequence_of(*(group("FrameVOILUTSequence", w) for w in (WINDOW, other))),
        "NumberOfFrames": 2,
        "PixelData": VALUES.tobytes() * 2,
    }
    for frame, window in ((1, WINDOW), (2, other)):
        np.testing.assert_array_equal(shown(frame=frame, **tags), shown(**window))


def test_empty_groups_say_nothing():
    empty = {
        place: pydicom.Sequence() for place in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
    }
    np.testing.assert_array_equal(shown(**empty), shown())
