import polars as pl
import pytest

from cxr_pipeline.pathologies import SPLITS
from cxr_pipeline.split.audit import (
    judge_classes,
    judge_duplicates,
    judge_images,
    judge_official_parts,
    judge_official_test,
    judge_patients,
)
from cxr_pipeline_tests.split.tables import label_rows, pair_rows, split_labels

PAIR = ("nih/1_000", "nih/2_001")


@pytest.fixture
def cohort() -> pl.DataFrame:
    nih = label_rows("nih", ["1", "2", "3", "3"], ["test", "train_val", "train_val", "train_val"])
    return split_labels(nih, pairs=[PAIR]).table


def with_splits(cohort: pl.DataFrame, *splits: str) -> pl.DataFrame:
    return cohort.with_columns(split=pl.Series(splits, dtype=pl.Enum(SPLITS)))


def test_sound_cohort_passes_everything(cohort: pl.DataFrame):
    assert judge_patients(cohort).passed
    assert judge_duplicates(cohort, pair_rows(PAIR)).passed
    assert judge_official_test(cohort).passed
    assert judge_images(cohort).passed
    assert judge_official_test(cohort).facts == {
        "official_test_images": 1,
        "outside_test": 0,
        "nothing_to_check_in": "no source",
    }


def test_source_without_a_test_part_is_named_by_the_check_on_official_tests(cohort: pl.DataFrame):
    unlisted = cohort.with_columns(official_split=pl.lit(None, cohort["official_split"].dtype))
    assert judge_official_test(unlisted).facts["nothing_to_check_in"] == "nih"
    assert not judge_official_parts(unlisted).passed
    assert judge_official_parts(unlisted).facts == {"images_without_a_part_nih": 4}
    assert judge_official_parts(cohort).passed


def test_patient_in_two_splits_is_counted(cohort: pl.DataFrame):
    verdict = judge_patients(with_splits(cohort, "test", "test", "train", "val"))
    assert not verdict.passed
    assert verdict.facts == {"patients": 3, "patients_in_two_splits": 1, "studies_in_two_splits": 0}


def test_study_under_two_patient_ids_in_two_splits_is_counted(cohort: pl.DataFrame):
    shared = with_splits(cohort, "test", "train", "val", "val").with_columns(study_id=pl.Series(["s", "s", "t", "t"]))
    assert not judge_patients(shared).passed
    assert judge_patients(shared).facts["studies_in_two_splits"] == 1


def test_copies_in_two_splits_are_counted_by_column_and_by_pair(cohort: pl.DataFrame):
    apart = with_splits(cohort, "test", "train", "val", "val")
    assert not judge_duplicates(apart, pair_rows()).passed
    forgotten = apart.with_columns(duplicate_group=pl.lit(None, pl.String))
    verdict = judge_duplicates(forgotten, pair_rows(PAIR, ("nih/1_000", "gone")))
    assert not verdict.passed
    assert verdict.facts["pairs_in_two_splits"] == 1
    assert verdict.facts["pairs_in_the_cohort"] == 1


def test_published_test_image_in_validation_is_counted(cohort: pl.DataFrame):
    verdict = judge_official_test(with_splits(cohort, "val", "val", "train", "train"))
    assert not verdict.passed
    assert verdict.facts["outside_test"] == 1


def test_image_that_stands_twice_is_counted(cohort: pl.DataFrame):
    verdict = judge_images(pl.concat([cohort, cohort.head(1)]))
    assert not verdict.passed
    assert verdict.facts["images_repeated"] == 1


def test_class_that_cannot_be_measured_is_named():
    patients = [f"p{i}" for i in range(40)]
    table = split_labels(label_rows("padchest", patients, [None] * 40)).table
    seen = table.with_columns(Mass=pl.int_range(pl.len()).over("split").mod(2).cast(pl.Int8))
    verdict = judge_classes(seen)
    assert not verdict.passed
    assert "Mass" not in verdict.facts["not_measurable_in_test"]
    assert "Hernia" in verdict.facts["not_measurable_in_test"]
    assert "Hernia" in verdict.facts["not_measurable_in_val"]
