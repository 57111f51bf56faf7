"""Whose numbers they are: nothing in `evaluation/` passes for another checkpoint's, or for another cohort's."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from cxr_pipeline.errors import CheckpointError, CxrError, OriginError
from cxr_pipeline.pipeline.evaluation import write_explanations, write_metrics, write_predictions, write_report
from cxr_pipeline.pipeline.training import Checkpoint, current_checkpoint
from cxr_pipeline.storage.files import file_digest, write_json
from cxr_pipeline.storage.lake import Lake
from cxr_pipeline.storage.origins import origin_path
from cxr_pipeline_tests.pipeline.lakes import fit, launch, prepare, split, tracker, write_nih

MADE = ("predictions.parquet", "metrics.parquet", "explanations/explanations.json", "report/report.html")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The checkpoints of the seeds 2 and 1, of which the second is the current one and is evaluated."""
    folder = tmp_path_factory.mktemp("trained")
    lake = Lake(folder / "lake")
    prepare(lake, write_nih(folder / "nih", patients=24))
    split(lake)
    fit(lake, seed=2)
    fit(lake, seed=1)
    evaluate(lake)
    return lake


@pytest.fixture
def lake(trained: Lake, tmp_path: Path) -> Lake:
    """A copy to change: seed 1 is current and evaluated; `fit(lake, seed=2)` finds its checkpoint again."""
    shutil.copytree(trained.root.parent, tmp_path, dirs_exist_ok=True)
    return Lake(tmp_path / "lake")


def evaluate(lake: Lake) -> None:
    write_predictions(lake, launch=launch)
    write_metrics(lake, samples=5)
    write_explanations(lake, launch=launch)
    write_report(lake, tracker=tracker(lake))


def origin(lake: Lake, name: str) -> dict[str, str]:
    return json.loads(origin_path(lake.root / "evaluation" / name).read_text())["made_from"]


def logged(lake: Lake, checkpoint: Checkpoint) -> dict[str, float]:
    run = tracker(lake).find_run(json.loads((checkpoint.job.folder / "mlflow.json").read_text())["run_id"])
    assert run is not None
    return {k: v for k, v in run.client.get_run(run.run_id).data.metrics.items() if k.startswith("test/")}


def test_every_file_carries_the_weights_and_the_cohort(trained: Lake):
    weights = file_digest(current_checkpoint(trained).folder / "model.safetensors")
    cohort = file_digest(trained.table("split", "cohort"))
    for name in MADE:
        made_from = origin(trained, name)
        assert made_from["training/checkpoint"] == weights
        assert made_from["split/cohort"] == cohort
    page = (trained.root / "evaluation" / "report" / "report.html").read_text()
    assert weights in page
    assert cohort in page


def test_numbers_of_one_checkpoint_are_not_given_to_the_next(lake: Lake):
    other = fit(lake, seed=2)
    page = (lake.root / "evaluation" / "report" / "report.html").read_bytes()
    with pytest.raises(OriginError, match=r"predictions\.parquet was made from training/checkpoint .*materialize"):
        write_metrics(lake, samples=5)
    with pytest.raises(OriginError, match="evaluation/predictions"):
        write_report(lake, tracker=tracker(lake))
    assert (lake.root / "evaluation" / "report" / "report.html").read_bytes() == page
    assert logged(lake, other) == {}
    write_predictions(lake, launch=launch)
    with pytest.raises(OriginError, match=r"metrics\.parquet was made from"):
        write_report(lake, tracker=tracker(lake))
    write_metrics(lake, samples=5)
    with pytest.raises(OriginError, match=r"explanations\.json was made from"):
        write_report(lake, tracker=tracker(lake))
    write_explanations(lake, launch=launch)
    write_report(lake, tracker=tracker(lake))
    assert logged(lake, other)


def test_numbers_go_into_the_run_of_the_checkpoint_that_made_them(lake: Lake):
    first = current_checkpoint(lake)
    before = logged(lake, first)
    second = fit(lake, seed=2)
    evaluate(lake)
    assert logged(lake, first) == before
    assert logged(lake, second) not in ({}, before)


def test_other_thresholds_of_the_same_weights_are_another_checkpoint(lake: Lake):
    path = current_checkpoint(lake).folder / "config.json"
    path.write_text(path.read_text().replace('"temperature"', '"temperature" '))
    with pytest.raises(OriginError, match="training/checkpoint/config"):
        write_metrics(lake, samples=5)


def test_changed_cohort_is_not_measured_with_a_checkpoint_of_the_old_one(lake: Lake):
    path = lake.table("split", "cohort")
    pl.read_parquet(path).head(-1).write_parquet(path)
    for write in (
        lambda: write_predictions(lake, launch=launch),
        lambda: write_metrics(lake, samples=5),
        lambda: write_explanations(lake, launch=launch),
        lambda: write_report(lake, tracker=tracker(lake)),
    ):
        with pytest.raises(OriginError, match=r"was trained on the cohort .*Train again"):
            write()


def test_predictions_of_unknown_origin_are_refused(lake: Lake):
    path = lake.table("evaluation", "predictions")
    pl.read_parquet(path).reverse().write_parquet(path)
    with pytest.raises(OriginError, match="was replaced"):
        write_metrics(lake, samples=5)
    origin_path(path).unlink()
    with pytest.raises(OriginError, match="Nothing says what"):
        write_metrics(lake, samples=5)


def test_metrics_of_older_predictions_are_refused(lake: Lake):
    path = lake.table("evaluation", "predictions")
    note = origin_path(path)
    pl.read_parquet(path).reverse().write_parquet(path)
    write_json(note, json.loads(note.read_text()) | {"sha256": file_digest(path)})
    with pytest.raises(OriginError, match="was made from evaluation/predictions"):
        write_report(lake, tracker=tracker(lake))


def test_second_run_changes_no_byte(lake: Lake):
    evaluate(lake)
    files = [path for path in (lake.root / "evaluation").rglob("*") if path.is_file()]
    before = {path: (file_digest(path), path.stat().st_mtime_ns) for path in files}
    evaluate(lake)
    assert {path: (file_digest(path), path.stat().st_mtime_ns) for path in before} == before


def test_checkpoint_folder_that_was_filled_anew_or_has_gone_is_told(lake: Lake):
    pointer = lake.root / "training" / "checkpoint.json"
    summary = json.loads(pointer.read_text())
    write_json(pointer, summary | {"weights_sha256": "0" * 64})
    with pytest.raises(CheckpointError, match="expected 000000000000"):
        write_metrics(lake, samples=5)
    write_json(pointer, summary | {"job": "gone"})
    with pytest.raises(CxrError, match="where no checkpoint is"):
        write_metrics(lake, samples=5)
