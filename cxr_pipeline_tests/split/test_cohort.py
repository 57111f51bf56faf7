import polars as pl
import pytest

from cxr_pipeline.errors import TableError
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.split.cohort import build_cohort, summarize_cohort
from cxr_pipeline.split.config import SplitConfig
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables import CohortTable
from cxr_pipeline_tests.split.tables import index_rows, label_rows

CONFIG = SplitConfig()


def test_sources_are_merged_into_one_valid_table():
    nih = label_rows("nih", ["1", "1", "2"], ["train_val", "train_val", "test"])
    chexpert = label_rows("chexpert", ["1"], ["val"])
    cohort = build_cohort(
        {"nih": nih, "chexpert": chexpert}, {"nih": index_rows(nih), "chexpert": index_rows(chexpert)}, CONFIG
    )
    assert validate_table(cohort, CohortTable)["image_id"].to_list() == [
        "chexpert/1_000",
        "nih/1_000",
        "nih/1_001",
        "nih/2_002",
    ]


def test_quarantined_and_missing_images_are_left_out():
    nih = label_rows("nih", ["1", "2", "3"], [None] * 3)
    index = index_rows(nih, quarantined=["nih/2_001"]).filter(pl.col("image_id") != "nih/3_002")
    assert build_cohort({"nih": nih}, {"nih": index}, CONFIG)["image_id"].to_list() == ["nih/1_000"]


def test_images_of_which_nothing_is_known_are_left_out():
    nih = label_rows("nih", ["1", "2"], [None] * 2)
    blank = nih.with_columns(
        [pl.when(pl.col("patient_id") != "nih/2").then(pl.col(p)).alias(p) for p in PATHOLOGIES]
        + [pl.struct([pl.lit("unobserved").alias(p) for p in PATHOLOGIES]).alias("evidence")]
    )
    assert build_cohort({"nih": blank}, {"nih": index_rows(nih)}, CONFIG)["patient_id"].to_list() == ["nih/1"]


def test_no_usable_image_is_an_error_that_says_what_to_do():
    nih = label_rows("nih", ["1"], [None])
    with pytest.raises(TableError, match="cxr sources"):
        build_cohort({"nih": nih}, {"nih": index_rows(nih).clear()}, CONFIG)


def test_a_patient_in_two_splits_breaks_the_table():
    nih = label_rows("nih", ["1", "1"], [None, None])
    cohort = build_cohort({"nih": nih}, {"nih": index_rows(nih)}, CONFIG)
    leaking = cohort.with_columns(split=pl.Series(["train", "test"], dtype=cohort.schema["split"]))
    with pytest.raises(TableError, match="one_split_per_patient"):
        validate_table(leaking, CohortTable)


def test_summary_counts_images_patients_and_positives():
    nih = label_rows("nih", ["1", "1", "2"], ["test"] * 3).with_columns(Mass=pl.Series([1, 0, 1], dtype=pl.Int8))
    summary = summarize_cohort(build_cohort({"nih": nih}, {"nih": index_rows(nih)}, CONFIG))
    assert summary.select("dataset", "split", "images", "patients", "Mass").rows() == [("nih", "test", 3, 2, 2)]
