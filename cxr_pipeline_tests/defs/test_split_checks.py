"""What stops training: leaks planted into the table of the cohort, found by the real checks, through Dagster."""

from collections.abc import Callable

import dagster as dg
import polars as pl
import pytest

from cxr_pipeline.defs import split_checks
from cxr_pipeline.defs.resources import Installation
from cxr_pipeline.defs.split import assets
from cxr_pipeline.defs.training import checkpoint_asset
from cxr_pipeline.pathologies import SPLITS
from cxr_pipeline.pipeline.split import write_cohort
from cxr_pipeline.settings import Settings
from cxr_pipeline.split.config import SplitConfig
from cxr_pipeline.storage.lake import Lake, write_table
from cxr_pipeline.tables.labels import LabelTable
from cxr_pipeline.training.presets import preset
from cxr_pipeline_tests.split.lakes import write_lake, write_pairs
from cxr_pipeline_tests.split.tables import label_rows

PEOPLE = ["1", "1", "2", "3", "4"]
PARTS = ["train_val", "train_val", "test", "train_val", "test"]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = write_lake(tmp_path_factory.mktemp("home") / "lake", label_rows("nih", PEOPLE, PARTS))
    write_pairs(lake, ("nih/2_002", "nih/3_003"))
    return lake


def materialize(lake: Lake, *definitions: object, **config: object) -> dg.ExecuteInProcessResult:
    installation = Installation.of(Settings(home=lake.root.parent), image_size=64)
    return dg.materialize(
        [*definitions, *split_checks.checks],
        resources={"installation": installation},
        run_config={"ops": {"split__cohort": {"config": config}}} if config else None,
        raise_on_error=False,
    )


def made(result: dg.ExecuteInProcessResult) -> set[str]:
    return {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()}


def failed(result: dg.ExecuteInProcessResult) -> set[str]:
    return {check.check_name for check in result.get_asset_check_evaluations() if not check.passed}


def set_split(image_id: str, split: str) -> Callable[[pl.DataFrame], pl.DataFrame]:
    where = pl.col("image_id") == image_id
    value = pl.lit(split, pl.Enum(SPLITS))
    return lambda cohort: cohort.with_columns(split=pl.when(where).then(value).otherwise("split"))


LEAKS = {
    "a patient in two splits": (set_split("nih/1_001", "test"), "patients"),
    "a copy in another split": (set_split("nih/3_003", "train"), "duplicates"),
    "an official test image in val": (set_split("nih/4_004", "val"), "official_test"),
    "an image twice": (lambda cohort: pl.concat([cohort, cohort.head(1)]), "images"),
}


@pytest.mark.parametrize(("plant", "check"), LEAKS.values(), ids=LEAKS)
def test_leak_stops_training(lake: Lake, plant: Callable[[pl.DataFrame], pl.DataFrame], check: str):
    sound = write_cohort(lake, SplitConfig(), start_over=True).table

    @dg.asset(key=["split", "cohort"])
    def cohort() -> None:
        plant(sound).write_parquet(lake.table("split", "cohort"))

    result = materialize(lake, cohort, checkpoint_asset(preset("demo")))
    assert not result.success
    assert made(result) == {"split/cohort"}
    assert failed(result) - {"classes"} == {check}
    told = {one.check_name: one.description for one in result.get_asset_check_evaluations()}
    assert told[check] == split_checks.RULES[check].remedy
    assert all(told[name] is None for name in set(split_checks.RULES) - failed(result))


def test_sound_cohort_lets_training_start_and_class_without_positives_only_warns(lake: Lake):
    started = []

    @dg.asset(key=["training", "checkpoint"], deps=[["split", "cohort"]])
    def checkpoint() -> None:
        started.append(True)

    result = materialize(lake, *assets, checkpoint, start_over=True)
    assert result.success
    assert started == [True]
    assert failed(result) == {"classes"}
    (warning,) = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert warning.severity == dg.AssetCheckSeverity.WARN
    assert "Hernia" in str(warning.metadata["not_measurable_in_test"].value)


def test_asset_pages_count_moves_and_show_plots_and_name_nobody(lake: Lake):
    write_cohort(lake, SplitConfig(), start_over=True)
    result = materialize(lake, *assets, external=["nih"])
    pages = {
        event.asset_key.path[-1]: event.materialization.metadata for event in result.get_asset_materialization_events()
    }
    moved = str(pages["cohort"]["moved_now"].value)
    assert "| nih | 2 | " in moved
    assert "external" in moved
    assert pages["cohort"]["settings_for_arrivals_alone"].value == "external"
    assert "data:image/svg" in pages["summary"]["sizes_plot"].value
    assert not any(f"nih/{patient}" in str(pages) for patient in PEOPLE)


def test_lost_assignment_fails_the_asset_with_what_to_do(lake: Lake):
    write_cohort(lake, SplitConfig(), start_over=True)
    lake.table("split", "assignment").unlink()
    result = materialize(lake, *assets)
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "--start-over" in str(failure.step_failure_data.user_failure_data.description)
    assert made(result) == set()
    assert made(materialize(lake, *assets, start_over=True)) == {"split/cohort", "split/summary"}


def test_cohort_that_is_older_than_its_labels_fails_training(lake: Lake):
    write_cohort(lake, SplitConfig(), start_over=True)
    path = lake.table("labels", "nih")
    before = path.read_bytes()
    write_table(path, pl.read_parquet(path).head(-1), LabelTable)
    result = materialize(lake, checkpoint_asset(preset("demo")))
    path.write_bytes(before)
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    told = failure.step_failure_data.user_failure_data.description
    assert "was made from labels/nih" in told
    assert "`cxr split` (or materialize split/cohort) first" in told


def test_misspelt_source_fails_the_run_and_says_which_there_are(lake: Lake):
    result = materialize(lake, *assets, external=["padchset"])
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "padchset: not among the sources nih," in str(failure.step_failure_data.error.cause)
