from dataclasses import replace

import polars as pl
import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.datasets.quality import judge_completeness, judge_files, judge_patients

NIH = DATASETS["nih"]


def inventory(rows: int, *, is_phantom: bool = False, sexes: list[str | None] | None = None) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "patient_id": [f"nih/{i}" for i in range(rows)],
            "sex": sexes or ["F"] * rows,
            "birth_year": [None] * rows,
            "official_split": [None] * rows,
            "is_present": [True] * rows,
            "is_phantom": [is_phantom] * rows,
        },
        schema_overrides={"sex": pl.String, "birth_year": pl.Int16, "official_split": pl.String},
    )


def test_part_of_a_release_is_not_complete_and_says_of_how_many():
    verdict = judge_completeness(NIH, inventory(10), layout="release of 2020")
    assert not verdict.passed
    assert (verdict.facts["images_found"], verdict.facts["images_published"]) == (10, 112_120)


@pytest.mark.parametrize("raw", [inventory(0), inventory(10, is_phantom=True)])
def test_unused_source_and_phantoms_have_no_release_to_miss(raw: pl.DataFrame):
    assert judge_completeness(NIH, raw, layout="release of 2020").passed


def test_missing_and_extra_files_are_counted():
    raw = inventory(3).with_columns(is_present=pl.Series([True, False, False]))
    assert judge_files(raw, extra=4).facts == {"files_missing": 2, "files_without_a_row": 4}
    assert not judge_files(raw, extra=0).passed
    assert not judge_files(inventory(3), extra=1).passed
    assert judge_files(inventory(3), extra=0).passed


def test_patient_of_two_sexes_is_counted_and_an_unknown_sex_is_no_conflict():
    raw = inventory(4, sexes=["F", "M", "F", None]).with_columns(patient_id=pl.Series(["a", "a", "b", "b"]))
    verdict = judge_patients(raw)
    assert not verdict.passed
    assert verdict.facts == {"patients": 2, "patients_with_two_sexes": 1, "patients_with_two_birth_years": 0}


def test_patient_of_two_birth_years_is_counted_and_an_unknown_year_is_no_conflict():
    raw = inventory(5).with_columns(
        patient_id=pl.Series(["a", "a", "b", "b", "c"]),
        birth_year=pl.Series([1930, 1931, 1950, None, 1960], dtype=pl.Int16),
    )
    verdict = judge_patients(raw)
    assert not verdict.passed
    assert verdict.facts == {"patients": 3, "patients_with_two_sexes": 0, "patients_with_two_birth_years": 1}


def test_patients_without_conflict_pass():
    raw = inventory(2).with_columns(patient_id=pl.lit("a"), birth_year=pl.lit(1930, pl.Int16))
    assert judge_patients(raw).passed


def test_edition_of_a_layout_is_complete_with_its_own_numbers_and_with_no_others():
    two = replace(NIH, expected={"images": 5, "patients": 5}, expected_editions={"Plus": {"images": 3, "patients": 2}})
    merged = inventory(3).with_columns(patient_id=pl.Series(["nih/0", "nih/0", "nih/1"]))
    passed = {
        (layout, raw.height, raw["patient_id"].n_unique()): judge_completeness(two, raw, layout=layout).passed
        for layout in ("release", "Plus, with the test set")
        for raw in (inventory(5), inventory(3), merged)
    }
    assert [what for what, is_whole in passed.items() if is_whole] == [
        ("release", 5, 5),
        ("Plus, with the test set", 3, 2),
    ]
    assert judge_completeness(two, inventory(4), layout="Plus").facts["images_published"] == 3
