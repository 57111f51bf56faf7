"""Against a real MLflow store on SQLite."""

from pathlib import Path

import pytest

from cxr_pipeline.tracking import CANDIDATE, MODEL_NAME, Tracker


@pytest.fixture
def tracker(tmp_path: Path) -> Tracker:
    return Tracker(
        uri=f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}",
        experiment="test",
        artifacts=tmp_path / "mlflow" / "artifacts",
        link="http://127.0.0.1:5000",
    )


def test_run_holds_parameters_curves_artifacts_and_the_candidate(tracker: Tracker, tmp_path: Path):
    run = tracker.start_run("demo", parameters={"lr": 0.001}, tags={"dagster_run_id": "abc"})
    run.log_epoch({"event": "start", "images": 10})
    run.log_epoch({"event": "epoch", "epoch": 1, "epochs": 2, "val_macro_auroc": 0.6, "best": True, "note": "x"})
    run.log_epoch({"event": "epoch", "epoch": 2, "epochs": 2, "val_macro_auroc": float("nan"), "best": False})
    run.log_metrics({"gradient_norm": float("inf")}, step=2)  # MLflow #22826: stored as 1.8e308
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "config.json").write_text("{}")
    run.log_folder(tmp_path / "checkpoint", "checkpoint")
    version = run.register_checkpoint(artifact="checkpoint")
    run.finish()

    found = tracker.find_run(run.run_id)
    assert found is not None
    stored = found.client.get_run(run.run_id)
    assert stored.data.params == {"lr": "0.001"}
    assert stored.data.tags["dagster_run_id"] == "abc"
    assert stored.info.status == "FINISHED"
    curve = found.client.get_metric_history(run.run_id, "val_macro_auroc")
    assert [(point.step, point.value) for point in curve] == [(1, 0.6)]
    assert set(stored.data.metrics) == {"val_macro_auroc"}
    artifacts = {f.path for f in found.client.list_artifacts(run.run_id, "checkpoint")}
    assert {"checkpoint/config.json", "checkpoint/MLmodel"} <= artifacts
    candidate = found.client.get_model_version_by_alias(MODEL_NAME, CANDIDATE)
    assert (int(candidate.version), candidate.run_id) == (version, run.run_id)
    assert (tmp_path / "mlflow" / "artifacts").is_dir()


def test_second_checkpoint_becomes_the_candidate(tracker: Tracker):
    versions = []
    for name in ("first", "second"):
        run = tracker.start_run(name, parameters={}, tags={})
        versions.append(run.register_checkpoint(artifact="checkpoint"))
        run.finish()
    assert versions == [1, 2]
    assert int(run.client.get_model_version_by_alias(MODEL_NAME, CANDIDATE).version) == 2


def test_run_of_another_store_is_not_found(tracker: Tracker):
    assert tracker.find_run("0" * 32) is None
