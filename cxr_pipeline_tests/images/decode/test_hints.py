"""Hints come from what a file says of its picture, and an ordinary frontal has none."""

import io

import pytest
from PIL import Image
from pydicom import Dataset, Sequence

from cxr_pipeline.images.decode.hints import find_hints
from cxr_pipeline_tests.images.conftest import encode, picture
from cxr_pipeline_tests.images.decode.dicom.dicoms import dicom_of, values_of


def hints_of(data, *, height=100, width=90):
    return " ".join(find_hints(data, height=height, width=width))


def turned(form, orientation):
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(picture(0)).save(buffer, form, exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize("view", ["LL", "RL", "LATERAL", "LLD", "L LAT"])
def test_a_lateral_by_its_view(view):
    assert "lateral view" in hints_of(dicom_of(values_of(), ViewPosition=view))


def view_code(meaning: str) -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "399067008", "SCT", meaning
    return Sequence([item])


@pytest.mark.parametrize("meaning", ["lateral projection", "Left lateral", "LATERAL"])
def test_a_lateral_by_the_code_of_its_view(meaning):
    assert "lateral view" in hints_of(dicom_of(values_of(), ViewCodeSequence=view_code(meaning)))


@pytest.mark.parametrize(
    ("orientation", "words"),
    [
        (["P", "F"], "lateral view"),
        (["A", "FR"], "lateral view"),
        (["F", "R"], "does not stand upright"),
        (["R", "H"], "does not stand upright"),
        (["R", "F"], "mirrored"),
    ],
)
def test_a_picture_by_the_directions_of_its_rows_and_columns(orientation, words):
    assert words in hints_of(dicom_of(values_of(), PatientOrientation=orientation))


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"ViewPosition": "PA"},
        {"ViewPosition": "AP"},
        {"PatientOrientation": ["L", "F"]},
        {"PatientOrientation": ["LH", "FL"]},
        {"PatientOrientation": ""},
        {"ViewCodeSequence": view_code("postero-anterior")},
        {"ViewCodeSequence": view_code("antero-posterior, left lateral decubitus")},
        {"ViewCodeSequence": Sequence()},
    ],
)
def test_an_upright_frontal_has_no_hint(tags):
    assert hints_of(dicom_of(values_of(), **tags)) == ""


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_turn_in_exif_is_told_and_not_applied(form):
    assert "stored turned by 90 degrees" in hints_of(turned(form, 6))
    assert "mirrored" in hints_of(turned(form, 2))
    assert hints_of(turned(form, 1)) == ""


def test_unequal_sides_are_told():
    assert "320 x 200" in hints_of(encode(picture(0)), height=200, width=320)
    assert hints_of(encode(picture(0)), height=200, width=250) == ""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8\xffExif\0\0",
        b"\xff\xd8\xffExif\0\0II*\0\xff\xff\xff\xff",
        bytes(128) + b"DICM",
        dicom_of(values_of())[:200],
    ],
)
def test_what_cannot_be_read_has_no_hint(data):
    assert hints_of(data) == ""
