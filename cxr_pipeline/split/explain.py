"""Why one image is where it is. No patient but its own is named; other patients are counted."""

from dataclasses import dataclass, field
from typing import Any

import polars as pl

from cxr_pipeline.errors import SplitError
from cxr_pipeline.split.config import SplitConfig
from cxr_pipeline.split.official import OFFICIAL_PARTS, policy_of

_BECAUSE = {
    "official": "a published list decides for its group",
    "external": "a source of its group is held out as external",
    "balanced": "placed so that every class is as frequent in each split",
    "hash": "placed by the hash of the patient key",
    "group": "follows patients of its group who were placed before",
    "adopted": "taken over from a cohort that had no assignment table",
}


@dataclass(frozen=True)
class Explanation:
    """What decided for one image, in the order in which it decides."""

    image_id: str
    split: str
    reason: str
    facts: dict[str, str]  # name -> what a person reads
    copies: list[str] = field(default_factory=list)  # one line each
    moves: list[str] = field(default_factory=list)  # one line each


@dataclass(frozen=True)
class Evidence:
    """The tables of the lake that hold the reasons."""

    cohort: pl.DataFrame
    pairs: pl.DataFrame
    assignment: pl.DataFrame  # empty where the split is the hash's
    moves: pl.DataFrame


def explain_image(image_id: str, evidence: Evidence, config: SplitConfig) -> Explanation:
    """Raises SplitError when the image is not in the cohort; `why_absent` knows more."""
    found = evidence.cohort.filter(pl.col("image_id") == image_id)
    if found.is_empty():
        raise SplitError(f"{image_id} is not in the cohort of {evidence.cohort.height:,} images.")
    image = found.row(0, named=True)
    row = evidence.assignment.filter(pl.col("patient_id") == image["patient_id"])
    placed: dict[str, Any] = row.row(0, named=True) if row.height else {"how": "hash", "since": None}
    return Explanation(
        image_id=image_id,
        split=image["split"],
        reason=_BECAUSE[placed["how"]],
        facts={
            **_describe_source(image, config),
            **_describe_group(image, evidence.cohort),
            **_describe_row(placed),
        },
        copies=_describe_copies(image, evidence),
        moves=_describe_moves(image["patient_id"], evidence.moves),
    )


def why_absent(image_id: str, labels: pl.DataFrame, index: pl.DataFrame) -> str:
    """One sentence on an image that is not in the cohort, from its source's LabelTable and StoreIndex."""
    published = labels.filter(pl.col("image_id") == image_id)
    if published.is_empty():
        return f"{image_id} is not an image of its source: expected <dataset>/<name> as in labels/<dataset>."
    stored = index.filter(pl.col("image_id") == image_id)
    if stored.is_empty():
        view = published["view"].item()
        return f"{image_id} has no pixels in the store: its view is {view}, and only frontal images with a file are."
    quarantine = stored["quarantine"].item()
    if quarantine:
        return f"{image_id} is in quarantine: {quarantine}."
    return f"{image_id} is not in the cohort: none of its classes is known, or the cohort is older than the image."


def _describe_source(image: dict[str, Any], config: SplitConfig) -> dict[str, str]:
    part = image["official_split"]
    allowed = OFFICIAL_PARTS.get((image["dataset"], part or ""))
    says = f", which may be {' or '.join(allowed)}" if allowed else ", on which nothing is decided"
    return {
        "source": image["dataset"],
        "policy": policy_of(image["dataset"], config),
        "published part": f"{part}{says}" if part else "none",
    }


def _describe_group(image: dict[str, Any], cohort: pl.DataFrame) -> dict[str, str]:
    group = cohort.filter(pl.col("group") == image["group"])
    own = cohort.filter(pl.col("patient_id") == image["patient_id"])
    others = group["patient_id"].n_unique() - 1
    sources = ", ".join(sorted(set(group["dataset"])))
    return {
        "patient": f"{image['patient_id']}, {own.height} images",
        "group": f"{group.height} images of {sources}" + (f"; kept with {others} other patients" if others else ""),
    }


def _describe_row(placed: dict[str, Any]) -> dict[str, str]:
    if placed["since"] is None:
        return {"assignment": "hash, without memory"}
    return {"assignment": f"{placed['how']}, since generation {placed['since']}"}


def _describe_copies(image: dict[str, Any], evidence: Evidence) -> list[str]:
    """One line per copy in the cohort; the image id only where it is the same patient's."""
    if image["duplicate_group"] is None:
        return []
    same = (pl.col("duplicate_group") == image["duplicate_group"]) & (pl.col("image_id") != image["image_id"])
    copies = evidence.cohort.filter(same)
    lines = [
        f"{copy['image_id']} (same patient), {copy['split']}"
        if copy["patient_id"] == image["patient_id"]
        else f"an image of another patient of {copy['dataset']}, {copy['split']}"
        for copy in copies.iter_rows(named=True)
    ]
    return sorted(lines) or ["copies that are not in the cohort"]


def _describe_moves(patient_id: str, moves: pl.DataFrame) -> list[str]:
    own = moves.filter(pl.col("patient_id") == patient_id).sort("generation")
    return [
        f"{move['moved_from']} -> {move['moved_to']} in generation {move['generation']}: {_BECAUSE[move['reason']]}"
        for move in own.iter_rows(named=True)
    ]
