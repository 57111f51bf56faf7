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
    """Whether the inventory holds as many images and patients as were published in the edition of this `layout`, and
    as many images in each official part.

    `layout` is the name of it (`Dataset.describe_layout`). Phantoms and sources that are not used pass: there is no
    release to compare them with.
    """
    if raw.is_empty() or raw["is_phantom"].any():
        return Verdict(True, {"release": "not used here" if raw.is_empty() else "phantoms"})
    found = {"images": raw.height, "patients": raw["patient_id"].n_unique()}
    published = _expect(dataset, edition_of(dataset, layout), raw)
    facts: dict[str, int | str] = {f"{what}_found": number for what, number in found.items()}
    facts |= {f"{what}_published": number for what, number in published.items()}
    is_parted = _is_parted(dataset, raw)
    facts |= {} if is_parted else {"parts": describe_parts(dataset, raw)}
    return Verdict(is_parted and all(found[what] == number for what, number in published.items()), facts)


def edition_of(dataset: Dataset, layout: str) -> Mapping[str, int]:
    """The published numbers of the edition that has this layout."""
    editions = dataset.expected_editions.items()
    return next((numbers for name, numbers in editions if layout.startswith(name)), dataset.expected)


def describe_parts(dataset: Dataset, raw: pl.DataFrame) -> str:
    """`train 10 of 223,414, val 234 of 234`, of the official parts that are here: which file is cut, or another's."""
    return ", ".join(f"{part} {found:,} of {number:,}" for part, found, number in _count_parts(dataset, raw))


def _is_parted(dataset: Dataset, raw: pl.DataFrame) -> bool:
    """False where as many images as published are divided otherwise: lists that were swapped, or are of a benchmark."""
    parts = _count_parts(dataset, raw)
    is_whole = raw.height == sum(number for _, _, number in parts)
    return not is_whole or all(found == number for _, found, number in parts)


def _count_parts(dataset: Dataset, raw: pl.DataFrame) -> list[tuple[str, int, int]]:
    """Each official part that is here, with its number of images here and in the release."""
    found = dict(raw["official_split"].cast(pl.String).drop_nulls().value_counts().iter_rows())
    return [(part, found[part], number) for part, number in dataset.expected_parts.items() if part in found]


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
