import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.training.checkpoint.thresholds import choose_thresholds, macro_auroc

FIRST, SECOND, *REST = PATHOLOGIES


def first_class(labels, scores):
    """[n, 14] arrays in which only the first class is known."""
    cells = np.full((len(labels), len(PATHOLOGIES)), np.nan, dtype=np.float32)
    cells[:, 0] = labels
    return cells, np.repeat(np.asarray(scores, dtype=np.float32)[:, None], len(PATHOLOGIES), axis=1)


def choose(labels, scores):
    return choose_thresholds(*first_class(labels, scores))[FIRST]


@pytest.mark.parametrize("seed", range(20))
def test_no_other_threshold_has_a_better_f1(seed):
    rng = np.random.default_rng(seed)
    labels = rng.random(60) < 0.3
    scores = np.round(rng.random(60) * 0.7 + 0.2 * labels, 2).astype(np.float32)  # rounded: many ties
    threshold = choose(labels, scores)
    best = max(f1_score(labels, scores >= value) for value in np.unique(scores))
    assert f1_score(labels, scores >= threshold) == best


def test_lies_halfway_between_neighbours():
    assert choose([0, 0, 1, 1], [0.125, 0.25, 0.75, 0.875]) == 0.5


def test_calling_all_positive_is_half_the_lowest_score():
    assert choose([1, 0, 1, 1], [0.25, 0.5, 0.75, 0.875]) == 0.125


def test_equal_scores_stay_together():
    threshold = choose([1, 0, 1, 0, 0, 0, 0], [0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25])
    assert threshold == 0.375


def test_of_equal_f1_the_highest_threshold_is_taken():
    labels, scores = [1, 0, 0, 1], [0.875, 0.75, 0.5, 0.25]
    assert f1_score(labels, np.array(scores) >= 0.8) == f1_score(labels, np.array(scores) >= 0.2) == 2 / 3
    assert choose(labels, scores) == 0.8125


def test_neighbouring_floats_are_told_apart():
    low = np.float32(0.3)
    high = np.nextafter(low, np.float32(1))
    threshold = choose([0, 1], [low, high])
    assert (np.array([low, high]) >= threshold).tolist() == [False, True]


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1], [1, np.nan, -1]])
def test_no_choice_without_both_answers(labels):
    assert choose(labels, [0.1, 0.5, 0.9]) is None
    assert macro_auroc(*first_class(labels, [0.1, 0.5, 0.9]))[0] is None


def test_uncertain_and_unknown_cells_are_not_observed():
    seen = choose([0, 1, 0, 1], [0.1, 0.6, 0.4, 0.8])
    assert choose([0, 1, 0, 1, -1, np.nan], [0.1, 0.6, 0.4, 0.8, 0.99, 0.01]) == seen


def test_auroc_is_that_of_sklearn_and_its_mean_leaves_out_what_cannot_be_measured():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, (50, 14)).astype(np.float32)
    scores = rng.random((50, 14)).astype(np.float32)
    labels[:, 1] = 0
    labels[:10, 2] = np.nan
    labels[10:20, 2] = -1
    macro, per_class = macro_auroc(labels, scores)
    assert per_class[FIRST] == roc_auc_score(labels[:, 0], scores[:, 0])
    assert per_class[SECOND] is None
    assert per_class[REST[0]] == roc_auc_score(labels[20:, 2], scores[20:, 2])
    assert macro == pytest.approx(np.mean([value for value in per_class.values() if value is not None]))
