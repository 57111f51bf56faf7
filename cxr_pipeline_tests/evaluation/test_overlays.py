import cv2
import numpy as np
import pytest

from cxr_pipeline.errors import CxrError
from cxr_pipeline.evaluation.classifier import Answer, Classifier
from cxr_pipeline.evaluation.explain import overlay
from cxr_pipeline.evaluation.gradcam import heatmaps
from cxr_pipeline.evaluation.overlays import OverlayWriter, classes_to_show
from cxr_pipeline.evaluation.predict import network_input
from cxr_pipeline.images.decode.pixels import read_radiograph
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline_tests.images.conftest import encode, picture


@pytest.fixture(scope="module")
def classifier(world):
    return Classifier.load(world.inputs.checkpoint)


@pytest.fixture
def image(tmp_path):
    (tmp_path / "ward").mkdir()
    path = tmp_path / "ward" / "chest.png"
    path.write_bytes(encode(picture(5, height=80, width=60)))
    return path


def answer_of(classifier, image, **thresholds):
    """What the checkpoint says of the file, with no thresholds but those given."""
    answer = classifier.classify(image.read_bytes())
    return Answer(answer.pixels, answer.probabilities, dict.fromkeys(PATHOLOGIES) | thresholds)


def test_positive_classes_are_shown_else_the_likeliest(classifier, image):
    answer = answer_of(classifier, image, Mass=0.0, Edema=0.0, Nodule=1.0)
    assert classes_to_show(answer) == ["Edema", "Mass"]
    likeliest = max(answer.probabilities, key=answer.probabilities.get)
    assert classes_to_show(answer_of(classifier, image, Mass=1.0)) == [likeliest]


def test_the_heat_is_that_of_the_class_drawn_on_the_whole_picture(classifier, image):
    answer = answer_of(classifier, image, Mass=0.0)
    (path,) = OverlayWriter().write(image, answer, classifier)
    assert path == image.parent / "chest.png.Mass.overlay.png"
    batch = network_input(answer.pixels[None], classifier.network, classifier.config)
    (heat,) = heatmaps(classifier.network, batch, batch.new_tensor([PATHOLOGIES.index("Mass")]).long())
    drawn = cv2.imread(str(path))
    np.testing.assert_array_equal(drawn[:512], overlay(read_radiograph(image, size=512).pixels, heat))
    assert drawn[512:].max() == 255  # the caption


def test_writing_again_changes_no_byte(classifier, image):
    answer = answer_of(classifier, image, Mass=0.0)
    (path,) = OverlayWriter().write(image, answer, classifier)
    before = path.stat().st_mtime_ns
    OverlayWriter().write(image, answer, classifier)
    assert path.stat().st_mtime_ns == before


def test_images_of_one_name_in_two_folders_have_two_overlays(classifier, image, tmp_path, monkeypatch):
    twin = tmp_path / "other" / image.name
    twin.parent.mkdir()
    twin.write_bytes(encode(picture(6)))
    monkeypatch.chdir(tmp_path)
    relative = twin.relative_to(tmp_path)
    writer = OverlayWriter.into(tmp_path / "out", [image, relative])
    written = [
        *writer.write(image, answer_of(classifier, image, Mass=0.0), classifier),
        *writer.write(relative, answer_of(classifier, twin, Mass=0.0), classifier),
    ]
    names = [str(path.relative_to(tmp_path / "out")) for path in written]
    assert names == ["ward/chest.png.Mass.overlay.png", "other/chest.png.Mass.overlay.png"]
    assert written[0].read_bytes() != written[1].read_bytes()


def test_a_folder_that_cannot_be_written_is_told(classifier, image, tmp_path):
    (tmp_path / "file").write_text("in the way")
    writer = OverlayWriter.into(tmp_path / "file", [image])
    with pytest.raises(CxrError, match="name another folder with --out"):
        writer.write(image, answer_of(classifier, image, Mass=0.0), classifier)
