"""Blocking checks of `split/cohort`: training does not start on a leak. What they count is in `split.audit`."""

from collections.abc import Callable
from dataclasses import dataclass

import dagster as dg
import polars as pl

from cxr_pipeline.datasets.quality import Verdict
from cxr_pipeline.defs.failures import told
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


@dataclass(frozen=True)
class Rule:
    """What a cohort has to keep, and what a person does where it does not."""

    text: str
    judge: Judge
    remedy: str
    blocks: bool = True


_AGAIN = "Materialize split/cohort again"
_OF_US = "If it stays, the split has a fault: keep the lake, and report it"
RULES: dict[str, Rule] = {
    "patients": Rule(
        "No patient and no study is in two splits",
        lambda cohort, _: judge_patients(cohort),
        f"{_AGAIN}: it puts each patient in one split. {_OF_US}.",
    ),
    "duplicates": Rule(
        "No two copies of a picture are in two splits",
        judge_duplicates,
        f"Materialize split/duplicates, then split/cohort: copies were found after the cohort was made. {_OF_US}.",
    ),
    "official_test": Rule(
        "No published test image is outside test",
        lambda cohort, _: judge_official_test(cohort),
        f"{_AGAIN}: published test images move to test; train again after it, since the old checkpoint saw them.",
    ),
    "images": Rule(
        "No image stands twice",
        lambda cohort, _: judge_images(cohort),
        f"{_AGAIN}, after the labels of the source whose images stand twice. {_OF_US}.",
    ),
    "official_parts": Rule(
        "The published part of every image is known; where not, its official test images may be trained on",
        lambda cohort, _: judge_official_parts(cohort),
        "Put the published lists beside the metadata of these sources and materialize raw, labels and split again, or "
        "make them wholly test with `external` in the launchpad of split/cohort.",
        blocks=False,
    ),
    "classes": Rule(
        "Every class has positives and negatives in val and test; where not, its metrics are n/a",
        lambda cohort, _: judge_classes(cohort),
        "Add a source that labels these classes, or larger shares of val and test for arriving patients.",
        blocks=False,
    ),
}


def split_check(name: str, rule: Rule) -> dg.AssetChecksDefinition:
    """The check `name` of the cohort as it lies in the lake; one that does not block warns."""

    @dg.asset_check(asset=["split", "cohort"], name=name, blocking=rule.blocks, description=rule.text)
    @told
    def check(installation: Installation) -> dg.AssetCheckResult:
        cohort = pl.read_parquet(installation.lake.table("split", "cohort"))
        verdict = rule.judge(cohort, read_duplicates(installation.lake))
        return dg.AssetCheckResult(
            passed=verdict.passed,
            severity=dg.AssetCheckSeverity.ERROR if rule.blocks else dg.AssetCheckSeverity.WARN,
            description=None if verdict.passed else rule.remedy,
            metadata=dict(verdict.facts),
        )

    return check


checks = [split_check(name, rule) for name, rule in RULES.items()]
