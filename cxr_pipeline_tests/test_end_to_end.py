"""From raw files to the report with the commands that a user types."""

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.evaluation.metrics import metric_rows
from cxr_pipeline.evaluation.scored import read_scored
from cxr_pipeline.launch.job import Job
from cxr_pipeline.launch.local import run_job
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.pipeline.evaluation import write_predictions
from cxr_pipeline.pipeline.training import current_checkpoint
from cxr_pipeline.storage.files import file_digest
from cxr_pipeline.storage.lake import Lake
from cxr_pipeline.tracking import CANDIDATE, MODEL_NAME, Tracker
from cxr_pipeline_tests.demo import EPOCHS, Demo, new_project, run_cxr, run_demo

pytestmark = pytest.mark.xdist_group("demo")

ASSETS = {
    *(f"{stage}/{source}" for stage in ("raw", "labels", "images") for source in DATASETS),
    "labels/overview",
    "labels/boxes",
    "labels/report_gold",
    "labels/adjudicated_nih",
    "labels/reports_rexgradient",
    "labels/imported_rexgradient",
    "labels/report_agreement",
    "labels/report_crosscheck_padchest",
    "split/duplicates",
    "split/cohort",
    "split/summary",
    "training/checkpoint",
    *(f"evaluation/{name}" for name in ("predictions", "metrics", "explanations", "report")),
}


@pytest.fixture
def instance(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.chdir(demo.folder)  # dagster.yaml names its folders relative to the project
    with dg.DagsterInstance.from_config(str(demo.folder)) as instance:
        yield instance


def macro_auroc(metrics: pl.DataFrame, split: str, source: str) -> float:
    row = metrics.filter(split=split, source=source, subgroup="all", pathology="macro", metric="auroc")
    return row["value"].item()


def event_of(instance: dg.DagsterInstance, key: str) -> dg.AssetMaterialization:
    event = instance.get_latest_materialization_event(dg.AssetKey(key.split("/")))
    assert event is not None, f"{key} was not materialized"
    assert event.asset_materialization is not None
    return event.asset_materialization


def test_every_asset_is_materialized_with_a_data_version(instance: dg.DagsterInstance):
    assert {key.to_user_string() for key in instance.all_asset_keys()} == ASSETS
    for key in ASSETS:
        assert event_of(instance, key).tags["dagster/data_version"]


def test_table_assets_show_their_row_counts(demo: Demo, instance: dg.DagsterInstance):
    counts = {
        key: event_of(instance, key).metadata["dagster/row_count"].value for key in ("labels/nih", "split/cohort")
    }
    assert counts["labels/nih"] == pl.read_parquet(demo.lake / "labels" / "nih.parquet").height
    assert counts["split/cohort"] == pl.read_parquet(demo.lake / "split" / "cohort.parquet").height


def test_epochs_streamed_into_the_dagster_log(instance: dg.DagsterInstance):
    run = instance.get_run_records(limit=10)[-1].dagster_run
    messages = [record.user_message for record in instance.all_logs(run.run_id)]
    epochs = [message for message in messages if "val_macro_auroc=" in message and message.startswith("epoch")]
    assert len(epochs) == EPOCHS


def test_metric_table_keeps_its_interface(demo: Demo):
    metrics = pl.read_parquet(demo.lake / "evaluation" / "metrics.parquet")
    columns = ["split", "source", "subgroup", "pathology", "metric", "value", "low", "high", "n", "positives"]
    assert metrics.columns == columns
    assert set(metrics["source"]) == {"all", *DATASETS}
    assert set(metrics["pathology"]) == {*PATHOLOGIES, "macro"}
    hernia = metrics.filter(source="chexpert", pathology="Hernia")
    assert hernia.height > 0  # CheXpert never speaks of Hernia: there is nothing to measure
    assert hernia["value"].is_null().all()
    assert hernia["n"].sum() == 0


def test_metrics_are_those_of_the_predictions_by_scikit_learn(demo: Demo):
    from sklearn.metrics import roc_auc_score

    metrics = pl.read_parquet(demo.lake / "evaluation" / "metrics.parquet")
    cohort = pl.read_parquet(demo.lake / "split" / "cohort.parquet").select("image_id", "dataset", "Effusion")
    scores = pl.read_parquet(demo.lake / "evaluation" / "predictions.parquet").select(
        "image_id", "split", score="Effusion"
    )
    test = scores.join(cohort, on="image_id").filter(pl.col("split") == "test", pl.col("Effusion").is_in([0, 1]))
    row = metrics.filter(split="test", source="all", pathology="Effusion", metric="auroc")
    assert row["value"].item() == pytest.approx(roc_auc_score(test["Effusion"], test["score"]), abs=1e-12)
    assert row["n"].item() == test.height


def test_model_learns(demo: Demo):
    assert macro_auroc(pl.read_parquet(demo.lake / "evaluation" / "metrics.parquet"), "test", "all") >= 0.80


def test_index_that_is_off_by_one_makes_the_score_fall(demo: Demo, tmp_path: Path):
    """Each image gets the pixels of the row before it, often of the same patient: the classic bug, and a quiet one."""
    assert macro_auroc(evaluate_shifted(demo, tmp_path, rows=1), "test", "all") < 0.75


def test_pixels_of_other_patients_make_the_score_chance(demo: Demo, tmp_path: Path):
    assert 0.4 < macro_auroc(evaluate_shifted(demo, tmp_path, rows=101), "test", "all") < 0.6


def evaluate_shifted(demo: Demo, folder: Path, *, rows: int) -> pl.DataFrame:
    """The metrics of the demo's checkpoint when each image gets the pixels of the image `rows` before it."""
    lake = Lake(folder / "lake")
    (folder / "lake").mkdir()
    for stage in ("split", "training"):
        (folder / "lake" / stage).symlink_to(demo.lake / stage)
    for source in DATASETS:
        target = lake.folder("images", source)
        target.mkdir(parents=True)
        for file in (demo.lake / "images" / source).iterdir():
            if not file.name.startswith(("index.", ".")):  # nor the note that says whose index it is
                (target / file.name).symlink_to(file)
        index = pl.read_parquet(demo.lake / "images" / source / "index.parquet")
        if index.is_empty():
            continue
        place = index.select("shard", "row")
        rolled = index.with_columns(pl.concat([place.tail(rows), place.head(-rows)]))
        rolled.write_parquet(target / "index.parquet")

    def launch(job: Job, on_event) -> dict:
        return run_job(job, on_event=on_event)

    write_predictions(lake, launch=launch)
    scored = read_scored(lake.table("split", "cohort"), lake.table("evaluation", "predictions"))
    return pl.from_arrow(metric_rows(scored, current_checkpoint(lake).config()["thresholds"], samples=2))


def test_report_says_phantom_first_and_holds_everything(demo: Demo):
    page = (demo.lake / "evaluation" / "report" / "report.html").read_text()
    body = page[page.index("<body") :]
    assert "hantom" in body[: body.index("Hernia")]
    assert "data:image/jpeg;base64," in page  # Grad-CAM panel
    assert "<svg" in page  # curves
    assert "n/a" in page
    assert 'src="http' not in page
    assert 'href="http' not in page


def test_mlflow_holds_the_run_its_curves_the_report_and_the_candidate(demo: Demo, instance: dg.DagsterInstance):
    url = event_of(instance, "training/checkpoint").metadata["mlflow_run"].value
    tracker = Tracker(f"sqlite:///{demo.folder}/.cxr/mlflow/mlflow.db", "cxr_pipeline", Path(), "")
    run = tracker.find_run(str(url).rsplit("/", 1)[-1])
    assert run is not None
    stored = run.client.get_run(run.run_id)
    assert stored.data.tags["dagster_run_id"] == instance.get_run_records(limit=10)[-1].dagster_run.run_id
    assert stored.data.params["backbone"] == "test_convnext2"
    assert len(run.client.get_metric_history(run.run_id, "val_macro_auroc")) == EPOCHS
    metrics = pl.read_parquet(demo.lake / "evaluation" / "metrics.parquet")
    assert stored.data.metrics["test/all/macro/auroc"] == pytest.approx(macro_auroc(metrics, "test", "all"))
    assert "report/report.html" in [f.path for f in run.client.list_artifacts(run.run_id, "report")]
    assert run.client.get_model_version_by_alias(MODEL_NAME, CANDIDATE).run_id == run.run_id


def test_no_patient_id_is_in_dagster_or_mlflow(demo: Demo):
    patients = pl.read_parquet(demo.lake / "split" / "cohort.parquet")["patient_id"].unique()
    needles = {patient.encode() for patient in patients if patient.startswith("chexpert/patient")}
    kept = [*(demo.folder / ".cxr" / "dagster").rglob("*"), demo.folder / ".cxr" / "mlflow" / "mlflow.db"]
    for file in kept:
        if file.is_file():
            content = file.read_bytes()
            assert not any(needle in content for needle in needles), f"{file.name} names a patient"


def test_running_again_changes_no_byte_and_retrains_nothing(demo: Demo):
    before = digests(demo.lake)
    again = run_demo(demo.folder)
    assert digests(demo.lake) == before
    assert again.output.count("its result is used again") == 3  # training, predictions, explanations
    assert "epoch epoch=" not in again.output


def digests(lake: Path) -> dict[str, tuple[str, int]]:
    """Digest and modification time of every table, shard, checkpoint and report."""
    files = [f for f in lake.rglob("*") if f.is_file() and f.name != ".lock"]
    return {str(f.relative_to(lake)): (file_digest(f), f.stat().st_mtime_ns) for f in files}


def test_predict_command_answers_in_json_and_names_an_unreadable_file(demo: Demo, tmp_path: Path):
    picture = next((demo.folder / ".cxr" / "phantoms" / "nih").rglob("*.png"))
    (tmp_path / "broken.png").write_bytes(picture.read_bytes()[:200])
    done = run_cxr(demo.folder, "predict", str(picture), str(tmp_path / "broken.png"), "--format", "json")
    assert done.returncode == 1
    assert "broken.png" in done.stderr
    answer, failed = json.loads(done.stdout)
    assert answer["reason"] is None
    assert all(0 <= answer[pathology] <= 1 for pathology in PATHOLOGIES)
    assert failed["path"].endswith("broken.png")
    assert failed["reason"] == "truncated"


def test_predict_command_agrees_with_the_stored_predictions(demo: Demo):
    stored = pl.read_parquet(demo.lake / "evaluation" / "predictions.parquet")
    raw = pl.read_parquet(demo.lake / "raw" / "nih.parquet")
    row = stored.join(raw.select("image_id", "path"), on="image_id").row(0, named=True)
    done = run_cxr(demo.folder, "predict", f".cxr/phantoms/nih/{row['path']}", "--format", "json")
    (answer,) = json.loads(done.stdout)
    np.testing.assert_allclose([answer[p] for p in PATHOLOGIES], [row[p] for p in PATHOLOGIES], atol=2e-5)


@pytest.mark.long
def test_stages_run_one_by_one_without_dagster_and_give_the_same_tables(demo: Demo, tmp_path: Path):
    folder = new_project(tmp_path / "by_hand")
    roots = {f"CXR_{name.upper()}_ROOT": str(demo.folder / ".cxr" / "phantoms" / name) for name in ("nih", "vindr")}
    for command in (["labels", "nih"], ["labels", "vindr"], ["images", "nih"], ["images", "vindr"], ["split"]):
        done = run_cxr(folder, *command, **roots)
        assert done.returncode == 0, done.stderr
    for table in ("labels/nih", "labels/vindr", "images/nih/index", "images/vindr/index"):
        by_hand = folder / ".cxr" / "lake" / f"{table}.parquet"
        assert file_digest(by_hand) == file_digest(demo.lake / f"{table}.parquet")
    cohorts = [pl.read_parquet(root / "split" / "cohort.parquet") for root in (folder / ".cxr" / "lake", demo.lake)]
    assert cohorts[0].equals(cohorts[1].filter(pl.col("dataset").is_in(["nih", "vindr"])))


def test_unknown_source_is_wrong_usage_and_a_missing_folder_is_a_clear_error(tmp_path: Path):
    folder = new_project(tmp_path)
    assert run_cxr(folder, "labels", "mimics").returncode == 2
    done = run_cxr(folder, "labels", "nih", "--root", str(tmp_path / "absent"))
    assert done.returncode == 1
    assert "absent" in done.stderr
    assert "Traceback" not in done.stderr
