"""Every number of the evaluation with its patient-level bootstrap interval. Curves and files do not live here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from cxr_pipeline.evaluation.scored import ScoredImages, known_labels
from cxr_pipeline.pathologies import PATHOLOGIES, POSITIVE

METRICS = ("auroc", "average_precision", "f1", "precision", "recall", "hamming_accuracy", "brier")
ALL, MACRO = "all", "macro"
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("split", "source", "subgroup", "pathology", "metric")),
        *((name, pa.float64()) for name in ("value", "low", "high")),
        *((name, pa.int64()) for name in ("n", "positives")),
    ]
)


def metric_rows(
    scored: ScoredImages, thresholds: Mapping[str, float | None], *, samples: int = 1000, seed: int = 0
) -> pa.Table:
    """One row per split x source x class x metric in the columns of `tables.MetricTable`.

    Sources are each dataset and `all`. Unknown (NaN) and uncertain (-1) labels are left out. A positive decision is
    `probability >= threshold`, with the thresholds that the checkpoint chose on validation; `hamming_accuracy` of a
    class is the share of right decisions among its known labels. Its macro mean is that of the classes, and the Hamming
    accuracy of the label matrix only where all of them have equally many known labels.

    n/a (null) is: every metric of a class that lacks positives or lacks negatives in that set, Brier and accuracy
    included, so that all macro means speak of the same classes; f1, precision, recall and hamming_accuracy of a class
    without a threshold; precision where nothing was predicted positive. `n` and `positives` are counted all the same.
    `macro` is the unweighted mean over the classes with a value; its `n` counts the images with any known label, its
    `positives` sum over the classes.

    `low` and `high` are the 2.5th and 97.5th percentiles over `samples` bootstrap samples that draw the patients of
    the set with replacement, all images of a patient together (Field & Welsh 2007, JRSS B 69:369-390): they are
    correlated, and drawing images would make intervals too narrow. In a sample in which a class loses its positives
    or its negatives it has no value: such samples are left out of its percentiles, and it of their macro mean.
    """
    rows: list[dict] = []
    for split in scored.split_names():
        for source in (*scored.source_names(split), ALL):
            part = scored.select(split, None if source == ALL else source)
            key = {"split": split, "source": source, "subgroup": ALL}
            rows.extend(_set_rows(part, thresholds, key, samples=samples, rng=np.random.default_rng(seed)))
    return pa.Table.from_pylist(rows, schema=SCHEMA)


@dataclass(frozen=True)
class RankedClass:
    """The images with a known label for one class, highest probability first."""

    positive: np.ndarray  # bool [m]
    probability: np.ndarray  # float64 [m], falling
    patient: np.ndarray  # int64 [m], positions in the list of patients
    threshold: float | None

    @property
    def is_measurable(self) -> bool:
        return bool(self.positive.any() and not self.positive.all())


def rank_class(label: np.ndarray, probability: np.ndarray, patient: np.ndarray, threshold: float | None) -> RankedClass:
    """Drops unknown and uncertain labels and sorts by falling probability; all arrays [n]."""
    known = np.flatnonzero(known_labels(label))
    order = known[np.argsort(-probability[known], kind="stable")]
    return RankedClass(label[order] == POSITIVE, probability[order].astype(np.float64), patient[order], threshold)


def weighted_metrics(ranked: RankedClass, weights: np.ndarray) -> np.ndarray:
    """METRICS [7, k] of one class under k weightings of the patients [k, patients]; NaN is n/a.

    Sorted once, every metric but Brier is read off two cumulative sums: of all weights, and of the positives'. Tied
    probabilities count as scikit-learn counts them with `sample_weight`: half in AUROC, together in average precision.
    """
    if not ranked.is_measurable:
        return np.full((len(METRICS), len(weights)), np.nan)
    images = weights[:, ranked.patient]
    seen, hits = _prefix_sums(images), _prefix_sums(images * ranked.positive)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.stack(
            [
                *_ranking_metrics(seen, hits, _tie_ends(ranked.probability)),
                *_decision_metrics(seen, hits, ranked),
                images @ (ranked.probability - ranked.positive) ** 2 / seen[:, -1],
            ]
        )
    one_sided = (hits[:, -1] == 0) | (hits[:, -1] == seen[:, -1])
    return np.where(one_sided, np.nan, values)


def bootstrap_weights(
    patients: int, *, samples: int, rng: np.random.Generator, chunk: int = 16
) -> Iterator[np.ndarray]:
    """How often each patient is drawn in each bootstrap sample: float64 [<= chunk, patients] at a time."""
    for start in range(0, samples, chunk):
        drawn = rng.integers(patients, size=(min(chunk, samples - start), patients))
        yield np.stack([np.bincount(row, minlength=patients) for row in drawn]).astype(np.float64)


def _prefix_sums(values: np.ndarray) -> np.ndarray:
    """Cumulative sums along the last axis with a leading zero: [k, m] -> [k, m + 1]."""
    sums = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=1, out=sums[:, 1:])
    return sums


def _tie_ends(falling: np.ndarray) -> np.ndarray:
    """How many images come before the end of each run of equal values; starts with 0."""
    return np.concatenate([[0], np.flatnonzero(np.diff(falling)) + 1, [len(falling)]])


def _ranking_metrics(seen: np.ndarray, hits: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUROC (trapezoids between ties) and average precision (sum of recall steps x precision at their end)."""
    seen, hits = seen[:, ends], hits[:, ends]
    misses = seen - hits
    steps = np.diff(hits, axis=1)
    area = (np.diff(misses, axis=1) * (hits[:, 1:] + hits[:, :-1])).sum(axis=1) / 2
    precision = np.divide(hits[:, 1:], seen[:, 1:], out=np.zeros_like(steps), where=seen[:, 1:] > 0)
    return area / (hits[:, -1] * misses[:, -1]), (steps * precision).sum(axis=1) / hits[:, -1]


def _decision_metrics(seen: np.ndarray, hits: np.ndarray, ranked: RankedClass) -> tuple[np.ndarray, ...]:
    """F1, precision, recall and accuracy of `probability >= threshold`: the decisions are a prefix of the ranking."""
    if ranked.threshold is None:
        return (np.full(len(seen), np.nan),) * 4
    cut = int((ranked.probability >= ranked.threshold).sum())
    predicted, true_positives, positives = seen[:, cut], hits[:, cut], hits[:, -1]
    right = true_positives + (seen[:, -1] - positives) - (predicted - true_positives)
    return (
        2 * true_positives / (predicted + positives),
        true_positives / predicted,
        true_positives / positives,
        right / seen[:, -1],
    )


def _set_rows(
    part: ScoredImages,
    thresholds: Mapping[str, float | None],
    key: dict[str, str],
    *,
    samples: int,
    rng: np.random.Generator,
) -> list[dict]:
    patients, codes = np.unique(part.cohort.patient_ids, return_inverse=True)
    labels = part.cohort.labels
    ranked = [
        rank_class(labels[:, i], part.probabilities[:, i], codes, thresholds.get(pathology))
        for i, pathology in enumerate(PATHOLOGIES)
    ]
    point = _all_classes(ranked, np.ones((1, len(patients))))[:, :, 0]
    drawn = [_all_classes(ranked, w) for w in bootstrap_weights(len(patients), samples=samples, rng=rng)]
    replicates = np.concatenate(drawn, axis=2)
    known, positive = known_labels(labels), labels == POSITIVE
    n = [*known.sum(axis=0), known.any(axis=1).sum()]
    positives = [*positive.sum(axis=0), positive.sum()]
    return [
        key
        | {"pathology": name, "metric": metric, "n": int(n[i]), "positives": int(positives[i])}
        | _with_interval(point[i, j], replicates[i, j])
        for i, name in enumerate((*PATHOLOGIES, MACRO))
        for j, metric in enumerate(METRICS)
    ]


def _all_classes(ranked: list[RankedClass], weights: np.ndarray) -> np.ndarray:
    """[15, 7, k]: the fourteen classes and, last, the mean over those with a value."""
    classes = np.stack([weighted_metrics(one, weights) for one in ranked])
    there = ~np.isnan(classes)
    count = there.sum(axis=0)
    total = np.where(there, classes, 0.0).sum(axis=0)
    macro = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return np.concatenate([classes, macro[None]])


def _with_interval(point: float, replicates: np.ndarray) -> dict[str, float | None]:
    usable = replicates[~np.isnan(replicates)]
    if np.isnan(point) or not len(usable):
        return {"value": None if np.isnan(point) else float(point), "low": None, "high": None}
    low, high = np.quantile(usable, [0.025, 0.975])
    return {"value": float(point), "low": float(low), "high": float(high)}
