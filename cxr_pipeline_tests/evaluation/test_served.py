import base64

import pandas as pd
import pytest

from cxr_pipeline.errors import ImageError
from cxr_pipeline.evaluation.served import _load_pyfunc, read_image
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline_tests.images.conftest import encode, picture
from cxr_pipeline_tests.images.decode.dicom.dicoms import dicom_of, values_of


@pytest.fixture(scope="module")
def served(world):
    return _load_pyfunc(str(world.inputs.checkpoint))


@pytest.mark.parametrize("data", [encode(picture(1)), encode(picture(1), "JPEG"), dicom_of(values_of())])
def test_a_path_and_base64_are_the_same_image(tmp_path, served, data):
    path = tmp_path / "chest"
    path.write_bytes(data)
    text = base64.b64encode(data).decode()
    assert read_image(text) == read_image(str(path)) == data
    answer = served.predict(pd.DataFrame({"image": [str(path), text]}, index=[7, 9]))
    assert list(answer.columns) == list(PATHOLOGIES)
    assert answer.iloc[0].equals(answer.iloc[1])
    assert answer.iloc[0].to_dict() == pytest.approx(served.classifier.classify(data).probabilities)


def test_a_path_that_could_be_base64_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "chestabc").write_bytes(b"bytes of the file")
    assert read_image("chestabc") == b"bytes of the file"


@pytest.mark.parametrize("text", ["absent.png", base64.b64encode(b"no image").decode(), "a" * 5000])
def test_an_unreadable_image_is_told_by_its_row(served, text):
    with pytest.raises(ImageError, match=r"^Row 1 of the input \((missing|unreadable)\)"):
        served.predict(pd.DataFrame({"image": [base64.b64encode(encode(picture(1))).decode(), text]}))
