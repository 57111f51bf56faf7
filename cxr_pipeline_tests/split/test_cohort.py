import polars as pl
import pytest

from cxr_pipeline.errors import TableError
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.split.cohort import count_moves, summarize_cohort
from cxr_pipeline.split.config import SplitConfig
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables.split import CohortTable
from cxr_pipeline_tests.split.tables import index_rows, label_rows, split_labels


def test_sources_are_merged_into_one_valid_table():
    nih = label_rows("nih", ["1", "1", "2"], ["train_val", "train_val", "test"])
    chexpert = label_rows("chexpert", ["1"], ["val"])
    cohort = split_labels(nih, chexpert).table
    assert validate_table(cohort, CohortTable)["image_id"].to_list() == [
        "chexpert/1_000",
        "nih/1_000",
        "nih/1_001",
        "nih/2_002",
    ]


def test_quarantined_and_missing_images_are_left_out():
    nih = label_rows("nih", ["1", "2", "3"], [None] * 3)
    index = index_rows(nih, quarantined=["nih/2_001"]).filter(pl.col("image_id") != "nih/3_002")
    made = split_labels(nih, indexes=[index])
    assert made.table["image_id"].to_list() == ["nih/1_000"]
    assert made.left_out.rows() == [("nih", 3, 0, 1)]  # what is in quarantine was prepared


def test_a_source_without_any_prepared_image_is_named():
    nih, vindr = label_rows("nih", ["1"], [None]), label_rows("vindr", ["1", "2"], [None] * 2)
    made = split_labels(nih, vindr, indexes=[index_rows(nih), index_rows(vindr).clear()])
    assert made.left_out.rows() == [("vindr", 2, 0, 2)]


def test_laterals_are_not_taken_for_images_that_wait_to_be_prepared():
    kinds = label_rows("nih", ["1"], [None]).schema["view"]
    views = pl.Series("view", ["PA", "LATERAL", "UNKNOWN", "AP"])
    nih = label_rows("nih", ["1", "2", "3", "4"], [None] * 4).with_columns(views.cast(kinds))
    made = split_labels(nih, indexes=[index_rows(nih).filter(pl.col("image_id") == "nih/1_000")])
    assert made.left_out.rows() == [("nih", 4, 2, 1)]


def test_stored_images_without_labels_are_counted():
    nih, vindr = label_rows("nih", ["1"], [None]), label_rows("vindr", ["1", "2"], [None] * 2)
    made = split_labels(nih, vindr[:1], indexes=[index_rows(nih), index_rows(vindr)])
    assert made.table["image_id"].to_list() == ["nih/1_000", "vindr/1_000"]
    assert made.unlabelled.rows() == [("vindr", 2, 1)]
    assert split_labels(nih, vindr).unlabelled.is_empty()


def blank(labels: pl.DataFrame, patient: str) -> pl.DataFrame:
    """Of this patient no class is known."""
    is_known = pl.col("patient_id") != patient
    nothing = pl.struct([pl.lit("unobserved").alias(p) for p in PATHOLOGIES])
    return labels.with_columns(
        [pl.when(is_known).then(pl.col(p)).alias(p) for p in PATHOLOGIES]
        + [pl.when(is_known).then("evidence").otherwise(nothing).alias("evidence")]
    )


def test_images_of_which_nothing_is_known_are_left_out():
    nih = blank(label_rows("nih", ["1", "2"], [None] * 2), "nih/2")
    assert split_labels(nih).table["patient_id"].to_list() == ["nih/1"]


def test_no_usable_image_is_an_error_that_says_what_to_do():
    nih = label_rows("nih", ["1"], [None])
    with pytest.raises(TableError, match="cxr sources"):
        split_labels(nih, indexes=[index_rows(nih).clear()])


def test_a_patient_in_two_splits_breaks_the_table():
    cohort = split_labels(label_rows("nih", ["1", "1"], [None, None])).table
    leaking = cohort.with_columns(split=pl.Series(["train", "test"], dtype=cohort.schema["split"]))
    with pytest.raises(TableError, match="one_split_per_patient"):
        validate_table(leaking, CohortTable)


def test_copies_in_two_splits_break_the_table_and_images_without_copies_do_not():
    nih = label_rows("nih", ["1", "2", "3"], [None] * 3)
    cohort = split_labels(nih, pairs=[("nih/1_000", "nih/2_001")]).table
    apart = cohort.with_columns(
        split=pl.Series(["train", "test", "test"], dtype=cohort.schema["split"]), group=pl.col("patient_id")
    )
    with pytest.raises(TableError, match=r"one_split_per_duplicate_group \(2 rows\)"):
        validate_table(apart, CohortTable)


def test_patients_who_share_a_picture_are_one_group_and_copies_together_count_as_one():
    nih = label_rows("nih", ["1", "2", "3"], ["train_val", "test", "train_val"])
    chexpert = label_rows("chexpert", ["9"], ["train"])
    pairs = [("nih/1_000", "nih/2_001"), ("nih/1_000", "chexpert/9_000")]
    cohort = split_labels(nih, chexpert, pairs=pairs).table
    rows = cohort.select("image_id", "group", "duplicate_group", "weight", "split").rows()
    third = pytest.approx(1 / 3)
    assert rows[:3] == [
        ("chexpert/9_000", "chexpert/9", "chexpert/9_000", third, "test"),
        ("nih/1_000", "chexpert/9", "chexpert/9_000", third, "test"),
        ("nih/2_001", "chexpert/9", "chexpert/9_000", third, "test"),
    ]
    assert rows[3][:4] == ("nih/3_002", "nih/3", None, 1.0)
    assert cohort["weight"].sum() == pytest.approx(2)  # two different pictures


def test_quarantined_copy_still_links_its_patients_and_takes_no_weight():
    nih = label_rows("nih", ["1", "1", "2", "3"], [None] * 4)
    pairs = [("nih/1_001", "nih/2_002")]
    cohort = split_labels(nih, pairs=pairs, indexes=[index_rows(nih, quarantined=["nih/1_001"])]).table
    linked = cohort.filter(pl.col("group") == "nih/1")
    assert linked["image_id"].to_list() == ["nih/1_000", "nih/2_002"]
    assert cohort["weight"].to_list() == [1.0] * 3


def test_published_test_part_of_an_unusable_image_still_holds_for_its_patient():
    nih = label_rows("nih", ["1", "1"], ["test", "train_val"])
    cohort = split_labels(nih, indexes=[index_rows(nih, quarantined=["nih/1_000"])]).table
    assert cohort["split"].to_list() == ["test"]


def test_moves_are_counted_without_naming_anyone():
    nih = label_rows("nih", ["1", "2"], ["train_val", "train_val"])
    first = split_labels(nih)
    again = split_labels(nih, config=SplitConfig(external=["nih"]), memory=first.memory)
    counts = count_moves(again.moved)
    assert counts["patients"].sum() == 2
    assert set(counts["reason"]) == {"external"}
    assert "nih/1" not in str(counts.rows())


def test_summary_counts_images_patients_and_positives():
    nih = label_rows("nih", ["1", "1", "2"], ["test"] * 3).with_columns(Mass=pl.Series([1, 0, 1], dtype=pl.Int8))
    summary = summarize_cohort(split_labels(nih).table)
    assert summary.select("dataset", "split", "images", "patients", "Mass").rows() == [("nih", "test", 3, 2, 2)]
