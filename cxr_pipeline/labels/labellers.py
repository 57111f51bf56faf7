"""Who read the labels of an image, and whose are kept. What the labels mean does not live here."""

from dataclasses import replace

import polars as pl

from cxr_pipeline.labels.harmonize import LabelResult
from cxr_pipeline.labels.policy import LabelPolicy
from cxr_pipeline.pathologies import EVIDENCE, PATHOLOGIES


def keep_labellers(result: LabelResult, policy: LabelPolicy) -> LabelResult:
    """`result` without the labels that `policy.labelled_by` refuses: unknown and `unobserved`, their rows stay.

    An image of which the source does not say who read it keeps its labels.
    """
    if policy.labelled_by == "anyone":
        return result
    is_refused = (pl.col("labelled_by") != "physician").fill_null(value=False)
    nothing = pl.struct(pl.lit("unobserved").cast(pl.Enum(EVIDENCE)).alias(p) for p in PATHOLOGIES)
    emptied = result.table.with_columns(
        *(pl.when(~is_refused).then(p).alias(p) for p in PATHOLOGIES),
        pl.when(is_refused).then(nothing).otherwise("evidence").alias("evidence"),
        pl.when(~is_refused).then("reader_share").alias("reader_share"),
    )
    return replace(result, table=emptied)
