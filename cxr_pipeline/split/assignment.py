"""One split per group of patients: a hash that never changes, bounded by what the publishers decided.

Which patients form a group does not live here; today a group is one patient, later also near-duplicate images.
"""

from hashlib import blake2b

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

_STRICTNESS = {split: rank for rank, split in enumerate(SPLITS)}  # test > val > train: held-out wins


def assign_splits(images: pl.DataFrame, config: SplitConfig) -> pl.DataFrame:
    """`images` (`dataset, official_split, group`) with a column `split`, equal within each group.

    The hash of the group places it among the splits that the source's part allows. Where the images of one group
    disagree, the stricter split takes the whole group (test > val > train): no patient is in two splits, and no
    official test image ever trains. Rows keep their order; a group's split does not depend on the other groups.
    """
    placed = images.join(_group_positions(images, config.salt), on="group", how="left", maintain_order="left")
    strictest = pl.col("split").replace_strict(_STRICTNESS, return_dtype=pl.Int8).max().over("group")
    names = dict(enumerate(SPLITS))
    return (
        placed.with_columns(split=_own_split(config))
        .with_columns(split=strictest.replace_strict(names, return_dtype=pl.Enum(SPLITS)))
        .drop("position")
    )


def hash_position(group: str, salt: str) -> float:
    """Where a group lies in [0, 1): BLAKE2b of salt and name, the same on every machine and in every release."""
    digest = blake2b(f"{salt}:{group}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _group_positions(images: pl.DataFrame, salt: str) -> pl.DataFrame:
    groups = images["group"].unique().sort()
    return pl.DataFrame({"group": groups, "position": [hash_position(group, salt) for group in groups]})


def _own_split(config: SplitConfig) -> pl.Expr:
    """The split of each image by its own published part, before its group is considered."""
    external = pl.when(pl.col("dataset").is_in(config.external)).then(pl.lit("test"))
    official = [
        pl.when((pl.col("dataset") == dataset) & (pl.col("official_split") == part)).then(
            _placed_among(allowed, config)
        )
        for (dataset, part), allowed in OFFICIAL_PARTS.items()
    ]
    return pl.coalesce(external, *official, _placed_among(SPLITS, config))


def _placed_among(allowed: tuple[str, ...], config: SplitConfig) -> pl.Expr:
    """The split at the group's position when `allowed` share the unit interval in their usual proportions.

    Test lies first, then validation, then train, so that a patient keeps its split when only the fractions grow.
    """
    shares = {"test": config.test_fraction, "val": config.val_fraction}
    shares["train"] = 1 - config.test_fraction - config.val_fraction
    total = sum(shares[split] for split in allowed)
    choice: pl.Expr = pl.lit(allowed[0])
    end = 1.0
    for split in (split for split in ("train", "val", "test") if split in allowed):
        choice = pl.when(pl.col("position") < end).then(pl.lit(split)).otherwise(choice)
        end -= shares[split] / total
    return choice
