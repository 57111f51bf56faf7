"""What is chosen on the validation images: a threshold per class, and the number that picks the epoch. Never test."""

import numpy as np
from sklearn.metrics import roc_auc_score

from cxr_pipeline.pathologies import PATHOLOGIES


def choose_thresholds(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float | None]:
    """Per class the threshold of the best F1 over observed cells; a decision is `probability >= threshold`.

    `labels` [n, 14] holds 1, 0, -1 and NaN; the last two are not observed. The threshold lies halfway between two
    neighbouring scores (half the lowest score when all are called positive) and is exact in float32. Of several best
    ones the highest is taken. None when a class has no positives or no negatives. Lipton et al. 2014,
    https://arxiv.org/abs/1402.1892, on maximising F1 by a threshold.
    """
    return {name: _best_f1(*_observed(labels, probabilities, k)) for k, name in enumerate(PATHOLOGIES)}


def macro_auroc(labels: np.ndarray, probabilities: np.ndarray) -> tuple[float | None, dict[str, float | None]]:
    """(mean over the classes that can be measured, AUROC per class); None where both answers do not occur."""
    per_class = {name: _auroc(*_observed(labels, probabilities, k)) for k, name in enumerate(PATHOLOGIES)}
    measured = [value for value in per_class.values() if value is not None]
    return (float(np.mean(measured)) if measured else None), per_class


def _observed(labels: np.ndarray, probabilities: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    known = (labels[:, k] == 0) | (labels[:, k] == 1)
    return labels[known, k] == 1, probabilities[known, k].astype(np.float32)


def _auroc(is_positive: np.ndarray, scores: np.ndarray) -> float | None:
    return float(roc_auc_score(is_positive, scores)) if _has_both(is_positive) else None


def _best_f1(is_positive: np.ndarray, scores: np.ndarray) -> float | None:
    if not _has_both(is_positive):
        return None
    values, place = np.unique(scores, return_inverse=True)
    values = values[::-1]  # the cut after the i-th value calls all scores >= values[i] positive
    called = np.cumsum(np.bincount(place)[::-1])
    found = np.cumsum(np.bincount(place, weights=is_positive)[::-1])
    best = int(np.argmax(2 * found / (called + is_positive.sum())))
    below = values[best + 1] if best + 1 < len(values) else np.float32(0)
    return _between(below, values[best])


def _between(low: np.float32, high: np.float32) -> float:
    """Halfway in float32; `high` itself where no float32 lies between, so that `low` is never called positive."""
    middle = np.float32((np.float64(low) + np.float64(high)) / 2)
    return float(middle if middle > low else high)


def _has_both(is_positive: np.ndarray) -> bool:
    return bool(is_positive.any() and not is_positive.all())
