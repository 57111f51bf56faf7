"""What a DICOM header decides: which files are radiographs of a chest, and how wide their pixels are."""

from pathlib import Path

import numpy as np
import pydicom
import pytest

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode.dicom.checks import MODALITIES
from cxr_pipeline.images.decode.dicom.files import decode_dicom
from cxr_pipeline.images.decode.pixels import decode_radiograph
from cxr_pipeline_tests.images.decode.dicom.dicoms import (
    FULL_WINDOW,
    SIZE,
    dicom_of,
    shown_by_pydicom,
    values_of,
    without,
)

SHARED = Path(__file__).parents[4].parent / "shared" / "data" / "dicom"
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


def reason_of(data):
    with pytest.raises(ImageError) as error:
        decode_radiograph(data, size=SIZE)
    return error.value.reason


@pytest.mark.parametrize("modality", MODALITIES)
def test_plain_radiography_is_read_under_every_name_it_is_filed_by(modality):
    assert shown(dicom_of(values_of(), Modality=modality, **FULL_WINDOW)).max() > 200


@pytest.mark.parametrize("modality", ["CT", "MR", "US", "MG", "SR"])
def test_other_modalities_are_no_radiographs(modality):
    assert reason_of(dicom_of(values_of(), Modality=modality)) == "not_radiograph"


@pytest.mark.parametrize("part", ["", "CHEST", "THORAX", "CHEST PA", "PORT CHEST", "TSPINE", "CHESTABDOMEN", "123"])
def test_a_chest_and_what_may_be_one_is_read(part):
    assert shown(dicom_of(values_of(), BodyPartExamined=part, **FULL_WINDOW)).max() > 200


@pytest.mark.parametrize("part", ["EXTREMITY", "ABDOMEN", "SKULL", "UPPER EXTREMITY", "L SPINE"])
def test_what_is_plainly_another_body_part_is_not(part):
    assert reason_of(dicom_of(values_of(), BodyPartExamined=part)) == "not_chest"


@pytest.mark.parametrize(
    "tags",
    [
        {"PixelAspectRatio": [2, 1]},
        {"ImagerPixelSpacing": [0.3, 0.15]},
        {"PixelSpacing": [0.3, 0.15]},
        {"PixelAspectRatio": [2, 1], "PixelSpacing": [0.1, 0.1]},
        {"ImagerPixelSpacing": [0.0, 0.0], "PixelSpacing": [0.3, 0.15]},
    ],
)
def test_pixels_that_are_higher_than_wide_become_square(tags):
    values = values_of(height=96, width=128)
    radiograph = decode_radiograph(dicom_of(values, **tags, **FULL_WINDOW), size=96)
    assert (radiograph.placement.height, radiograph.placement.width) == (96, 64)
    assert (radiograph.placement.scale_y, radiograph.placement.scale_x) == (1, 0.5)
    expected = values.reshape(96, 64, 2).mean(axis=2) / 4095 * 255
    np.testing.assert_allclose(radiograph.pixels[:, 16:80], expected, atol=1)


@pytest.mark.parametrize(
    "tags", [{}, {"PixelSpacing": [0.0, 0.0]}, {"PixelSpacing": [1.2, 1.2012]}, {"PixelAspectRatio": [1, 1]}]
)
def test_pixels_are_square_where_nothing_else_is_said(tags):
    radiograph = decode_radiograph(dicom_of(values_of(height=96), **tags, **FULL_WINDOW), size=96)
    assert (radiograph.placement.height, radiograph.placement.width) == (96, 64)


def test_an_absurd_shape_counts_in_true_lengths():
    assert reason_of(dicom_of(values_of(), PixelAspectRatio=[4, 1])) == "absurd_aspect"
    assert shown(dicom_of(values_of(height=SIZE * 4), PixelAspectRatio=[1, 4], **FULL_WINDOW)).min(axis=0).max() > 0


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
    data, header = real(name).read_bytes(), pydicom.dcmread(real(name))
    if header.BodyPartExamined == "EXTREMITY":
        assert reason_of(data) == "not_chest"
        data = without(data, "BodyPartExamined")
    exposure = decode_dicom(data, stored_side=None)
    assert (exposure.mode, exposure.plane.values.shape) == (mode, (height, width))
    black, white = reversed(exposure.window) if exposure.is_inverted else exposure.window
    ours = np.clip((exposure.plane.values.astype(float) - black) / (white - black), 0, 1) * 255
    np.testing.assert_allclose(ours, shown_by_pydicom(header, header.pixel_array), atol=0.01)


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
