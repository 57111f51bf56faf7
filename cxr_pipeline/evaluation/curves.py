"""Points of the ROC and precision-recall curves for the report. Summary numbers live in `metrics.py`."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import precision_recall_curve, roc_curve

from cxr_pipeline.evaluation.scored import ScoredImages, known_labels
from cxr_pipeline.pathologies import PATHOLOGIES, POSITIVE


@dataclass(frozen=True)
class Curve:
    """Points of one curve, [points] each, in 0..1."""

    x: np.ndarray
    y: np.ndarray


def roc_curves(scored: ScoredImages) -> dict[str, Curve]:
    """False positive rate (x) against sensitivity (y) per class; a class without both outcomes has no curve."""
    curves = {}
    for pathology, (truth, score) in _measurable(scored).items():
        false_positive_rate, sensitivity, _ = roc_curve(truth, score)
        curves[pathology] = Curve(false_positive_rate, sensitivity)
    return curves


def precision_recall_curves(scored: ScoredImages) -> dict[str, Curve]:
    """Recall (x, rising) against precision (y) per class; a class without both outcomes has no curve."""
    curves = {}
    for pathology, (truth, score) in _measurable(scored).items():
        precision, recall, _ = precision_recall_curve(truth, score, drop_intermediate=True)
        curves[pathology] = Curve(recall[::-1], precision[::-1])
    return curves


def _measurable(scored: ScoredImages) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Truth (bool) and score over the known labels of each class that has positives and negatives."""
    classes = {}
    for i, pathology in enumerate(PATHOLOGIES):
        label = scored.cohort.labels[:, i]
        known = known_labels(label)
        truth = label[known] == POSITIVE
        if truth.any() and not truth.all():
            classes[pathology] = (truth, scored.probabilities[known, i])
    return classes
