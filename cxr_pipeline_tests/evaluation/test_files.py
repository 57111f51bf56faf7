import cv2
import numpy as np
import pytest

from cxr_pipeline.errors import CheckpointError
from cxr_pipeline.evaluation.classifier import Classifier
from cxr_pipeline.evaluation.files import FileError, FilePrediction, find_images, predict_files
from cxr_pipeline.evaluation.overlays import OverlayWriter
from cxr_pipeline.evaluation.predict import predict
from cxr_pipeline.images.decode.pixels import read_radiograph
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline_tests.images.conftest import encode, picture
from cxr_pipeline_tests.images.decode.dicom.dicoms import dicom_of, values_of


@pytest.fixture(scope="module")
def classifier(world):
    return Classifier.load(world.inputs.checkpoint)


@pytest.fixture
def folder(tmp_path):
    """One picture in each form, and what is none."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "b.PNG").write_bytes(encode(picture(1)))
    (tmp_path / "a.jpg").write_bytes(encode(picture(2), "JPEG"))
    (tmp_path / "deep" / "c.dcm").write_bytes(dicom_of(values_of()))
    for name in ("1.2.840.10008", "IM0001"):
        (tmp_path / "deep" / name).write_bytes(dicom_of(values_of(3)))
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "README").write_text("no picture either" * 20)
    (tmp_path / "b.PNG.Mass.overlay.png").write_bytes(encode(picture(1)))
    return tmp_path


def test_images_of_a_folder_are_png_jpeg_and_dicom_even_without_a_suffix(folder):
    found = [str(path.relative_to(folder)) for path in find_images([folder])]
    assert found == ["a.jpg", "b.PNG", "deep/1.2.840.10008", "deep/IM0001", "deep/c.dcm"]


def test_named_files_are_taken_as_they_are_and_once(folder):
    notes, picture_file = folder / "notes.txt", folder / "b.PNG"
    assert find_images([notes, picture_file, picture_file, folder])[:3] == [notes, picture_file, folder / "a.jpg"]
    assert len(find_images([picture_file, folder])) == 5


def test_probabilities_are_those_of_the_pixels_in_every_form(folder, classifier):
    for answer in predict_files(find_images([folder]), classifier):
        pixels = read_radiograph(answer.path, size=classifier.size).pixels
        expected = predict(classifier.network, [pixels[None]], classifier.config)[0]
        assert list(answer.probabilities) == list(PATHOLOGIES)
        np.testing.assert_allclose(list(answer.probabilities.values()), expected, atol=1e-7)


def test_decisions_follow_the_thresholds_and_there_is_none_without_one(folder, classifier):
    (answer,) = predict_files([folder / "b.PNG"], classifier)
    for name, probability in answer.probabilities.items():
        assert answer.decisions[name] == (None if name == "Hernia" else probability >= 0.5)
    assert set(answer.decisions.values()) == {True, False, None}
    assert answer.undecided == ["Hernia"]
    assert answer.positive == [name for name, decision in answer.decisions.items() if decision]


def test_what_cannot_be_read_is_told_in_its_place_and_the_rest_is_predicted(folder, classifier):
    (folder / "cut.png").write_bytes(encode(picture(1))[:200])
    names = ["b.PNG", "cut.png", "notes.txt", "absent.png", "a.jpg"]
    answers = list(predict_files([folder / name for name in names], classifier))
    assert [type(answer) for answer in answers] == [FilePrediction, *[FileError] * 3, FilePrediction]
    assert [answer.reason for answer in answers[1:4]] == ["truncated", "not_an_image", "missing"]
    told = "There is no such file or folder. Check the name; where an inventory names it, make that again."
    assert str(answers[3]) == f"{folder / 'absent.png'}: {told}"


def test_a_row_is_flat(folder, classifier):
    (answer,) = predict_files([folder / "b.PNG"], classifier)
    row = answer.as_row()
    assert list(row) == ["path", *PATHOLOGIES, "positive", "undecided", "overlays", "warnings", "reason", "error"]
    assert row["Mass"] == pytest.approx(answer.probabilities["Mass"], abs=1e-6)
    assert row["overlays"] == []


def test_a_failure_has_a_row_of_the_same_fields_with_its_reason(folder, classifier):
    prediction, failure = predict_files([folder / "b.PNG", folder / "notes.txt"], classifier)
    assert list(failure.as_row()) == list(prediction.as_row())
    assert {failure.as_row()[name] for name in PATHOLOGIES} == {None}
    assert failure.as_row()["reason"] == "not_an_image"
    assert failure.as_row()["error"].startswith("The file is not an image: it starts with b'no pictu'")
    assert (prediction.as_row()["reason"], prediction.as_row()["error"]) == (None, None)


@pytest.mark.parametrize(("form", "suffix"), [("TIFF", "tif"), ("BMP", "bmp"), ("JPEG2000", "jp2")])
def test_other_formats_are_predicted_as_the_same_picture_in_png(tmp_path, classifier, form, suffix):
    (tmp_path / "a.png").write_bytes(encode(picture(1)))
    (tmp_path / f"b.{suffix}").write_bytes(encode(picture(1), form))
    writer = OverlayWriter.into(tmp_path / "out", [tmp_path / "a.png"])
    first, second = predict_files(find_images([tmp_path]), classifier, overlays=writer)
    assert second.path.suffix == f".{suffix}"
    assert second.probabilities == first.probabilities
    assert len(second.overlays) == len(first.overlays)


def test_a_lateral_is_predicted_with_a_warning(tmp_path, classifier):
    (tmp_path / "a.dcm").write_bytes(dicom_of(values_of(), ViewPosition="LL"))
    (tmp_path / "b.dcm").write_bytes(dicom_of(values_of(), ViewPosition="PA"))
    lateral, frontal = predict_files(find_images([tmp_path]), classifier)
    assert "lateral" in lateral.as_row()["warnings"][0]
    assert frontal.warnings == ()


def test_overlays_of_what_is_predicted_are_named_in_the_answer(folder, classifier, tmp_path_factory):
    out = tmp_path_factory.mktemp("overlays")
    files = find_images([folder / "deep"])
    answers = list(predict_files(files, classifier, overlays=OverlayWriter.into(out, files)))
    for answer in answers:
        assert list(answer.overlays) == [out / f"{answer.path.name}.{name}.overlay.png" for name in answer.positive]
    assert {path for answer in answers for path in answer.overlays} == set(out.iterdir())
    assert cv2.imread(str(answers[0].overlays[0])).shape == (512 + 28, 1024, 3)


def test_no_checkpoint_is_told(tmp_path):
    with pytest.raises(CheckpointError, match=r"No config\.json"):
        Classifier.load(tmp_path)


def test_the_stated_frame_of_several_is_predicted(tmp_path, classifier):
    pictures = [values_of(seed) for seed in (1, 2)]
    pixels = b"".join(one.tobytes() for one in pictures)
    several, single = tmp_path / "several.dcm", tmp_path / "single.dcm"
    several.write_bytes(dicom_of(pictures[0], PixelData=pixels, NumberOfFrames=2))
    single.write_bytes(dicom_of(pictures[1]))
    (answer,) = predict_files([several], classifier, frame=2)
    (expected,) = predict_files([single], classifier)
    assert answer.probabilities == expected.probabilities
    (failure,) = predict_files([several], classifier)
    assert "--frame" in str(failure)


def test_links_that_lead_nowhere_are_told_and_not_left_out(tmp_path, classifier):
    (tmp_path / "gone.png").symlink_to(tmp_path / "nothing.png")
    (tmp_path / "loop.dcm").symlink_to(tmp_path / "loop.dcm")
    (tmp_path / "notes.txt").symlink_to(tmp_path / "nothing.txt")
    gone, loop = predict_files(find_images([tmp_path]), classifier)
    assert str(gone).endswith("gone.png: The link leads to a file that is not there. Mend it, or fetch the file.")
    assert "The link leads to itself" in str(loop)
