"""Where two labelers of the same reports agree, per class. Who they are and what their silence means is not said here.

Positive against the rest, as NegBio and CheXpert are scored; kappa after Cohen 1960,
https://doi.org/10.1177/001316446002000104.
"""

import polars as pl

from cxr_pipeline.pathologies import NEGATIVE, PATHOLOGIES, POSITIVE

COUNTS = ("both_positive", "ours_only", "theirs_only", "both_negative")


def compare_states(ours: pl.DataFrame, theirs: pl.DataFrame) -> pl.DataFrame:
    """`pathology both_positive ours_only theirs_only both_negative n kappa`: one row per class, in their order.

    Both have `study_id`, each once, and the 14 classes; the studies that are in both are compared. A cell that is
    null on either side is left out of every count; 0 and -1 are not positive. Kappa is null where it is undefined:
    nothing to compare, or one value everywhere.
    """
    paired = ours.join(theirs.select("study_id", *PATHOLOGIES), on="study_id", suffix="_theirs")
    counts = pl.concat([paired.select(_count(name)) for name in PATHOLOGIES])
    return counts.select(
        pl.Series("pathology", PATHOLOGIES), *COUNTS, n=pl.sum_horizontal(COUNTS), kappa=kappa_of(*map(pl.col, COUNTS))
    )


def kappa_of(both: pl.Expr, ours: pl.Expr, theirs: pl.Expr, neither: pl.Expr) -> pl.Expr:
    """Cohen's kappa of a table of two by two: agreement beyond chance, 1 at most; null where it is undefined."""
    beyond_chance = 2 * (both * neither - ours * theirs)
    most = (both + ours) * (ours + neither) + (both + theirs) * (theirs + neither)
    return pl.when(most > 0).then(beyond_chance / most)


def pooled_kappa(agreement: pl.DataFrame) -> float | None:
    """Kappa over the cells of all classes together."""
    return agreement.select(kappa_of(*(pl.col(name).sum() for name in COUNTS))).item()


def count_silence(states: pl.DataFrame) -> pl.DataFrame:
    """`states` with 0 for null: of two labelers who read a report, one that does not name a finding does not see it."""
    return states.with_columns(pl.col(PATHOLOGIES).fill_null(NEGATIVE))


def _count(name: str) -> list[pl.Expr]:
    known = pl.col(name).is_not_null() & pl.col(f"{name}_theirs").is_not_null()
    ours, theirs = pl.col(name) == POSITIVE, pl.col(f"{name}_theirs") == POSITIVE
    cells = (ours & theirs, ours & ~theirs, ~ours & theirs, ~ours & ~theirs)
    return [(known & cell).sum().cast(pl.Int64).alias(count) for count, cell in zip(COUNTS, cells, strict=True)]
