"""The sensor and the schedule, on a real instance with real runs."""

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.defs.automation import HARMONIZE, NIGHTLY, new_raw_data, nightly
from cxr_pipeline.defs.build import build_definitions
from cxr_pipeline.defs.demand import FIRST_PAUSE_SECONDS
from cxr_pipeline.defs.standing import REASON_TAG
from cxr_pipeline.phantom.write import PhantomRequest, write_phantoms
from cxr_pipeline.pipeline.raw import take_stock
from cxr_pipeline.settings import Settings

pytestmark = pytest.mark.long  # a run of the whole job each

SPLIT = {f"split/{name}" for name in ("duplicates", "cohort", "summary")}
OF_NIH = {"raw/nih", "labels/nih", "images/nih", "labels/overview", "labels/boxes", "labels/adjudicated_nih", *SPLIT}
MOST_TICKS = 20


PAST = time.time() - 7_200
_ages = count(1)


def age(root: Path) -> None:
    """As if nothing had been written for an hour: what was changed within two seconds is looked at again.

    Files keep one time, or all of them would have changed; the time of folders moves on, by which changes are found.
    """
    moved = PAST + next(_ages)
    for path in [root, *root.rglob("*")]:
        stamp = moved if path.is_dir() else PAST
        os.utime(path, (stamp, stamp))


@dataclass
class Site:
    """One installation with its daemon's part played by the test."""

    settings: Settings
    instance: dg.DagsterInstance
    cursor: str | None = None
    defs: dg.Definitions = field(init=False)

    def __post_init__(self) -> None:
        self.defs = build_definitions(self.settings)

    def tick(self) -> dg.SensorResult | dg.SkipReason:
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, definitions=self.defs, resources=self.defs.resources
        ) as context:
            result = new_raw_data(context)
        if isinstance(result, dg.SensorResult):
            self.cursor = result.cursor
        return result

    def tick_until(self, word: str) -> str:
        """What a tick says, once that holds `word`; a look may end after a slice."""
        for _ in range(MOST_TICKS):
            told = self.tick()
            assert isinstance(told, dg.SkipReason), told
            if word in str(told.skip_message):
                return str(told.skip_message)
            time.sleep(0.2)
        raise AssertionError(f"{told.skip_message!r} after {MOST_TICKS} ticks, expected {word!r}")

    def ask(self) -> dg.RunRequest:
        """The one request of the next ticks."""
        for _ in range(MOST_TICKS):
            told = self.tick()
            if isinstance(told, dg.SensorResult):
                (request,) = told.run_requests or []
                return request
            time.sleep(0.2)  # files younger than two seconds are looked at again
        raise AssertionError(f"{told.skip_message!r} after {MOST_TICKS} ticks")

    def run(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Executes what the sensor asked for."""
        job = self.defs.resolve_job_def(HARMONIZE)
        return job.execute_in_process(
            instance=self.instance,
            asset_selection=request.asset_selection,
            tags=request.tags,
            raise_on_error=False,
        )

    def make(self, request: dg.RunRequest) -> set[str]:
        """The assets that the run of `request` made, all of them."""
        result = self.run(request)
        assert result.success
        return {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()}

    def catch_up(self) -> set[str]:
        """The assets of all runs until there is no change; one source may be looked through before the other."""
        made: set[str] = set()
        for _ in range(MOST_TICKS):
            told = self.tick()
            if isinstance(told, dg.SensorResult):
                (request,) = told.run_requests or []
                made |= self.make(request)
            elif str(told.skip_message) == "No change":
                return made
        raise AssertionError(f"{told} after {MOST_TICKS} ticks")


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms")
    for name in ("nih", "chexpert"):
        write_phantoms(PhantomRequest(name, patients=12, seed=1, size=64), folder / name, workers=1)
    return folder


@pytest.fixture
def settings(tmp_path: Path, phantoms: Path) -> Settings:
    shutil.copytree(phantoms, tmp_path / "sources")
    age(tmp_path / "sources")
    roots = {f"{name}_root": tmp_path / "sources" / name for name in ("nih", "chexpert")}
    return Settings(home=tmp_path / "home", preset="demo", watch_quiet_seconds=0, **roots)


@pytest.fixture
def site(tmp_path: Path, settings: Settings) -> Iterator[Site]:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        yield Site(settings, instance)


@pytest.fixture
def made(site: Site) -> Site:
    """After the first runs."""
    site.catch_up()
    return site


def pictures(settings: Settings) -> list[Path]:
    return sorted(settings.nih_root.rglob("*.png"))


def test_at_first_everything_is_made_but_training_and_then_there_is_nothing_to_do(site: Site):
    made = site.catch_up()
    assert made >= {f"{stage}/{name}" for stage in ("raw", "labels", "images") for name in DATASETS} | SPLIT
    assert not {key for key in made if key.startswith(("training", "evaluation"))}


def test_changed_source_is_made_again_with_all_that_is_made_from_it_and_nothing_else(made: Site):
    gone, *_ = pictures(made.settings)
    gone.unlink()
    age(made.settings.nih_root)
    request = made.ask()
    assert request.tags[REASON_TAG] == "nih: 1 gone"
    assert made.make(request) == OF_NIH
    assert made.tick_until("No change") == "No change"


def test_going_back_to_an_earlier_state_is_a_change_too(made: Site):
    gone, *_ = pictures(made.settings)
    kept = gone.read_bytes()
    gone.unlink()
    age(made.settings.nih_root)
    made.make(made.ask())
    gone.write_bytes(kept)
    age(made.settings.nih_root)
    request = made.ask()
    assert request.tags[REASON_TAG] == "nih: +1 file"
    assert made.make(request) == OF_NIH


def test_a_change_that_is_taken_back_before_it_was_read_is_none(made: Site):
    moved, *_ = pictures(made.settings)
    moved.rename(made.settings.home / "elsewhere.png")
    age(made.settings.nih_root)
    assert isinstance(made.ask(), dg.RunRequest)
    (made.settings.home / "elsewhere.png").rename(moved)
    age(made.settings.nih_root)
    made.tick_until("No change")


def test_two_changed_sources_are_one_request(made: Site):
    for root in (made.settings.nih_root, made.settings.chexpert_root):
        next(root.rglob("*_000.png" if root == made.settings.nih_root else "*.jpg")).unlink()
        age(root)
    take_stock_of_all(made.settings)  # a slice of the sensor may see one before the other
    request = made.ask()
    assert request.tags[REASON_TAG] == "nih: 1 gone; chexpert: 1 gone"
    assert {key.to_user_string() for key in request.asset_selection or []} >= {"raw/nih", "raw/chexpert"}


def test_a_source_that_is_away_and_comes_back_unchanged_is_no_news(made: Site):
    away = made.settings.nih_root.rename(made.settings.nih_root.with_name("unmounted"))
    assert "nih: " in made.tick_until("cannot be read")
    away.rename(made.settings.nih_root)
    made.tick_until("No change")


def test_files_that_are_still_arriving_are_waited_for(tmp_path: Path, made: Site):
    patient = Site(made.settings.model_copy(update={"watch_quiet_seconds": 3_600.0}), made.instance, made.cursor)
    shutil.copy(pictures(made.settings)[0], made.settings.nih_root / "new_one.png")
    assert "waits until it is quiet" in patient.tick_until("quiet")
    age(made.settings.nih_root)
    assert isinstance(Site(made.settings, made.instance, made.cursor).ask(), dg.RunRequest)


def test_a_failed_run_is_asked_for_again_after_a_pause_and_at_once_when_files_change(
    made: Site, monkeypatch: pytest.MonkeyPatch
):
    table = next(made.settings.nih_root.glob("Data_Entry*"))
    whole = table.read_bytes()
    table.write_bytes(whole.replace(b"Finding Labels", b"Words"))
    age(made.settings.nih_root)
    assert not made.run(made.ask()).success
    assert "Asked for 1 times in vain" in made.tick_until("vain")
    later = time.time() + FIRST_PAUSE_SECONDS + 1
    with monkeypatch.context() as clock:
        clock.setattr("cxr_pipeline.defs.automation.time.time", lambda: later)
        assert not made.run(made.ask()).success
        assert "Asked for 2 times in vain; again" not in made.tick_until("vain")
        assert "again in 10 minutes" in made.tick_until("vain")
    table.write_bytes(whole + whole.splitlines(keepends=True)[-1].replace(b"_0", b"_9", 1))
    age(made.settings.nih_root)
    assert isinstance(made.ask(), dg.RunRequest)


def test_what_a_failed_run_left_undone_is_asked_for_though_its_inventory_was_made(
    made: Site, monkeypatch: pytest.MonkeyPatch
):
    pictures(made.settings)[0].unlink()
    age(made.settings.nih_root)
    with monkeypatch.context() as broken:
        broken.setattr("cxr_pipeline.defs.labels.write_labels", _fail)
        assert not made.run(made.ask()).success
    request = made.ask()
    assert request.tags[REASON_TAG].startswith("labels/adjudicated_nih was made from") or (
        "labels/nih was made from another raw/nih" in request.tags[REASON_TAG]
    )
    assert "labels/nih" in made.make(request)
    made.tick_until("No change")


def test_nothing_is_asked_for_while_a_run_makes_the_same_tables(made: Site):
    pictures(made.settings)[0].unlink()
    age(made.settings.nih_root)
    job = made.defs.resolve_job_def(HARMONIZE)
    run = made.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    assert run.run_id[:8] in made.tick_until("makes these tables now")
    made.instance.report_run_failed(run)
    assert isinstance(made.ask(), dg.RunRequest)


def test_a_source_that_is_used_no_longer_is_emptied(made: Site):
    without = Site(made.settings.model_copy(update={"chexpert_root": None}), made.instance, made.cursor)
    request = without.ask()
    assert request.tags[REASON_TAG] == "chexpert: used no longer"
    assert "labels/chexpert" in without.make(request)
    without.tick_until("No change")


def test_another_file_of_states_is_read_though_no_source_has_changed(made: Site):
    states = made.settings.home / "states.parquet"
    schema = {"study_id": pl.String, "class": pl.String, "state": pl.Int8, "source": pl.String}
    pl.DataFrame([["rexgradient/a", "Mass", 1, "them"]], schema=schema, orient="row").write_parquet(states)
    told = Site(made.settings.model_copy(update={"rexgradient_states": states}), made.instance, made.cursor)
    request = told.ask()
    assert request.tags[REASON_TAG] == "labels/imported_rexgradient was made from another file of states"
    keys = {key.to_user_string() for key in request.asset_selection or []}
    assert {"labels/imported_rexgradient", "labels/rexgradient", "split/cohort"} <= keys
    assert "raw/rexgradient" not in keys


def test_another_file_of_states_of_a_source_that_is_away_asks_for_no_empty_run(made: Site):
    states = made.settings.home / "states.parquet"
    states.write_bytes(b"")
    away = {"rexgradient_states": states, "rexgradient_root": made.settings.home / "absent"}
    told = Site(made.settings.model_copy(update=away), made.instance, made.cursor)
    assert "rexgradient: " in told.tick_until("cannot be read")


def test_nightly_schedule_requests_the_same_job(site: Site):
    with dg.build_schedule_context(instance=site.instance) as context:
        result = nightly.evaluate_tick(context)
    assert len(result.run_requests or []) == 1
    assert (nightly.job_name, nightly.cron_schedule) == (HARMONIZE, NIGHTLY)


def test_neither_can_start_training(settings: Settings):
    job = build_definitions(settings).resolve_job_def(HARMONIZE)
    groups = {key.path[0] for key in job.asset_layer.selected_asset_keys}
    assert groups == {"raw", "labels", "images", "split"}


def take_stock_of_all(settings: Settings) -> None:
    """A look at every file of both sources."""
    for name in ("nih", "chexpert"):
        take_stock(settings.watch_root, DATASETS[name], getattr(settings, f"{name}_root"))


def _fail(*_: object, **__: object) -> None:
    raise RuntimeError("a fault of this program")
