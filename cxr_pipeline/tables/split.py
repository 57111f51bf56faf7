"""Tables of `split/`: proven duplicates, the cohort, who was placed where, and what a split holds."""

import dataframely as dy
import polars as pl

from cxr_pipeline.pathologies import PATHOLOGIES, SPLITS
from cxr_pipeline.tables.labels import LabelTable

PLACED_BY = ("official", "external", "balanced", "hash", "group", "adopted")


class DuplicateTable(dy.Schema):
    """One row per pair of stored images that were proven to show the same radiograph; ids are in order."""

    image_a = dy.String(primary_key=True, min_length=1, description="The smaller id")
    image_b = dy.String(primary_key=True, min_length=1, description="The greater id")
    distance = dy.Int16(nullable=False, min=0, max=256, description="Bits in which the difference hashes differ")
    kind = dy.Enum(
        ["exact", "near"], nullable=False, description="exact: the same file or the same stored pixels; near: a copy"
    )
    pixel_difference = dy.Float32(
        nullable=True, min=0.0, description="Share of the pixels' variance that gain, offset and a shift do not explain"
    )
    same_patient = dy.Bool(nullable=False, description="Whether both have the same patient id")
    labels_disagree = dy.Int8(
        nullable=False, min=0, max=len(PATHOLOGIES), description="Classes where one image says 1 and the other 0"
    )
    crosses = dy.String(
        nullable=True, description="The two published parts where they differ: `nih:test|nih:train_val`; else null"
    )

    @dy.rule()
    def ids_in_order(cls) -> pl.Expr:
        return pl.col("image_a") < pl.col("image_b")


class CohortTable(LabelTable):
    """All sources merged: one row per usable image, with its split and where its pixels are."""

    split = dy.Enum(SPLITS, nullable=False, description="train, val or test; one per group")
    group = dy.String(nullable=False, min_length=1, description="Smallest patient key among patients kept together")
    duplicate_group = dy.String(
        nullable=True, description="Smallest image id among the copies of this picture; null when it has none"
    )
    weight = dy.Float32(
        nullable=False,
        min=0.0,
        max=1.0,
        description="1 / images of this cohort that show the same picture: copies together count as one",
    )
    shard = dy.String(nullable=False, description="Shard file within `images/<dataset>`")
    row = dy.Int32(nullable=False, min=0, description="Row within the shard")

    @dy.rule()
    def one_split_per_patient(cls) -> pl.Expr:
        return (pl.col("split").n_unique() == 1).over("patient_id")

    @dy.rule()
    def one_split_per_group(cls) -> pl.Expr:
        return (pl.col("split").n_unique() == 1).over("group")

    @dy.rule()
    def one_split_per_duplicate_group(cls) -> pl.Expr:
        copies = pl.col("split").n_unique().over("duplicate_group")
        return pl.col("duplicate_group").is_null() | (copies == 1)

    @dy.rule()
    def official_test_stays_test(cls) -> pl.Expr:
        return (pl.col("official_split").fill_null("train") != "test") | (pl.col("split") == "test")


class AssignmentTable(dy.Schema):
    """The memory of the split: one row per patient ever placed. It decides for known patients; back it up."""

    patient_id = dy.String(primary_key=True, min_length=1, description="As in the image table")
    split = dy.Enum(SPLITS, nullable=False, description="train, val or test")
    how = dy.Enum(
        PLACED_BY,
        nullable=False,
        description="official: by a published list; external: source held out; balanced, hash: placed here; group: "
        "follows patients it is linked to; adopted: from a cohort that had no such table",
    )
    since = dy.Int32(nullable=False, min=0, description="Generation of `split/history.json` that placed it; 0: adopted")


class MoveTable(dy.Schema):
    """One row per patient that had to change its split: a stricter one won (test > val > train)."""

    patient_id = dy.String(primary_key=True, min_length=1, description="As in the image table")
    generation = dy.Int32(primary_key=True, min=1, description="Generation of `split/history.json` that moved it")
    moved_from = dy.Enum(SPLITS, nullable=False, description="Its split before")
    moved_to = dy.Enum(SPLITS, nullable=False, description="Its split since")
    reason = dy.Enum(
        PLACED_BY,
        nullable=False,
        description="official, external: a list or a held-out source now says so; group: linked to a patient there",
    )

    @dy.rule()
    def moves_are_stricter(cls) -> pl.Expr:
        return pl.col("moved_to").to_physical() > pl.col("moved_from").to_physical()


class SplitSummaryTable(dy.Schema):
    """One row per source, split and class: what the cohort holds, for a person to look at."""

    dataset = dy.String(primary_key=True, description="Name of the source, or `all`")
    split = dy.Enum(SPLITS, primary_key=True, description="Which split")
    pathology = dy.Enum(PATHOLOGIES, primary_key=True, description="Which class")
    images = dy.Int64(nullable=False, min=0, description="Images of the source in the split, labelled or not")
    pictures = dy.Float64(nullable=False, min=0.0, description="The same with copies counted once: the sum of weights")
    patients = dy.Int64(nullable=False, min=0, description="Their patients")
    known = dy.Int64(nullable=False, min=0, description="Images with 1 or 0 for the class")
    positives = dy.Int64(nullable=False, min=0, description="Of these, positive")
    prevalence = dy.Float64(nullable=True, min=0.0, max=1.0, description="positives / known; null is n/a")
    deviation = dy.Float64(
        nullable=True, description="prevalence / that of the source in all splits - 1; null without positives"
    )
