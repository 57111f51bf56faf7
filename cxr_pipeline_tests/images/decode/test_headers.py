import numpy as np
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless

from cxr_pipeline.images.decode.headers import describe_header
from cxr_pipeline_tests.images.conftest import encode, picture
from cxr_pipeline_tests.images.decode.dicom.dicoms import FULL_WINDOW, dicom_of, lut_item, values_of


@pytest.mark.parametrize(
    ("data", "facts"),
    [
        (encode(picture(0, width=80)), ("PNG", "80 x 64 pixels", "8", "grey")),
        (encode(picture(0), mode="RGBA"), ("PNG", "64 x 64 pixels", "8", "RGB with alpha")),
        (encode(picture(0).astype(np.uint16) * 200), ("PNG", "64 x 64 pixels", "16", "grey")),
        (encode(picture(0, height=1200), "JPEG"), ("JPEG", "64 x 1,200 pixels", "8", "L")),
        (dicom_of(values_of(), bits=12, shown="MONOCHROME1"), ("DICOM", "64 x 64 pixels", "12", "MONOCHROME1")),
    ],
    ids=["png", "rgba", "png16", "jpeg", "dicom"],
)
def test_kind_size_bits_and_photometric_are_those_of_the_file(data: bytes, facts: tuple[str, ...]):
    found = describe_header(data)
    assert (found["kind"], found["size"], found["bits"], found["photometric"]) == facts


def test_dicom_names_its_transfer_syntax_body_part_and_modality():
    found = describe_header(dicom_of(values_of(), syntax=JPEG2000Lossless, BodyPartExamined="CHEST", Modality="DX"))
    assert found["transfer syntax"] == "JPEG 2000 Image Compression (Lossless Only)"
    assert (found["body part"], found["modality"]) == ("CHEST", "DX")


def test_nothing_of_the_patient_is_told():
    found = describe_header(dicom_of(values_of(), PatientBirthDate="19700101", AccessionNumber="planted-number"))
    assert "lanted" not in str(found)
    assert "1970" not in str(found)


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({}, "percentiles"),
        (FULL_WINDOW, "window centre 2048, width 4096, linear, the first of 1"),
        (
            {"WindowCenter": [300, 500], "WindowWidth": [600, 900]},
            "window centre 300, width 600, linear, the first of 2",
        ),
        ({"WindowCenter": 300, "WindowWidth": 0}, "percentiles"),
        ({"WindowCenter": 0.5, "WindowWidth": 0.4, "VOILUTFunction": "SIGMOID"}, "width 0.4, sigmoid"),
        ({"shown": "RGB", "SamplesPerPixel": 3}, "all channels agree"),
        ({**FULL_WINDOW, "VOILUTSequence": [lut_item(0, [0, 9, 99], 16)]}, "VOI LUT"),
    ],
    ids=["none", "window", "windows", "no width", "narrow", "colours", "lut"],
)
def test_what_decides_black_and_white_is_named(tags: dict, words: str):
    assert words in describe_header(dicom_of(values_of(), **tags))["shown by"]


def test_a_dicom_file_without_preamble_tells_the_same():
    data = dicom_of(values_of())
    assert describe_header(data[132:]) == describe_header(data)


def test_deflated_header_is_not_inflated():
    facts = describe_header(dicom_of(values_of(), syntax=DeflatedExplicitVRLittleEndian))
    assert facts == {"kind": "DICOM", "transfer syntax": "Deflated Explicit VR Little Endian"}


def test_8_bit_dicom_without_a_window_is_shown_as_it_is():
    assert "as they are" in describe_header(dicom_of(picture(0), bits=8))["shown by"]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "DICOM"])
def test_a_file_cut_anywhere_keeps_its_kind_and_raises_nothing(kind: str):
    data = dicom_of(values_of(), **FULL_WINDOW) if kind == "DICOM" else encode(picture(0), kind)
    for length in range(132, min(len(data), 1500), 7):
        assert describe_header(data[:length])["kind"] == kind


def test_other_bytes_have_no_facts():
    assert describe_header(b"<html>not found</html>" * 20) == {}
    assert describe_header(b"") == {}
