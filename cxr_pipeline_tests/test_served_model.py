"""A registered checkpoint is an MLflow model: against a real MLflow store, in process and by MLflow's own command."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from cxr_pipeline.evaluation.classifier import Classifier
from cxr_pipeline.evaluation.served import IMAGE_COLUMN, ServedCheckpoint
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.tracking import CANDIDATE, MODEL_NAME, SERVED_BY, SERVED_COLUMN, TrackedRun, Tracker
from cxr_pipeline_tests.evaluation.cases import write_world
from cxr_pipeline_tests.images.conftest import encode, picture
from cxr_pipeline_tests.images.decode.dicom.dicoms import dicom_of, values_of

# MLflow's own types, as it is imported, and what its command leaves open.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning")

CANDIDATE_URI = f"models:/{MODEL_NAME}@{CANDIDATE}"
PLANTED = "planted-id"  # the patient id in the DICOM file


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(tmp_path_factory.mktemp("world")).inputs.checkpoint


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="module")
def run(store: Path, checkpoint: Path) -> TrackedRun:
    """A finished run with its checkpoint registered."""
    tracker = Tracker(f"sqlite:///{store / 'mlflow.db'}", "test", store / "artifacts", "")
    run = tracker.start_run("demo", parameters={}, tags={})
    run.log_folder(checkpoint, "checkpoint")
    run.register_checkpoint(artifact="checkpoint")
    run.finish()
    return run


@pytest.fixture
def images(tmp_path: Path) -> list[str]:
    (tmp_path / "chest.png").write_bytes(encode(picture(1)))
    (tmp_path / "chest.dcm").write_bytes(dicom_of(values_of(2)))
    return [str(tmp_path / "chest.png"), str(tmp_path / "chest.dcm")]


@pytest.fixture
def expected(checkpoint: Path, images: list[str]) -> list[dict[str, float]]:
    classifier = Classifier.load(checkpoint)
    return [classifier.classify(Path(image).read_bytes()).probabilities for image in images]


def test_the_module_and_the_column_are_those_that_serve():
    assert ServedCheckpoint.__module__ == SERVED_BY
    assert SERVED_COLUMN == IMAGE_COLUMN


@pytest.mark.parametrize("uri", [CANDIDATE_URI, "runs:/{run_id}/checkpoint"])
def test_mlflow_loads_and_predicts_png_dicom_and_base64(run: TrackedRun, store, images, expected, uri: str):
    import mlflow

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{store / 'mlflow.db'}")
    try:
        model = mlflow.pyfunc.load_model(uri.format(run_id=run.run_id))
    finally:
        mlflow.set_tracking_uri(before)
    encoded = base64.b64encode(Path(images[1]).read_bytes()).decode()
    answer = model.predict(pd.DataFrame({"image": [*images, encoded]}))
    assert list(answer.columns) == list(PATHOLOGIES)
    for (_, row), probabilities in zip(answer.iterrows(), [*expected, expected[1]], strict=True):
        assert row.to_dict() == pytest.approx(probabilities)
    assert expected[0] != pytest.approx(expected[1])


def test_the_model_is_the_checkpoint_and_nothing_is_pickled(run: TrackedRun, store: Path, checkpoint: Path):
    artifacts = next(store.rglob("MLmodel")).parent
    of_mlflow = {"MLmodel", "python_env.yaml", "requirements.txt", "registered_model_meta"}  # the last on loading
    assert {file.name for file in artifacts.iterdir()} - of_mlflow == {"config.json", "model.safetensors"}
    assert "loader_module: cxr_pipeline.evaluation.served" in (artifacts / "MLmodel").read_text()
    assert (artifacts / "model.safetensors").read_bytes() == (checkpoint / "model.safetensors").read_bytes()


def test_mlflows_own_command_answers_and_keeps_no_patient(run: TrackedRun, store, tmp_path, images, expected):
    rows = {"dataframe_split": {"columns": ["image"], "data": [[image] for image in images]}}
    (tmp_path / "request.json").write_text(json.dumps(rows))
    command = f"-m mlflow models predict --env-manager local -m {CANDIDATE_URI} -i request.json -o answer.json"
    done = subprocess.run(
        [sys.executable, *command.split()],
        cwd=tmp_path,
        env={**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{store / 'mlflow.db'}", "PYTHONWARNINGS": "ignore"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads((tmp_path / "answer.json").read_text())["predictions"]
    for answer, probabilities in zip(answers, expected, strict=True):
        assert answer == pytest.approx(probabilities)
    kept = [file.read_bytes() for file in store.rglob("*") if file.is_file()]
    assert PLANTED.encode() in Path(images[1]).read_bytes()
    assert not any(PLANTED.encode() in data for data in [*kept, done.stdout.encode(), done.stderr.encode()])
