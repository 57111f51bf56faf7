"""Agreement of two labelers: the counts by hand, kappa against scikit-learn."""

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import cohen_kappa_score

from cxr_pipeline.labels.reports.agreement import COUNTS, compare_states, count_silence, pooled_kappa
from cxr_pipeline.pathologies import PATHOLOGIES

VALUES = np.array([1, 0, -1, None], dtype=object)


def states(count, **cells):
    blank = {name: cells.get(name, [None] * count) for name in PATHOLOGIES}
    schema = {"study_id": pl.String, **dict.fromkeys(PATHOLOGIES, pl.Int8)}
    return pl.DataFrame({"study_id": [f"s{row}" for row in range(count)], **blank}, schema=schema)


def random_states(seed, count=400):
    generator = np.random.default_rng(seed)
    draw = {name: generator.choice(VALUES, count, p=(0.3, 0.5, 0.1, 0.1)).tolist() for name in PATHOLOGIES}
    return states(count, **draw)


def row_of(agreement, name):
    return agreement.row(by_predicate=pl.col("pathology") == name, named=True)


def test_counts_are_of_positive_against_the_rest_over_what_both_know():
    ours = states(8, Mass=[1, 1, 0, 0, -1, None, 1, None])
    theirs = states(8, Mass=[1, 0, 1, 0, 1, 1, None, None])
    found = row_of(compare_states(ours, theirs), "Mass")
    assert [found[name] for name in (*COUNTS, "n")] == [1, 1, 2, 1, 5]


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_that_of_scikit_learn(seed):
    ours, theirs = random_states(seed), random_states(seed + 100)
    theirs = theirs.with_columns(  # so that there is some agreement to find
        pl.when(pl.int_range(pl.len()) % 3 > 0).then(ours[name]).otherwise(pl.col(name)).alias(name)
        for name in PATHOLOGIES
    )
    agreement = compare_states(ours, theirs)
    for name in PATHOLOGIES:
        both = pl.DataFrame({"a": ours[name], "b": theirs[name]}).drop_nulls()
        expected = cohen_kappa_score(both["a"].to_numpy() == 1, both["b"].to_numpy() == 1)
        assert row_of(agreement, name)["kappa"] == pytest.approx(expected, abs=1e-12)
        assert row_of(agreement, name)["n"] == both.height


def test_pooled_kappa_is_that_of_all_cells():
    ours, theirs = count_silence(random_states(1)), count_silence(random_states(2))
    flat = [frame.select(PATHOLOGIES).to_numpy().ravel() == 1 for frame in (ours, theirs)]
    assert pooled_kappa(compare_states(ours, theirs)) == pytest.approx(cohen_kappa_score(*flat), abs=1e-12)


@pytest.mark.parametrize("cells", [[None, None], [0, 0], [1, 1]])
def test_kappa_is_null_where_it_is_undefined(cells):
    frame = states(2, Mass=cells)
    assert row_of(compare_states(frame, frame), "Mass")["kappa"] is None


def test_studies_of_one_side_only_are_left_out_and_order_does_not_matter():
    ours = states(5, Mass=[1, 1, 0, 0, 1])
    theirs = ours.head(3)[::-1]
    found = row_of(compare_states(ours, theirs), "Mass")
    assert [found[name] for name in COUNTS] == [2, 0, 0, 1]
    assert found["kappa"] == 1


def test_silence_becomes_a_denial_and_doubt_stays():
    assert count_silence(states(3, Mass=[None, -1, 1]))["Mass"].to_list() == [0, -1, 1]
