"""The merged cohort: every usable frontal image of every source, one row each, with its split."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from cxr_pipeline.errors import TableError
from cxr_pipeline.pathologies import PATHOLOGIES, POSITIVE
from cxr_pipeline.split.assignment import assign_patients
from cxr_pipeline.split.config import SplitConfig
from cxr_pipeline.split.groups import group_duplicates, group_patients
from cxr_pipeline.split.history import Memory
from cxr_pipeline.tables.raw import FRONTAL_VIEWS
from cxr_pipeline.tables.split import CohortTable

_LINKS = ["image_id", "patient_id", "study_id", "dataset", "official_split"]


@dataclass(frozen=True)
class SplitCohort:
    """A cohort and what has to be remembered of it."""

    table: pl.DataFrame  # CohortTable
    memory: Memory
    moved: pl.DataFrame  # MoveTable: those of this time
    left_out: pl.DataFrame  # of sources with labelled images that have no pixels, see `_count_without_pixels`
    unlabelled: pl.DataFrame  # `dataset, stored, unlabelled`: sources with stored images that nobody labelled

    def count_placed(self) -> pl.DataFrame:
        """`dataset, how, patients`: what decided for the patients of the cohort."""
        patients = self.table.select("dataset", "patient_id").unique()
        decided = patients.join(self.memory.assignment.select("patient_id", "how"), on="patient_id")
        return decided.group_by("dataset", pl.col("how").cast(pl.String)).agg(patients=pl.len()).sort("dataset", "how")


def build_cohort(
    labels: Mapping[str, pl.DataFrame],
    indexes: Mapping[str, pl.DataFrame],
    config: SplitConfig,
    *,
    pairs: pl.DataFrame,
    memory: Memory,
) -> SplitCohort:
    """All sources merged: the label rows whose image is in the source's store, each patient in one split.

    `labels` and `indexes` map a source's name to its `LabelTable` and `StoreIndex`; `pairs` (`image_a, image_b`) show
    the same picture; `memory` is what was decided before. Left out are quarantined images, images without pixels, and
    images of which no class is known: nothing can be learnt from them, nor measured. They still link their patients,
    and their published part still holds for these. Raises TableError when nothing is left.
    """
    usable = pl.concat([_usable_images(labels[name], indexes[name]) for name in labels])
    if usable.is_empty():
        raise TableError(
            "No image can be used: every source is empty, without labels or pixel files, or wholly in quarantine. "
            "`cxr sources` shows what was found where."
        )
    published = pl.concat([table.select(_LINKS) for table in labels.values()])
    groups = group_patients(published, pairs)
    grouped = usable.join(groups, on="patient_id", maintain_order="left")
    placement = assign_patients(
        published.join(groups, on="patient_id"),
        grouped,
        memory.assignment,
        config,
        generation=memory.generation + 1,
    )
    table = _with_copies(grouped, pairs).join(
        placement.assignment.select("patient_id", "split"), on="patient_id", maintain_order="left"
    )
    return SplitCohort(
        table.select(CohortTable.column_names()).sort("image_id"),
        memory.and_then(placement),
        placement.moves,
        _count_without_pixels(labels, indexes),
        _count_unlabelled(labels, indexes),
    )


def count_moves(moves: pl.DataFrame) -> pl.DataFrame:
    """`dataset, generation, moved_from, moved_to, reason, patients` of a MoveTable: a page names no patient."""
    by = ["dataset", "generation", "moved_from", "moved_to", "reason"]
    source = pl.col("patient_id").str.split("/").list.first()
    return moves.with_columns(dataset=source).group_by(by).agg(patients=pl.len()).sort(by)


def summarize_cohort(cohort: pl.DataFrame) -> pl.DataFrame:
    """Images, patients and positives of each class per source and split, for a person to read."""
    sizes = [pl.len().alias("images"), pl.col("patient_id").n_unique().alias("patients")]
    positives = [(pl.col(p) == POSITIVE).sum().alias(p) for p in PATHOLOGIES]
    return cohort.group_by("dataset", "split").agg(sizes + positives).sort("dataset", "split")


def _usable_images(labels: pl.DataFrame, index: pl.DataFrame) -> pl.DataFrame:
    stored = index.filter(pl.col("quarantine").is_null()).select("image_id", "shard", "row")
    is_labelled = pl.any_horizontal(pl.col(PATHOLOGIES).is_not_null())
    return labels.filter(is_labelled).join(stored, on="image_id", how="inner", maintain_order="left")


def _count_without_pixels(labels: Mapping[str, pl.DataFrame], indexes: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """`dataset, labelled, not_frontal, unprepared`, images that a store knows neither as pixels nor as quarantined.

    No store takes the `not_frontal` ones, laterals and those of unknown view; `unprepared` are frontal.
    """
    is_frontal = pl.col("view").is_in(FRONTAL_VIEWS)
    counts = []
    for name, table in labels.items():
        absent = table.join(indexes[name], on="image_id", how="anti")
        frontal = absent.filter(is_frontal).height
        counts.append((name, table.height, absent.height - frontal, frontal))
    schema = {"dataset": pl.String, "labelled": pl.Int64, "not_frontal": pl.Int64, "unprepared": pl.Int64}
    return pl.DataFrame(counts, schema=schema, orient="row").filter(pl.col("not_frontal") + pl.col("unprepared") > 0)


def _count_unlabelled(labels: Mapping[str, pl.DataFrame], indexes: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Stored images that have no row in the labels of their source, as where these were never made."""
    counts = [
        (name, indexes[name].height, indexes[name].join(table, on="image_id", how="anti").height)
        for name, table in labels.items()
    ]
    schema = {"dataset": pl.String, "stored": pl.Int64, "unlabelled": pl.Int64}
    return pl.DataFrame(counts, schema=schema, orient="row").filter(pl.col("unlabelled") > 0)


def _with_copies(images: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """With `duplicate_group` and `weight`: a picture that stands three times in the cohort counts a third each."""
    marked = images.join(group_duplicates(pairs), on="image_id", how="left", maintain_order="left")
    copies = pl.when(pl.col("duplicate_group").is_null()).then(1).otherwise(pl.len().over("duplicate_group"))
    return marked.with_columns(weight=(1 / copies).cast(pl.Float32))
