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


def judge_completeness(dataset: Dataset, raw: pl.DataFrame, *, layout: str) -> Verdict:
    """Whether the inventory holds as many images and patients as were published in the edition of this `layout`.

    `layout` is the name of it (`Dataset.describe_layout`). Phantoms and sources that are not used pass: there is no
    release to compare them with.
    """
    if raw.is_empty() or raw["is_phantom"].any():
        return Verdict(True, {"release": "not used here" if raw.is_empty() else "phantoms"})
    found = {"images": raw.height, "patients": raw["patient_id"].n_unique()}
    editions = dataset.expected_editions.items()
    edition = next((numbers for name, numbers in editions if layout.startswith(name)), dataset.expected)
    published = _expect(dataset, edition, raw)
    facts = {f"{what}_found": number for what, number in found.items()}
    facts |= {f"{what}_published": number for what, number in published.items()}
    return Verdict(all(found[what] == number for what, number in published.items()), facts)


def _expect(dataset: Dataset, edition: Mapping[str, int], raw: pl.DataFrame) -> dict[str, int]:
    """The published numbers of images and patients, with those of the parts shipped apart that are here."""
    apart = [numbers for part, numbers in dataset.expected_apart.items() if part in raw["official_split"]]
    counted = {what: number for what, number in edition.items() if what in ("images", "patients")}
    return {what: number + sum(numbers[what] for numbers in apart) for what, number in counted.items()}


def judge_files(raw: pl.DataFrame, *, extra: int) -> Verdict:
    """Whether every published image has its file and every file its image."""
    missing = int((~raw["is_present"]).sum())
    return Verdict(missing == 0 and extra == 0, {"files_missing": missing, "files_without_a_row": extra})


def judge_patients(raw: pl.DataFrame) -> Verdict:
    """Whether each patient has one sex and one birth year: two say that people share a key, or of a slip of the pen.

    Either way the patient stays whole in one split, so this is a warning.
    """
    stated = raw.group_by("patient_id").agg(pl.col("sex", "birth_year").drop_nulls().n_unique())
    facts = {
        "patients": stated.height,
        "patients_with_two_sexes": int((stated["sex"] > 1).sum()),
        "patients_with_two_birth_years": int((stated["birth_year"] > 1).sum()),
    }
    conflicting = facts["patients_with_two_sexes"] + facts["patients_with_two_birth_years"]
    return Verdict(conflicting == 0, facts)
