import numpy as np
import pytest
from sklearn.metrics import auc, average_precision_score, roc_auc_score

from cxr_pipeline.evaluation.curves import precision_recall_curves, roc_curves
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline_tests.evaluation.cases import one_class, scored_images


@pytest.fixture(scope="module")
def scored():
    labels = scored_images(80, seed=2).cohort.labels
    labels[:10, 0], labels[:, 1] = np.nan, 0
    return scored_images(labels=labels, seed=2)


def test_the_area_under_a_roc_curve_is_the_auroc(scored):
    curves = roc_curves(scored)
    for i in (0, 2):
        curve, known = curves[PATHOLOGIES[i]], slice(10, None) if i == 0 else slice(None)
        expected = roc_auc_score(scored.cohort.labels[known, i], scored.probabilities[known, i])
        assert auc(curve.x, curve.y) == pytest.approx(expected, abs=1e-12)


def test_the_steps_of_a_precision_recall_curve_sum_to_average_precision(scored):
    curve = precision_recall_curves(scored)[PATHOLOGIES[3]]
    expected = average_precision_score(scored.cohort.labels[:, 3], scored.probabilities[:, 3])
    assert (np.diff(curve.x) >= 0).all()
    assert (np.diff(curve.x) * curve.y[1:]).sum() == pytest.approx(expected, abs=1e-12)


def test_a_class_with_one_answer_has_no_curve(scored):
    assert set(roc_curves(scored)) == set(precision_recall_curves(scored)) == set(PATHOLOGIES) - {PATHOLOGIES[1]}


def test_uncertain_images_are_not_on_the_curve():
    curve = roc_curves(one_class([1, 0, -1, -1], [0.9, 0.1, 0.95, 0.05]))[PATHOLOGIES[0]]
    assert (curve.x.tolist(), curve.y.tolist()) == ([0, 0, 1], [0, 1, 1])
