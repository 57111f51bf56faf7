"""Checks of the image stores: how much of a source is in quarantine."""

import dagster as dg

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.defs.failures import told
from cxr_pipeline.defs.resources import Installation
from cxr_pipeline.defs.tables import count_table, markdown_table
from cxr_pipeline.images.prepare.quarantine import QuarantineCount
from cxr_pipeline.pipeline.images import count_quarantine


def quarantine_check(dataset: Dataset) -> dg.AssetChecksDefinition:
    """A few unusable files are a warning; a good part of a source stops what would be made from the rest."""

    @dg.asset_check(
        asset=["images", dataset.name],
        name="quarantine",
        blocking=True,
        description="Few image files are in quarantine: a warning above `CXR_QUARANTINE_WARN_SHARE`, an error above "
        "`CXR_QUARANTINE_FAIL_SHARE`. Images without a file are counted apart and fail nothing here",
    )
    @told
    def check(installation: Installation) -> dg.AssetCheckResult:
        return judge_quarantine(
            count_quarantine(installation.lake, dataset),
            warn_share=installation.quarantine_warn_share,
            fail_share=installation.quarantine_fail_share,
        )

    return check


def judge_quarantine(count: QuarantineCount, *, warn_share: float, fail_share: float) -> dg.AssetCheckResult:
    """Passes up to `warn_share` of the files that were there, and is of severity ERROR beyond `fail_share`."""
    is_error, passed = count.share > fail_share, count.share <= min(warn_share, fail_share)
    return dg.AssetCheckResult(
        passed=passed,
        severity=dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
        description=None if passed else _remedy(count, warn_share=warn_share, fail_share=fail_share),
        metadata={
            "files": count.files,
            "quarantined": count.quarantined,
            "quarantined_percent": round(100 * count.share, 3),
            "images_without_a_file": count.missing,
            "warning_above_percent": round(100 * warn_share, 3),
            "error_above_percent": round(100 * fail_share, 3),
            "reasons": markdown_table(count_table("reason", count.reasons)),
        },
    )


def _remedy(count: QuarantineCount, *, warn_share: float, fail_share: float) -> str:
    return (
        f"{count.quarantined:,} of {count.files:,} image files ({count.share:.2%}) are in quarantine; a warning above "
        f"{warn_share:.2%} (CXR_QUARANTINE_WARN_SHARE), an error above {fail_share:.2%} (CXR_QUARANTINE_FAIL_SHARE). "
        "`cxr images doctor FOLDER` names the files and what to do with each. Mend or fetch them, then materialize "
        "this asset again: only they are decoded."
    )


checks = [quarantine_check(dataset) for dataset in DATASETS.values()]
