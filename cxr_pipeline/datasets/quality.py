"""What is odd about the inventory of one source: against the published release, and within its patients."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from cxr_pipeline.datasets.base import Dataset


@dataclass(frozen=True)
class Verdict:
    """Whether a table is as it should be, and the counts that say so (no ids among them)."""

    passed: bool
    facts: Mapping[str, int | float | str] = field(default_factory=dict)


def judge_completeness(dataset: Dataset, raw: pl.DataFrame) -> Verdict:
    """Whether the inventory holds as many images and patients as were published.

    Phantoms and sources that are not used pass: there is no release to compare them with.
    """
    if raw.is_empty() or raw["is_phantom"].any():
        return Verdict(True, {"release": "not used here" if raw.is_empty() else "phantoms"})
    found = {"images": raw.height, "patients": raw["patient_id"].n_unique()}
    facts = {f"{what}_found": number for what, number in found.items()}
    facts |= {f"{what}_published": number for what, number in dataset.expected.items() if what in found}
    return Verdict(all(found[what] == number for what, number in dataset.expected.items() if what in found), facts)


def judge_files(raw: pl.DataFrame, *, extra: int) -> Verdict:
    """Whether every published image has its file and every file its image."""
    missing = int((~raw["is_present"]).sum())
    return Verdict(missing == 0 and extra == 0, {"files_missing": missing, "files_without_a_row": extra})


def judge_patients(raw: pl.DataFrame) -> Verdict:
    """Whether each patient has one sex: two say that two people share a key, or that a key was mistyped.

    Either way the patient stays whole in one split, so this is a warning.
    """
    sexes = raw.group_by("patient_id").agg(pl.col("sex").drop_nulls().n_unique())
    conflicting = int((sexes["sex"] > 1).sum())
    return Verdict(conflicting == 0, {"patients": sexes.height, "patients_with_two_sexes": conflicting})
