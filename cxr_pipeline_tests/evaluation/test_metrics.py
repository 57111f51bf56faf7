import numpy as np
import polars as pl
import pytest
from sklearn import metrics as sk

from cxr_pipeline.evaluation.metrics import (
    METRICS,
    bootstrap_weights,
    metric_rows,
    rank_class,
    weighted_metrics,
)
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables.evaluation import MetricTable
from cxr_pipeline_tests.evaluation.cases import HALF, one_class, scored_images

FIRST = PATHOLOGIES[0]


def rows_of(table, **key):
    return [row for row in table.to_pylist() if all(row[name] == value for name, value in key.items())]


def value_of(table, metric, pathology=FIRST, source="all", split="test"):
    (row,) = rows_of(table, metric=metric, pathology=pathology, source=source, split=split)
    return row


def reference(truth, score, threshold, weights=None):
    """METRICS from scikit-learn."""
    decision = score.astype(np.float64) >= threshold
    return [
        sk.roc_auc_score(truth, score, sample_weight=weights),
        sk.average_precision_score(truth, score, sample_weight=weights),
        sk.f1_score(truth, decision, sample_weight=weights),
        sk.precision_score(truth, decision, sample_weight=weights),
        sk.recall_score(truth, decision, sample_weight=weights),
        sk.accuracy_score(truth, decision, sample_weight=weights),
        sk.brier_score_loss(truth, score.astype(np.float64), sample_weight=weights),
    ]


@pytest.fixture(scope="module")
def scored():
    return scored_images(200, seed=4)


@pytest.fixture(scope="module")
def table(scored):
    return metric_rows(scored, HALF, samples=20)


def test_point_estimates_equal_scikit_learn(scored, table):
    for i, pathology in enumerate(PATHOLOGIES):
        expected = reference(scored.cohort.labels[:, i], scored.probabilities[:, i], 0.5)
        found = [value_of(table, metric, pathology)["value"] for metric in METRICS]
        assert found == pytest.approx(expected, abs=1e-12)


def test_a_bootstrap_sample_equals_scikit_learn_with_sample_weight(scored):
    patients, codes = np.unique(scored.cohort.patient_ids, return_inverse=True)
    label, score = scored.cohort.labels[:, 2], scored.probabilities[:, 2]
    ranked = rank_class(label, score, codes, 0.5)
    (weights,) = bootstrap_weights(len(patients), samples=8, rng=np.random.default_rng(5))
    assert weights.sum(axis=1).tolist() == [len(patients)] * 8
    found = weighted_metrics(ranked, weights)
    for sample, drawn in enumerate(weights):
        assert found[:, sample] == pytest.approx(reference(label, score, 0.5, drawn[codes]), abs=1e-12)


def test_macro_hamming_accuracy_of_a_label_matrix_without_gaps_is_that_of_the_matrix(scored, table):
    expected = 1 - sk.hamming_loss(scored.cohort.labels == 1, scored.probabilities >= 0.5)
    assert value_of(table, "hamming_accuracy", "macro")["value"] == pytest.approx(expected, abs=1e-12)


def test_macro_hamming_accuracy_counts_a_class_of_few_known_labels_like_the_others():
    labels, probabilities = np.full((8, 14), np.nan), np.full((8, 14), 0.1)
    labels[:, 0] = [1, 0, 0, 0, 0, 0, 0, 0]  # 7 of 8 decisions are right
    labels[:2, 1] = [1, 0]  # 1 of 2
    table = metric_rows(scored_images(labels=labels, probabilities=probabilities), HALF, samples=5)
    assert value_of(table, "hamming_accuracy", "macro")["value"] == pytest.approx((7 / 8 + 1 / 2) / 2)


def test_macro_is_the_mean_over_the_classes_with_a_value(scored):
    labels = scored.cohort.labels.copy()
    labels[:, 3] = 0
    labels[:50, 4] = np.nan
    table = metric_rows(scored_images(labels=labels, probabilities=scored.probabilities), HALF, samples=5)
    classes = [row for row in rows_of(table, metric="auroc", source="all") if row["pathology"] != "macro"]
    values = [row["value"] for row in classes if row["value"] is not None]
    macro = value_of(table, "auroc", "macro")
    assert len(values) == 13
    assert macro["value"] == pytest.approx(np.mean(values), abs=1e-12)
    assert macro["n"] == 200
    assert macro["positives"] == sum(row["positives"] for row in classes) == (labels == 1).sum()


@pytest.mark.parametrize("answer", [0, 1])
def test_a_class_with_one_answer_is_not_available_but_counted(answer):
    table = metric_rows(one_class([answer] * 6, np.linspace(0, 1, 6)), HALF, samples=5)
    for metric in METRICS:
        row = value_of(table, metric)
        assert (row["value"], row["low"], row["high"]) == (None, None, None)
        assert (row["n"], row["positives"]) == (6, 6 * answer)
        assert value_of(table, metric, "macro")["value"] is None


def test_without_a_threshold_only_decisions_are_not_available():
    table = metric_rows(one_class([0, 1, 0, 1], [0.1, 0.9, 0.2, 0.8]), {FIRST: None}, samples=5)
    missing = {metric for metric in METRICS if value_of(table, metric)["value"] is None}
    assert missing == {"f1", "precision", "recall", "hamming_accuracy"}


def test_precision_is_not_available_when_nothing_is_called_positive():
    table = metric_rows(one_class([0, 1, 0, 1], [0.1, 0.4, 0.2, 0.3]), HALF, samples=5)
    assert value_of(table, "precision")["value"] is None
    assert value_of(table, "recall")["value"] == 0
    assert value_of(table, "f1")["value"] == 0


def test_a_score_at_the_threshold_is_called_positive():
    table = metric_rows(one_class([0, 1], [0.25, 0.5]), HALF, samples=1)
    assert value_of(table, "recall")["value"] == 1


@pytest.mark.parametrize("left_out", [np.nan, -1])
def test_unknown_and_uncertain_cells_are_never_counted(left_out):
    label, score = np.array([0, 1, 0, 1, left_out]), np.array([0.1, 0.7, 0.4, 0.6, 0.65])
    table = metric_rows(one_class(label, score), HALF, samples=5)
    shorter = metric_rows(one_class(label[:4], score[:4], patients=["a", "a", "b", "b"]), HALF, samples=5)
    assert [value_of(table, m)["value"] for m in METRICS] == [value_of(shorter, m)["value"] for m in METRICS]
    assert value_of(table, "auroc")["n"] == 4
    known = metric_rows(one_class(np.nan_to_num(label, nan=0).clip(0), score), HALF, samples=5)
    assert value_of(known, "auroc")["n"] == 5
    assert value_of(known, "auroc")["value"] < value_of(table, "auroc")["value"] == 1


def test_each_source_and_all_have_rows_for_each_split_test_first():
    splits, sources = ["val", "test"] * 20, ["nih"] * 20 + ["chexpert"] * 20
    table = metric_rows(scored_images(40, splits=splits, sources=sources), HALF, samples=2)
    keys = list(dict.fromkeys((row["split"], row["source"]) for row in table.to_pylist()))
    assert keys == [(split, source) for split in ("test", "val") for source in ("chexpert", "nih", "all")]
    assert table.num_rows == 6 * 15 * 7


def test_rows_fit_the_declared_table(table):
    assert validate_table(pl.from_arrow(table), MetricTable).height == table.num_rows


def test_test_labels_do_not_move_validation_rows():
    splits = ["val", "test"] * 30
    scored = scored_images(60, splits=splits)
    flipped = scored.cohort.labels.copy()
    flipped[1::2] = 1 - flipped[1::2]
    other = scored_images(labels=flipped, probabilities=scored.probabilities, splits=splits)
    before, after = (metric_rows(images, HALF, samples=5) for images in (scored, other))
    assert rows_of(before, split="val") == rows_of(after, split="val")
    assert rows_of(before, split="test") != rows_of(after, split="test")


def test_the_same_seed_gives_the_same_table(scored):
    first, second, other = (metric_rows(scored, HALF, samples=20, seed=seed) for seed in (1, 1, 2))
    assert first.equals(second)
    assert not first["low"].equals(other["low"])
    assert first["value"].equals(other["value"])


def test_images_of_one_patient_are_drawn_together():
    """Twenty copies of each image in the same patient tell nothing new: the interval must stay as it is."""
    rng = np.random.default_rng(6)
    label = (rng.random(40) < 0.4).astype(float)
    score = 0.2 * label + 0.8 * rng.random(40)
    patients = [f"p{i}" for i in range(40)]
    single = metric_rows(one_class(label, score, patients=patients), HALF)
    copied = metric_rows(one_class(np.repeat(label, 20), np.repeat(score, 20), patients=np.repeat(patients, 20)), HALF)
    as_if_independent = metric_rows(
        one_class(np.repeat(label, 20), np.repeat(score, 20), patients=[f"p{i}" for i in range(800)]), HALF
    )
    for metric in METRICS:
        expected, found = value_of(single, metric), value_of(copied, metric)
        assert [found[k] for k in ("value", "low", "high")] == pytest.approx(
            [expected[k] for k in ("value", "low", "high")], abs=1e-12
        )
        narrow = value_of(as_if_independent, metric)
        assert narrow["high"] - narrow["low"] < 0.5 * (found["high"] - found["low"])


def test_a_bootstrap_sample_without_positives_is_left_out_of_the_interval():
    """One positive among three patients: 8 of 27 samples lack it; the rest are perfect."""
    table = metric_rows(one_class([1, 0, 0], [0.9, 0.2, 0.1], patients=["a", "b", "c"]), HALF, samples=200)
    row = value_of(table, "auroc")
    assert (row["value"], row["low"], row["high"]) == (1, 1, 1)
    macro = value_of(table, "auroc", "macro")
    assert (macro["low"], macro["high"]) == (1, 1)


def test_the_interval_holds_the_true_value_about_as_often_as_it_says():
    """95 % intervals of 60 sets from one population whose AUROC is 0.760 (equal-variance normal scores, d' = 1)."""
    rng = np.random.default_rng(8)
    held = 0
    for _ in range(60):
        label = np.repeat([0, 1], 60)
        score = 1 / (1 + np.exp(-(label + rng.normal(size=120))))
        images = one_class(label, score, patients=np.arange(120).astype(str))
        row = value_of(metric_rows(images, HALF, samples=200), "auroc")
        held += row["low"] <= 0.7602 <= row["high"]
    assert 52 <= held <= 60


def test_the_order_of_images_does_not_matter(scored):
    order = np.random.default_rng(9).permutation(len(scored))
    shuffled = metric_rows(scored.take(order), HALF, samples=10)
    plain = metric_rows(scored, HALF, samples=10)
    for column in ("value", "low", "high"):
        assert shuffled[column].to_pylist() == pytest.approx(plain[column].to_pylist(), abs=1e-12)
