"""Whether a cohort keeps what a split promises, counted on the written table. How it was placed is not asked here."""

from collections.abc import Mapping

import polars as pl

from cxr_pipeline.datasets.quality import Verdict
from cxr_pipeline.pathologies import NEGATIVE, PATHOLOGIES, POSITIVE
from cxr_pipeline.split.official import OFFICIAL_PARTS

HELD_OUT = ("val", "test")


def judge_patients(cohort: pl.DataFrame) -> Verdict:
    """Whether every patient, and every study, is in one split."""
    facts = {
        "patients": cohort["patient_id"].n_unique(),
        "patients_in_two_splits": _count_divided(cohort, "patient_id"),
        "studies_in_two_splits": _count_divided(cohort, "study_id"),
    }
    return Verdict(not facts["patients_in_two_splits"] and not facts["studies_in_two_splits"], facts)


def judge_duplicates(cohort: pl.DataFrame, pairs: pl.DataFrame) -> Verdict:
    """Whether all copies of a picture are in one split: by the cohort's own column, and by the pairs once more."""
    splits = cohort.select("image_id", "split")
    found = pairs.join(splits.rename({"image_id": "image_a", "split": "a"}), on="image_a").join(
        splits.rename({"image_id": "image_b", "split": "b"}), on="image_b"
    )
    copied = cohort.filter(pl.col("duplicate_group").is_not_null())
    facts = {
        "pairs_in_the_cohort": found.height,
        "pairs_in_two_splits": found.filter(pl.col("a") != pl.col("b")).height,
        "duplicate_groups": copied["duplicate_group"].n_unique(),
        "duplicate_groups_in_two_splits": _count_divided(copied, "duplicate_group"),
    }
    return Verdict(not facts["pairs_in_two_splits"] and not facts["duplicate_groups_in_two_splits"], facts)


def judge_official_test(cohort: pl.DataFrame) -> Verdict:
    """Whether every image of a published test part is in test.

    Also which sources it could not ask: those that publish a test part, of which the cohort holds no image.
    """
    official = cohort.filter(pl.col("official_split") == "test")
    outside = official.filter(pl.col("split") != "test").height
    publishing = {dataset for dataset, part in OFFICIAL_PARTS if part == "test"}
    unasked = sorted(publishing & {*cohort["dataset"].cast(pl.String)} - {*official["dataset"].cast(pl.String)})
    facts = {"official_test_images": official.height, "outside_test": outside}
    return Verdict(outside == 0, {**facts, "nothing_to_check_in": ", ".join(unasked) or "no source"})


def judge_official_parts(cohort: pl.DataFrame) -> Verdict:
    """Whether the published part of every image is known, of the sources that publish a test part.

    Where a list is absent, official test images may be in train and the check above has nothing to ask.
    """
    publishing = sorted({dataset for dataset, part in OFFICIAL_PARTS if part == "test"})
    unknown = cohort.filter(pl.col("official_split").is_null() & pl.col("dataset").cast(pl.String).is_in(publishing))
    counts = unknown.group_by(pl.col("dataset").cast(pl.String)).agg(images=pl.len()).sort("dataset")
    return Verdict(unknown.is_empty(), {f"images_without_a_part_{name}": count for name, count in counts.rows()})


def judge_images(cohort: pl.DataFrame) -> Verdict:
    """Whether every image stands once."""
    repeated = cohort.height - cohort["image_id"].n_unique()
    return Verdict(repeated == 0, {"images": cohort.height, "images_repeated": repeated})


def judge_classes(cohort: pl.DataFrame) -> Verdict:
    """Whether every class has positives and negatives in val and in test; its metrics are n/a where it has not."""
    lacking = {split: _unmeasurable(cohort.filter(pl.col("split") == split)) for split in HELD_OUT}
    facts: Mapping[str, str] = {f"not_measurable_in_{split}": ", ".join(names) for split, names in lacking.items()}
    return Verdict(not any(lacking.values()), facts)


def _unmeasurable(part: pl.DataFrame) -> list[str]:
    has_both = part.select(
        ((pl.col(p) == POSITIVE).any() & (pl.col(p) == NEGATIVE).any()).alias(p) for p in PATHOLOGIES
    ).row(0)
    return [name for name, both in zip(PATHOLOGIES, has_both, strict=True) if not both]


def _count_divided(cohort: pl.DataFrame, column: str) -> int:
    """How many values of `column` stand in several splits."""
    rank = pl.col("split").to_physical()
    ranks = cohort.group_by(column).agg(low=rank.min(), high=rank.max())
    return ranks.filter(pl.col("low") != pl.col("high")).height
