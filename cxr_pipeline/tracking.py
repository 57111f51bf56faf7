"""MLflow: one run per trained checkpoint, with its live curves, final metrics, report and model version.

The only module that imports mlflow, and only inside the functions: the import takes two seconds and pulls in pandas.
"""

import math
import os
import platform
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxr_pipeline.pathologies import PATHOLOGIES

if TYPE_CHECKING:
    from mlflow import MlflowClient

MODEL_NAME = "cxr_pipeline"
CANDIDATE = "candidate"
SERVED_BY = "cxr_pipeline.evaluation.served"  # the module that MLflow loads a checkpoint with; torch comes with it
SERVED_COLUMN = "image"

_BATCH = 900  # MLflow takes at most 1,000 metrics in one call


@dataclass(frozen=True)
class Tracker:
    """Where runs are tracked: a tracking URI, an experiment, and the address at which a person opens them."""

    uri: str
    experiment: str
    artifacts: Path
    link: str

    def start_run(self, name: str, *, parameters: Mapping[str, Any], tags: Mapping[str, str]) -> "TrackedRun":
        """Opens a run with its parameters and tags."""
        client = self._client()
        experiment_id = self._experiment_id(client)
        run = client.create_run(experiment_id, run_name=name, tags=dict(tags))
        for key, value in parameters.items():
            client.log_param(run.info.run_id, key, value)
        return TrackedRun(client, run.info.run_id, experiment_id, self.link)

    def find_run(self, run_id: str) -> "TrackedRun | None":
        """The run with this id, or None when this store does not have it (any more)."""
        from mlflow.exceptions import MlflowException

        client = self._client()
        try:
            run = client.get_run(run_id)
        except MlflowException:
            return None
        return TrackedRun(client, run_id, run.info.experiment_id, self.link)

    def _client(self) -> "MlflowClient":
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient

        if self.uri.startswith("sqlite:///"):
            Path(self.uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    def _experiment_id(self, client: "MlflowClient") -> str:
        experiment = client.get_experiment_by_name(self.experiment)
        if experiment is not None:
            return experiment.experiment_id
        # A server decides itself where artifacts go; the embedded SQLite store would put them in ./mlruns.
        location = self.artifacts.resolve().as_uri() if self.uri.startswith("sqlite:///") else None
        return client.create_experiment(self.experiment, artifact_location=location)


@dataclass(frozen=True)
class TrackedRun:
    """One MLflow run, open or closed."""

    client: "MlflowClient"
    run_id: str
    experiment_id: str
    link: str

    @property
    def url(self) -> str:
        return f"{self.link}/#/experiments/{self.experiment_id}/runs/{self.run_id}"

    def log_metrics(self, metrics: Mapping[str, float], *, step: int = 0) -> None:
        """Numbers of one step; what is not finite is left out (MLflow on SQL keeps infinity as 1.8e308)."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        entities = [Metric(key, float(value), now, step) for key, value in metrics.items() if math.isfinite(value)]
        for start in range(0, len(entities), _BATCH):
            self.client.log_batch(self.run_id, metrics=entities[start : start + _BATCH])

    def log_epoch(self, event: Mapping[str, Any]) -> None:
        """The numbers of an `epoch` event of the training program; other events carry no curve."""
        if event.get("event") != "epoch":
            return
        numbers = {
            key: value
            for key, value in event.items()
            if isinstance(value, int | float) and not isinstance(value, bool) and key not in ("epoch", "epochs")
        }
        self.log_metrics(numbers, step=int(event["epoch"]))

    def log_folder(self, folder: Path, name: str) -> None:
        """Copies a folder into the run's artifacts under `name`."""
        self.client.log_artifacts(self.run_id, str(folder), name)

    def register_checkpoint(self, *, artifact: str) -> int:
        """Registers the run's artifact folder, a checkpoint, as a model version with the alias `candidate`.

        The folder becomes an MLflow model: `mlflow models predict` takes rows of `image` and gives 14 probabilities.
        """
        from mlflow.exceptions import MlflowException

        with tempfile.TemporaryDirectory() as folder:
            _describe_model(Path(folder), artifact=artifact, run_id=self.run_id)
            self.log_folder(Path(folder), artifact)
        try:
            self.client.get_registered_model(MODEL_NAME)
        except MlflowException:
            self.client.create_registered_model(MODEL_NAME)
        source = f"{self.client.get_run(self.run_id).info.artifact_uri}/{artifact}"
        registered = self.client.create_model_version(MODEL_NAME, source, run_id=self.run_id)
        self.client.set_registered_model_alias(MODEL_NAME, CANDIDATE, registered.version)
        return int(registered.version)

    def finish(self, *, failed: bool = False) -> None:
        self.client.set_terminated(self.run_id, status="FAILED" if failed else "FINISHED")


def _describe_model(folder: Path, *, artifact: str, run_id: str) -> None:
    """The files that make the checkpoint beside them an MLflow model, without a copy of its weights or a pickle."""
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    inputs = Schema([ColSpec(DataType.string, SERVED_COLUMN)])
    outputs = Schema([ColSpec(DataType.double, name) for name in PATHOLOGIES])
    model = Model(artifact_path=artifact, run_id=run_id, signature=ModelSignature(inputs, outputs))
    # What mlflow.pyfunc.add_to_model does; to import that module takes seconds and warns about MLflow's own types.
    environment, python = {"virtualenv": "python_env.yaml"}, platform.python_version()
    model.add_flavor("python_function", loader_module=SERVED_BY, python_version=python, env=environment)
    model.save(str(folder / "MLmodel"))
    requirements = [f"{name}=={version(name)}\n" for name in ("cxr-pipeline", "mlflow")]
    (folder / "requirements.txt").write_text("".join(requirements))
    (folder / "python_env.yaml").write_text(f'python: "{python}"\ndependencies:\n- -r requirements.txt\n')
