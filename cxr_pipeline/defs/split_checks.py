"""Blocking checks of `split/cohort`: training does not start on a leak. What they count is in `split.audit`."""

from collections.abc import Callable

import dagster as dg
import polars as pl

from cxr_pipeline.datasets.quality import Verdict
from cxr_pipeline.defs.resources import Installation
from cxr_pipeline.pipeline.split import read_duplicates
from cxr_pipeline.split.audit import (
    judge_classes,
    judge_duplicates,
    judge_images,
    judge_official_parts,
    judge_official_test,
    judge_patients,
)

Judge = Callable[[pl.DataFrame, pl.DataFrame], Verdict]

BLOCKING: dict[str, tuple[str, Judge]] = {
    "patients": ("No patient and no study is in two splits", lambda cohort, _: judge_patients(cohort)),
    "duplicates": ("No two copies of a picture are in two splits", judge_duplicates),
    "official_test": ("No published test image is outside test", lambda cohort, _: judge_official_test(cohort)),
    "images": ("No image stands twice", lambda cohort, _: judge_images(cohort)),
}
WARNING: dict[str, tuple[str, Judge]] = {
    "official_parts": (
        "The published part of every image is known; where not, its official test images may be trained on",
        lambda cohort, _: judge_official_parts(cohort),
    ),
    "classes": (
        "Every class has positives and negatives in val and test; where not, its metrics are n/a",
        lambda cohort, _: judge_classes(cohort),
    ),
}


def split_check(name: str, description: str, judge: Judge, *, blocking: bool) -> dg.AssetChecksDefinition:
    """The check `name` of the cohort as it lies in the lake; one that does not block warns."""

    @dg.asset_check(asset=["split", "cohort"], name=name, blocking=blocking, description=description)
    def check(installation: Installation) -> dg.AssetCheckResult:
        cohort = pl.read_parquet(installation.lake.table("split", "cohort"))
        verdict = judge(cohort, read_duplicates(installation.lake))
        return dg.AssetCheckResult(
            passed=verdict.passed,
            severity=dg.AssetCheckSeverity.ERROR if blocking else dg.AssetCheckSeverity.WARN,
            metadata=dict(verdict.facts),
        )

    return check


checks = [
    *(split_check(name, text, judge, blocking=True) for name, (text, judge) in BLOCKING.items()),
    *(split_check(name, text, judge, blocking=False) for name, (text, judge) in WARNING.items()),
]
