"""Scores against scikit-learn, intervals against what must hold of them."""

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import precision_recall_fscore_support

from cxr_pipeline.errors import TableError
from cxr_pipeline.labels.reports.scores import flagged_share, score_states
from cxr_pipeline.pathologies import PATHOLOGIES


def labels(cells):
    ids = pl.DataFrame({"study_id": [f"s{row}" for row in range(len(cells))]})
    columns = [pl.Series(name, cells[:, at], dtype=pl.Int8) for at, name in enumerate(PATHOLOGIES)]
    return ids.with_columns(columns)


def random_labels(seed, rows=80):
    generator = np.random.default_rng(seed)
    gold = generator.integers(0, 2, size=(rows, 14))
    said = np.where(generator.random((rows, 14)) < 0.8, gold, generator.integers(-1, 2, size=(rows, 14)))
    return labels(said), labels(gold), said == 1, gold == 1


def score(states, gold, draws=50, seed=0):
    return score_states(states, gold, generator=np.random.default_rng(seed), draws=draws)


def test_scores_are_those_of_scikit_learn():
    states, gold, said, truth = random_labels(0)
    table = score(states, gold)
    expected = np.array(precision_recall_fscore_support(truth, said, average=None)[:3])
    assert np.allclose(table.head(14).select("precision", "recall", "f1").to_numpy().T, expected)
    for row, average in ((14, "micro"), (15, "macro")):
        expected = precision_recall_fscore_support(truth, said, average=average)[:3]
        assert np.allclose(table.row(row)[2:9:3], expected)
    assert table["support"].to_list() == [*truth.sum(axis=0), truth.sum(), truth.sum()]


def test_uncertain_and_silent_count_as_not_positive():
    gold = labels(np.ones((3, 14), dtype=int))
    states = gold.with_columns(Mass=pl.Series([1, -1, None], dtype=pl.Int8))
    row = score(states, gold).filter(pl.col("pathology") == "Mass").row(0, named=True)
    assert (row["precision"], row["recall"]) == (1.0, pytest.approx(1 / 3))


def test_cells_that_gold_leaves_open_are_not_scored():
    states, gold, said, truth = random_labels(1)
    first_half = pl.int_range(pl.len()) < 40
    masked = gold.with_columns(pl.when(first_half).then("Mass").alias("Mass"))
    row = score(states, masked).filter(pl.col("pathology") == "Mass").row(0, named=True)
    at = PATHOLOGIES.index("Mass")
    expected = precision_recall_fscore_support(truth[:40, at], said[:40, at], average="binary")[:3]
    assert np.allclose([row["precision"], row["recall"], row["f1"]], expected)


def test_undefined_measures_are_null_and_macro_is_over_the_classes_that_gold_has():
    gold = labels(np.eye(14, dtype=int)[:2])  # Atelectasis once, Cardiomegaly once
    table = score(gold, gold)
    assert table.filter(pl.col("support") == 0)["f1"].to_list() == [None] * 12
    assert table.filter(pl.col("pathology") == "macro")["f1"].item() == 1.0


def test_intervals_hold_the_measure_and_shrink_with_more_reports():
    widths = []
    for rows in (60, 2_000):
        states, gold, _, _ = random_labels(2, rows)
        micro = score(states, gold, draws=200).filter(pl.col("pathology") == "micro").row(0, named=True)
        assert micro["f1_low"] < micro["f1"] < micro["f1_high"]
        widths.append(micro["f1_high"] - micro["f1_low"])
    assert widths[1] < widths[0] / 3


def test_the_same_generator_gives_the_same_intervals():
    states, gold, _, _ = random_labels(3)
    assert score(states, gold).equals(score(states, gold))
    assert not score(states, gold).equals(score(states, gold, seed=1))


def test_order_and_further_studies_of_the_states_change_nothing():
    states, gold, _, _ = random_labels(4)
    more = pl.concat([states.reverse(), states.with_columns(study_id=pl.format("other-{}", "study_id"))])
    assert score(more, gold).equals(score(states, gold))


@pytest.mark.parametrize("change", ["missing", "twice", "none"])
def test_each_gold_study_needs_one_label(change):
    states, gold, _, _ = random_labels(5)
    broken = {"missing": states.head(10), "twice": pl.concat([states, states]), "none": states}[change]
    with pytest.raises(TableError, match="Expected each, once"):
        score(broken, gold.clear() if change == "none" else gold)


def test_flagged_share_counts_reports_with_any_positive():
    cells = np.zeros((4, 14), dtype=int)
    cells[0, 3] = cells[0, 5] = cells[1, 0] = 1
    cells[2, 0] = -1
    states = labels(cells)
    assert flagged_share(states, pl.Series(["s0", "s2", "s3"])) == pytest.approx(1 / 3)
