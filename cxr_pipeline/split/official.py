"""What the publishers decided, and what a user decides instead: the claim of each image on a split."""

import polars as pl

from cxr_pipeline.pathologies import SPLITS
from cxr_pipeline.split.config import SplitConfig

# The splits that an image may get, by its source's published part. What is not listed may get any of the three.
# NIH publishes a test list and leaves the validation cut to the user. CheXpert publishes 200 validation patients; its
# 500 test patients come separately (CheXlocalize), so most users need a test part cut from the training patients.
# VinDr publishes a test set and no validation set; MIMIC and ReXGradient publish all three; OpenI and PadChest none.
OFFICIAL_PARTS: dict[tuple[str, str], tuple[str, ...]] = {
    ("nih", "train_val"): ("train", "val"),
    ("nih", "test"): ("test",),
    ("chexpert", "val"): ("val",),
    ("chexpert", "test"): ("test",),
    ("vindr", "train"): ("train", "val"),
    ("vindr", "test"): ("test",),
    **{(name, part): (part,) for name in ("mimic", "rexgradient") for part in SPLITS},
}

STRICTNESS = {split: rank for rank, split in enumerate(SPLITS)}  # test > val > train: held-out wins


def claims(images: pl.DataFrame, config: SplitConfig) -> pl.DataFrame:
    """`group, decided, is_external, is_barred`: one row per group of `images` (`group, dataset, official_split`).

    `decided` is the strictest split that a published list or `config.external` gives any image of the group, as its
    rank in SPLITS; null where nothing decides. `is_barred`: a published list keeps the group out of test, so that it
    is placed in train or val.
    """
    parts = images.select("dataset", "official_split").unique()
    return (
        images.join(_claims_of_parts(parts, config), on=["dataset", "official_split"], nulls_equal=True)
        .group_by("group")
        .agg(pl.col("decided").max(), pl.col("is_external").any(), pl.col("is_barred").any())
    )


def policy_of(dataset: str, config: SplitConfig) -> str:
    """`official`, `hash` or `external`: what decides for a source."""
    if dataset in config.external:
        return "external"
    return "hash" if dataset in config.hashed else "official"


def _claims_of_parts(parts: pl.DataFrame, config: SplitConfig) -> pl.DataFrame:
    """The claim of each pair `dataset, official_split`: a dozen rows."""
    rows = [_claim(dataset, part, config) for dataset, part in parts.rows()]
    schema = {"decided": pl.Int8, "is_external": pl.Boolean, "is_barred": pl.Boolean}
    return parts.hstack(pl.DataFrame(rows, schema=schema, orient="row"))


def _claim(dataset: str, part: str | None, config: SplitConfig) -> tuple[int | None, bool, bool]:
    policy = policy_of(dataset, config)
    if policy == "external":
        return STRICTNESS["test"], True, False
    allowed = OFFICIAL_PARTS.get((dataset, part or ""), SPLITS)
    # A published test image is test whatever the policy: others have tuned and compared on the rest.
    if part == "test":
        return STRICTNESS["test"], False, False
    if policy == "hash":
        return None, False, False
    decided = STRICTNESS[allowed[0]] if len(allowed) == 1 else None
    return decided, False, decided is None and "test" not in allowed
