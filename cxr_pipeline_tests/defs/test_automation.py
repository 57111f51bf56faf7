"""The sensor and the schedule, on a real instance with real runs."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.defs.automation import HARMONIZE, NIGHTLY, new_raw_data, nightly
from cxr_pipeline.defs.build import build_definitions
from cxr_pipeline.phantom.write import PhantomRequest, write_phantoms
from cxr_pipeline.settings import Settings


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms")
    for name in ("nih", "chexpert"):
        write_phantoms(PhantomRequest(name, patients=12, seed=1, size=64), folder / name, workers=1)
    return folder


@pytest.fixture
def settings(tmp_path: Path, phantoms: Path) -> Settings:
    shutil.copytree(phantoms, tmp_path / "sources")
    roots = {f"{name}_root": tmp_path / "sources" / name for name in ("nih", "chexpert")}
    return Settings(home=tmp_path / "home", preset="demo", **roots)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        yield instance


def tick(settings: Settings, instance: dg.DagsterInstance, cursor: str | None) -> dg.SensorResult | dg.SkipReason:
    resources = {"installation": build_definitions(settings).resources["installation"]}
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources) as context:
        return new_raw_data(context)


def run(settings: Settings, instance: dg.DagsterInstance, request: dg.RunRequest) -> set[str]:
    """Executes what the sensor asked for and returns the assets it made."""
    job = build_definitions(settings).resolve_job_def(HARMONIZE)
    result = job.execute_in_process(instance=instance, asset_selection=request.asset_selection, tags=request.tags)
    assert result.success
    return {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()}


def test_first_tick_asks_for_one_run_of_every_used_source(settings: Settings, instance: dg.DagsterInstance):
    result = tick(settings, instance, None)
    (request,) = result.run_requests
    made = run(settings, instance, request)
    stages = ("raw", "labels", "images")
    assert made >= {f"{stage}/{name}" for stage in stages for name in DATASETS} | {"split/cohort"}
    assert not {key for key in made if key.startswith(("training", "evaluation"))}


def test_unchanged_sources_ask_for_nothing(settings: Settings, instance: dg.DagsterInstance):
    cursor = tick(settings, instance, None).cursor
    assert "No change" in str(tick(settings, instance, cursor).skip_message)


def test_changed_source_is_made_again_alone_with_the_cohort(settings: Settings, instance: dg.DagsterInstance):
    first = tick(settings, instance, None)
    everything = build_definitions(settings).resolve_job_def(HARMONIZE)
    assert everything.execute_in_process(instance=instance).success
    for name in ("train_val_list.txt", "test_list.txt"):
        (settings.nih_root / name).unlink()
    (request,) = tick(settings, instance, first.cursor).run_requests
    splits = {f"split/{name}" for name in ("duplicates", "cohort", "summary")}
    assert run(settings, instance, request) == {"raw/nih", "labels/nih", "images/nih"} | splits


def test_two_changed_sources_are_one_request(settings: Settings, instance: dg.DagsterInstance):
    cursor = tick(settings, instance, None).cursor
    for root in (settings.nih_root, settings.chexpert_root):
        next(root.rglob("*_000.png" if root == settings.nih_root else "*.jpg")).unlink()
    assert len(tick(settings, instance, cursor).run_requests) == 1


def test_source_that_is_away_and_comes_back_unchanged_is_no_news(settings: Settings, instance: dg.DagsterInstance):
    cursor = tick(settings, instance, None).cursor
    away = settings.nih_root.rename(settings.nih_root.with_name("unmounted"))
    assert "cannot read nih" in str(tick(settings, instance, cursor).skip_message)
    away.rename(settings.nih_root)
    assert "No change" in str(tick(settings, instance, cursor).skip_message)


def test_nightly_schedule_requests_the_same_job(instance: dg.DagsterInstance):
    with dg.build_schedule_context(instance=instance) as context:
        result = nightly.evaluate_tick(context)
    assert len(result.run_requests or []) == 1
    assert (nightly.job_name, nightly.cron_schedule) == (HARMONIZE, NIGHTLY)


def test_neither_can_start_training(settings: Settings):
    job = build_definitions(settings).resolve_job_def(HARMONIZE)
    groups = {key.path[0] for key in job.asset_layer.selected_asset_keys}
    assert groups == {"raw", "labels", "images", "split"}
