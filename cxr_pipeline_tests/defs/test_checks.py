"""Blocking checks, through Dagster: a table that breaks its declaration stops what is made from it."""

from pathlib import Path

import dagster as dg
import polars as pl

from cxr_pipeline.defs.checks import check_table, schema_check
from cxr_pipeline.defs.resources import Installation
from cxr_pipeline.settings import Settings
from cxr_pipeline.tables.labels import LabelTable
from cxr_pipeline.tables.split import CohortTable
from cxr_pipeline_tests.split.tables import label_rows, split_labels


def leaking_cohort() -> pl.DataFrame:
    """A patient in train and in test."""
    cohort = split_labels(label_rows("nih", ["7", "7"], [None, None])).table
    return cohort.with_columns(split=pl.Series(["train", "test"], dtype=cohort.schema["split"]))


def test_leak_in_the_cohort_stops_training(tmp_path: Path):
    installation = Installation.of(Settings(home=tmp_path), image_size=64)

    @dg.asset(key=["split", "cohort"])
    def cohort() -> None:
        path = installation.lake.table("split", "cohort")
        path.parent.mkdir(parents=True)
        leaking_cohort().write_parquet(path)

    @dg.asset(key=["training", "checkpoint"], deps=[["split", "cohort"]])
    def checkpoint() -> None:
        raise AssertionError("training started on a leaking cohort")

    result = dg.materialize(
        [cohort, checkpoint, schema_check("split", "cohort", CohortTable)],
        resources={"installation": installation},
        raise_on_error=False,
    )
    assert not result.success
    made = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()}
    assert made == {"split/cohort"}
    (evaluation,) = result.get_asset_check_evaluations()
    assert not evaluation.passed
    assert "one_split_per_patient" in str(evaluation.metadata["broken_rules"].value)


def test_valid_table_passes_and_says_how_many_rows_it_saw():
    result = check_table(label_rows("nih", ["1", "2"], [None, None]), LabelTable)
    assert result.passed
    assert result.metadata["rows"].value == 2


def test_missing_column_fails_and_is_named():
    result = check_table(label_rows("nih", ["1"], [None]).drop("Mass"), LabelTable)
    assert not result.passed
    assert "Mass" in str(result.metadata["columns"].value)


def test_no_cell_of_a_broken_row_reaches_the_metadata():
    rows = label_rows("nih", ["patient-seven"], [None]).with_columns(Mass=pl.lit(9, dtype=pl.Int8))
    result = check_table(rows, LabelTable)
    assert not result.passed
    assert "patient-seven" not in str(result.metadata)
