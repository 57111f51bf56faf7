"""How well report labels agree with an expert's: precision, recall and F1 per class, with intervals.

Positive against the rest, as NegBio and CheXpert are scored. Where the expert's label is null the cell is left out.
"""

import numpy as np
import polars as pl

from cxr_pipeline.errors import TableError
from cxr_pipeline.pathologies import PATHOLOGIES, POSITIVE

DRAWS = 1_000
_LEVEL = (2.5, 97.5)  # percentiles
_COUNTS = ("hit", "false", "missed")


def score_states(
    states: pl.DataFrame, gold: pl.DataFrame, *, generator: np.random.Generator, draws: int = DRAWS
) -> pl.DataFrame:
    """`pathology support precision recall f1` and `<measure>_low`, `<measure>_high`: 14 classes, `micro`, `macro`.

    `states` and `gold` have `study_id` and the 14 classes; every study of `gold` must be in `states`. Support is the
    number of positive gold cells. The 95 % intervals are percentiles of a bootstrap over studies. `macro` is the mean
    over the classes that gold has at all; a measure is null where it is undefined (nothing predicted, no support).
    """
    counts = _count(states, gold)
    weights = generator.multinomial(counts.shape[0], np.full(counts.shape[0], 1 / counts.shape[0]), size=draws)
    drawn = (weights @ counts.reshape(counts.shape[0], -1)).reshape(draws, *counts.shape[1:])
    totals = counts.sum(axis=0)
    low, high = _percentiles(_measures(drawn, totals))
    return _as_table(totals, _measures(totals[None], totals)[0], low, high)


def flagged_share(states: pl.DataFrame, study_ids: pl.Series) -> float:
    """Share of the studies `study_ids` with a positive in any class: false alarms, where experts call them normal."""
    chosen = states.filter(pl.col("study_id").is_in(study_ids.implode()))
    return chosen.select(pl.any_horizontal(pl.col(PATHOLOGIES) == POSITIVE).fill_null(value=False).mean()).item()


def _count(states: pl.DataFrame, gold: pl.DataFrame) -> np.ndarray:
    """studies x 3 x classes: hits, false positives, misses (float64)."""
    paired = gold.select("study_id", *PATHOLOGIES).join(states, on="study_id", suffix="_said", maintain_order="left")
    if paired.height != gold.height or not gold.height:
        raise TableError(
            f"{paired.height} of {gold.height} studies with a gold label have a report label. Expected each, once: "
            "label the reports of all of them first."
        )
    says = paired.select(pl.col(f"{name}_said").eq_missing(POSITIVE) for name in PATHOLOGIES).to_numpy()
    is_known = paired.select(pl.col(name).is_not_null() for name in PATHOLOGIES).to_numpy()
    holds = paired.select(pl.col(name).eq_missing(POSITIVE) for name in PATHOLOGIES).to_numpy()
    return np.stack([says & holds, says & ~holds & is_known, ~says & holds], axis=1).astype(float)


def _measures(counts: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """... x 3 x classes of counts -> ... x 3 (precision, recall, F1) x classes, micro, macro; NaN where undefined."""
    pooled = np.concatenate([counts, counts.sum(axis=-1, keepdims=True)], axis=-1)
    hit, false, missed = (pooled[..., row, :] for row in range(len(_COUNTS)))
    pairs = [(hit, hit + false), (hit, hit + missed), (2 * hit, 2 * hit + false + missed)]
    values = np.stack([np.divide(a, b, out=np.full_like(a, np.nan), where=b > 0) for a, b in pairs], axis=-2)
    has_support = (totals[0] + totals[2]) > 0
    macro = _mean_of_known(values[..., :-1][..., has_support])
    return np.concatenate([values, macro[..., None]], axis=-1)


def _mean_of_known(values: np.ndarray) -> np.ndarray:
    known = ~np.isnan(values)
    count = known.sum(axis=-1).astype(float)
    total = np.where(known, values, 0).sum(axis=-1)
    return np.divide(total, count, out=np.full_like(count, np.nan), where=count > 0)


def _percentiles(drawn: np.ndarray) -> np.ndarray:
    """draws x ... -> 2 x ...; NaN where every draw is undefined."""
    is_undefined = np.isnan(drawn).all(axis=0)
    bounds = np.nanpercentile(np.where(is_undefined, 0, drawn), _LEVEL, axis=0)
    return np.where(is_undefined, np.nan, bounds)


def _as_table(totals: np.ndarray, values: np.ndarray, low: np.ndarray, high: np.ndarray) -> pl.DataFrame:
    support = totals[0] + totals[2]
    columns = {
        f"{name}{suffix}": pl.Series(table[row]).fill_nan(None)
        for row, name in enumerate(("precision", "recall", "f1"))
        for suffix, table in (("", values), ("_low", low), ("_high", high))
    }
    names = [*PATHOLOGIES, "micro", "macro"]
    return pl.DataFrame({"pathology": names, "support": [*support, support.sum(), support.sum()], **columns}).cast(
        {"support": pl.Int64}
    )
