import polars as pl

from cxr_pipeline.labels.reports.states import spread_states, strongest_states
from cxr_pipeline.pathologies import PATHOLOGIES

ROWS = pl.DataFrame(
    [("a", "Mass", 0), ("a", "Mass", -1), ("a", "Edema", None), ("b", "Mass", -1), ("b", "Mass", 1)],
    schema={"study_id": pl.String, "pathology": pl.String, "state": pl.Int8},
    orient="row",
)


def test_positive_wins_over_uncertain_and_uncertain_over_negative():
    assert sorted(strongest_states(ROWS).rows()) == [("a", "Mass", -1), ("b", "Mass", 1)]


def test_every_study_has_a_row_in_order_and_silence_is_null():
    wide = spread_states(ROWS, pl.DataFrame({"study_id": ["b", "c", "a"]}))
    assert wide.columns == ["study_id", *PATHOLOGIES]
    assert wide["study_id"].to_list() == ["b", "c", "a"]
    assert wide["Mass"].to_list() == [1, None, -1]
    assert wide["Edema"].null_count() == 3
    assert wide.schema["Edema"] == pl.Int8
