"""What several statements on one study amount to. How statements come about does not live here."""

import polars as pl

from cxr_pipeline.pathologies import NEGATIVE, PATHOLOGIES, POSITIVE, UNCERTAIN

STRENGTH = {NEGATIVE: 0, UNCERTAIN: 1, POSITIVE: 2}  # of what is said twice the stronger counts, as in CheXpert

_STATE = {strong: value for value, strong in STRENGTH.items()}


def strongest_states(rows: pl.DataFrame, *, by: str = "study_id") -> pl.DataFrame:
    """`<by> pathology state`: the strongest state of each class that `rows` (the same columns) say anything of."""
    strength = pl.col("state").replace_strict(STRENGTH, return_dtype=pl.Int8)
    spoken = rows.drop_nulls("state").group_by(by, "pathology").agg(strength=strength.max())
    return spoken.select(
        by, pl.col("pathology").cast(pl.String), state=pl.col("strength").replace_strict(_STATE, return_dtype=pl.Int8)
    )


def spread_states(rows: pl.DataFrame, studies: pl.DataFrame, *, by: str = "study_id") -> pl.DataFrame:
    """The rows of `studies`, in their order, with one Int8 column per class: its strongest state, null for none."""
    wide = strongest_states(rows, by=by).lazy()
    cells = wide.pivot("pathology", on_columns=PATHOLOGIES, index=by, values="state", aggregate_function="first")
    return studies.join(cells.collect(), on=by, how="left", maintain_order="left")
