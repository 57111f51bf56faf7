"""The split of each patient: who has one keeps it, published lists hold, the rest is balanced or hashed.

Which patients form a group does not live here, nor where the assignment is kept.
"""

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import polars as pl

from cxr_pipeline.pathologies import NEGATIVE, PATHOLOGIES, POSITIVE, SPLITS
from cxr_pipeline.split.balance import place_balanced
from cxr_pipeline.split.config import SplitConfig
from cxr_pipeline.split.official import STRICTNESS, claims
from cxr_pipeline.tables.split import AssignmentTable, MoveTable

_RANK = pl.Int8  # of a split in SPLITS: the higher is the stricter


@dataclass(frozen=True)
class Placement:
    """Who is where, and who had to move. Patients who have left the sources keep their rows, for their return."""

    assignment: pl.DataFrame  # AssignmentTable, by patient
    moves: pl.DataFrame  # MoveTable: those of this time alone


def assign_patients(
    published: pl.DataFrame, usable: pl.DataFrame, known: pl.DataFrame, config: SplitConfig, *, generation: int
) -> Placement:
    """Places every patient of `usable`, the same split for all of a group.

    `published` (`patient_id, group, dataset, official_split`) is every published image, `usable` those of the cohort
    with their labels, `known` the AssignmentTable so far. The strictest of what is known of a group and of what
    published lists decide holds for all of it (test > val > train): a known patient moves only towards test, and only
    so. Other groups are placed together, per source: by `balance.place_balanced` to the shares of `config`, or by the
    hash where `config` says so and where no label of the group is known. New rows and moves carry `generation`.
    """
    members = published.select("patient_id", "group").unique("patient_id")
    groups = _describe_groups(published, usable, members, known, config)
    settled = groups.filter(pl.col("rank").is_not_null())
    open_groups = groups.filter(pl.col("rank").is_null(), pl.col("images") > 0)
    present = settled.filter(pl.col("decided").is_null(), pl.col("images") > 0)
    placed = pl.concat(
        [
            settled.select("group", "rank", "how"),
            *_place(open_groups, present, members, config),
        ]
    )
    used = usable.select(pl.col("patient_id").unique()).with_columns(is_used=True)
    patients = members.join(placed, on="group").join(used, on="patient_id", how="left")
    return _compare(patients, known, generation)


def hash_position(key: str, salt: str) -> float:
    """Where a patient lies in [0, 1): BLAKE2b of salt and key, the same on every machine and in every release."""
    digest = blake2b(f"{salt}:{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _describe_groups(
    published: pl.DataFrame, usable: pl.DataFrame, members: pl.DataFrame, known: pl.DataFrame, config: SplitConfig
) -> pl.DataFrame:
    """One row per group: `rank` and `how` where it is settled, `is_barred`, its source, and its counts of images."""
    remembered = (
        members.join(known, on="patient_id")
        .group_by("group")
        .agg(known=pl.col("split").to_physical().cast(_RANK).max())
    )
    counts = usable.group_by("group").agg(
        pl.col("dataset").min(),
        pl.len().alias("images"),
        pl.any_horizontal(pl.col(PATHOLOGIES).is_in([POSITIVE, NEGATIVE])).any().alias("is_labelled"),
        *(((pl.col(p) == POSITIVE).sum().cast(pl.Int64)).alias(p) for p in PATHOLOGIES),
    )
    is_followed = pl.col("decided").is_null() | (pl.col("decided") != pl.col("rank"))
    by_publisher = pl.when("is_external").then(pl.lit("external")).otherwise(pl.lit("official"))
    return (
        claims(published, config)
        .join(remembered, on="group", how="left")
        .join(counts, on="group", how="left")
        .with_columns(rank=pl.max_horizontal("known", "decided"))
        .with_columns(how=pl.when(is_followed).then(pl.lit("group")).otherwise(by_publisher))
        .sort("group")
    )


def _place(
    groups: pl.DataFrame, present: pl.DataFrame, members: pl.DataFrame, config: SplitConfig
) -> list[pl.DataFrame]:
    """`group, rank, how` of the groups that nothing settles; each source and pool of splits by itself."""
    is_balanced = pl.col("is_labelled") & (config.assignment == "balanced")
    frames = [_place_by_hash(groups.filter(~is_balanced), members, config)]
    for (dataset, is_barred), pool in groups.filter(is_balanced).group_by("dataset", "is_barred", maintain_order=True):
        rivals = present.filter(pl.col("dataset") == dataset, pl.col("is_barred") == is_barred)
        frames.append(_place_by_balance(pool, rivals, config, is_barred=bool(is_barred)))
    return frames


def _place_by_hash(groups: pl.DataFrame, members: pl.DataFrame, config: SplitConfig) -> pl.DataFrame:
    """The strictest of the places of its patients: a link between two patients can then move none towards train."""
    patients = members.join(groups.select("group", "is_barred"), on="group")
    positions = [hash_position(key, config.salt) for key in patients["patient_id"]]
    ranks = pl.when("is_barred").then(_rank_at(config, is_barred=True)).otherwise(_rank_at(config, is_barred=False))
    return (
        patients.with_columns(position=pl.Series(positions, dtype=pl.Float64))
        .group_by("group")
        .agg(rank=ranks.max())
        .select("group", "rank", how=pl.lit("hash"))
    )


def _place_by_balance(
    groups: pl.DataFrame, present: pl.DataFrame, config: SplitConfig, *, is_barred: bool
) -> pl.DataFrame:
    shares = _shares(config, is_barred=is_barred)
    kinds = [*PATHOLOGIES, "images"]
    held = np.zeros((len(shares), len(kinds)), dtype=np.int64)
    inside = present.filter(pl.col("rank") < len(shares))
    np.add.at(held, inside["rank"].to_numpy(), inside.select(kinds).to_numpy())
    order = np.array([hash_position(group, config.salt) for group in groups["group"]])
    placed = place_balanced(groups.select(kinds).to_numpy(), held, shares, order)
    return groups.select("group", rank=pl.Series(placed, dtype=_RANK), how=pl.lit("balanced"))


def _shares(config: SplitConfig, *, is_barred: bool) -> np.ndarray:
    """Of train, val and, unless it is barred, test."""
    shares = np.array([1 - config.val_fraction - config.test_fraction, config.val_fraction, config.test_fraction])
    allowed = shares[: STRICTNESS["test"]] if is_barred else shares
    return allowed / allowed.sum()


def _rank_at(config: SplitConfig, *, is_barred: bool) -> pl.Expr:
    """The split at a `position`: test lies first, then val, then train, so that a patient keeps its split when only
    the fractions grow."""
    shares = _shares(config, is_barred=is_barred)
    rank, end = pl.lit(0, _RANK), 1.0
    for split in range(len(shares)):
        rank = pl.when(pl.col("position") < end).then(pl.lit(split, _RANK)).otherwise(rank)
        end -= shares[split]
    return rank


def _compare(patients: pl.DataFrame, known: pl.DataFrame, generation: int) -> Placement:
    """What is now against what was: new rows, changed rows with their moves, and all others as they were."""
    names = dict(enumerate(SPLITS))
    was = known.select("patient_id", "since", was="split", was_how="how")
    now = patients.join(was, on="patient_id", how="left").with_columns(
        split=pl.col("rank").replace_strict(names, return_dtype=pl.Enum(SPLITS))
    )
    moved = now.filter(pl.col("split").cast(pl.String) != pl.col("was").cast(pl.String))
    arrived = now.filter(pl.col("since").is_null() & pl.col("is_used"))
    changed = pl.concat([moved, arrived.with_columns(since=pl.lit(generation, pl.Int32))])
    kept = known.join(changed, on="patient_id", how="anti")
    assignment = AssignmentTable.cast(changed.select(AssignmentTable.column_names()))
    moves = moved.select("patient_id", generation=pl.lit(generation), moved_from="was", moved_to="split", reason="how")
    return Placement(pl.concat([kept, assignment]).sort("patient_id"), MoveTable.cast(moves).sort("patient_id"))
