"""The cohort in numbers: what each source brings to each split, and how far prevalences are apart. No pictures here."""

import polars as pl

from cxr_pipeline.pathologies import NEGATIVE, PATHOLOGIES, POSITIVE, SPLITS
from cxr_pipeline.tables.split import SplitSummaryTable

ALL = "all"
_SIZES = ("images", "pictures", "patients")


def summarize_splits(cohort: pl.DataFrame) -> pl.DataFrame:
    """The SplitSummaryTable of a cohort: each source, and `all`, x split x class; empty sets have no rows."""
    pooled = cohort.with_columns(dataset=pl.lit(ALL))
    counts = pl.concat([_count(cohort), _count(pooled)])
    rows = pl.concat([_rows_of_class(counts, pathology) for pathology in PATHOLOGIES])
    overall = pl.col("positives").sum().over("dataset", "pathology") / pl.col("known").sum().over(
        "dataset", "pathology"
    )
    table = rows.with_columns(
        prevalence=pl.when(pl.col("known") > 0).then(pl.col("positives") / pl.col("known")),
    ).with_columns(
        deviation=pl.when(overall > 0).then(pl.col("prevalence") / overall - 1),
    )
    order = (pl.col("dataset") == ALL, "dataset", "split", "pathology")
    return SplitSummaryTable.cast(table.select(SplitSummaryTable.column_names())).sort(order)


def count_sizes(summary: pl.DataFrame) -> pl.DataFrame:
    """`dataset, split, images, pictures, patients`: one row per source and split."""
    return summary.select("dataset", "split", *_SIZES).unique(maintain_order=True)


def tabulate_positives(summary: pl.DataFrame) -> pl.DataFrame:
    """One row per source and split, one column per class: `positives / known`, null where nothing is known."""
    cell = pl.when(pl.col("known") > 0).then(pl.format("{} / {}", "positives", "known"))
    shown = summary.select("dataset", pl.col("split").cast(pl.String), "pathology", cell=cell)
    return shown.pivot(on="pathology", index=["dataset", "split"], values="cell", maintain_order=True)


def tabulate_deviations(summary: pl.DataFrame) -> pl.DataFrame:
    """One row per source and class with positives: its prevalence in each split, and the largest deviation of val and
    test from the source's own, as a share of it."""
    known = summary.filter(pl.col("deviation").is_not_null())
    held_out = pl.col("deviation").filter(pl.col("split") != "train").abs().max()
    in_split = [pl.col("prevalence").filter(pl.col("split") == split).first().round(4).alias(split) for split in SPLITS]
    return known.group_by("dataset", "pathology", maintain_order=True).agg(
        pl.col("positives").sum(), *in_split, largest_deviation=held_out.round(4)
    )


def _count(images: pl.DataFrame) -> pl.DataFrame:
    """One row per source and split, with `known` and `positives` of each class as columns of their own."""
    return images.group_by("dataset", "split").agg(
        pl.len().alias("images"),
        pl.col("weight").cast(pl.Float64).sum().alias("pictures"),
        pl.col("patient_id").n_unique().alias("patients"),
        *(pl.col(p).is_in([POSITIVE, NEGATIVE]).sum().alias(f"known {p}") for p in PATHOLOGIES),
        *((pl.col(p) == POSITIVE).sum().alias(f"positives {p}") for p in PATHOLOGIES),
    )


def _rows_of_class(counts: pl.DataFrame, pathology: str) -> pl.DataFrame:
    return counts.select(
        "dataset",
        "split",
        *_SIZES,
        pathology=pl.lit(pathology),
        known=pl.col(f"known {pathology}").cast(pl.Int64),
        positives=pl.col(f"positives {pathology}").cast(pl.Int64),
    )
