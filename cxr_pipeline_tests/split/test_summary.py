import polars as pl
import pytest

from cxr_pipeline.defs.pictures import show_picture
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.split.plots import plot_deviations, plot_sizes
from cxr_pipeline.split.summary import count_sizes, summarize_splits, tabulate_deviations, tabulate_positives
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables.split import SplitSummaryTable
from cxr_pipeline_tests.split.tables import label_rows, split_labels


@pytest.fixture
def cohort() -> pl.DataFrame:
    """NIH: 4 train images of 2 patients (1 Mass), 2 val images (1 Mass); CheXpert: 1 image of which Mass is unknown."""
    mimic = label_rows("mimic", ["a", "a", "b", "b", "c", "d"], ["train"] * 4 + ["val"] * 2)
    mimic = mimic.with_columns(Mass=pl.Series([1, 0, 0, 0, 1, 0], dtype=pl.Int8))
    chexpert = label_rows("chexpert", ["z"], ["val"]).with_columns(Mass=pl.lit(None, pl.Int8))
    return split_labels(mimic, chexpert, pairs=[("mimic/a_000", "mimic/a_001")]).table


def test_counts_are_those_of_the_cohort(cohort: pl.DataFrame):
    summary = validate_table(summarize_splits(cohort), SplitSummaryTable)
    mass = summary.filter(pathology="Mass").drop("pathology")
    half, quarter = 1 / 2, 1 / 4
    third = 2 / 6  # of MIMIC, all splits
    assert mass.rows() == [
        ("chexpert", "val", 1, 1.0, 1, 0, 0, None, None),
        ("mimic", "train", 4, 3.0, 2, 4, 1, quarter, pytest.approx(quarter / third - 1)),
        ("mimic", "val", 2, 2.0, 2, 2, 1, half, pytest.approx(half / third - 1)),
        ("all", "train", 4, 3.0, 2, 4, 1, quarter, pytest.approx(quarter / third - 1)),
        ("all", "val", 3, 3.0, 3, 2, 1, half, pytest.approx(half / third - 1)),
    ]


def test_class_without_positives_has_no_deviation(cohort: pl.DataFrame):
    hernia = summarize_splits(cohort).filter(pathology="Hernia")
    assert hernia["prevalence"].to_list() == [0.0] * 5
    assert hernia["deviation"].null_count() == 5


def test_tables_for_a_person(cohort: pl.DataFrame):
    summary = summarize_splits(cohort)
    assert count_sizes(summary).filter(dataset="mimic")["images"].to_list() == [4, 2]
    positives = tabulate_positives(summary)
    assert positives.columns == ["dataset", "split", *PATHOLOGIES]
    assert positives["Mass"].to_list() == [None, "1 / 4", "1 / 2", "1 / 4", "1 / 2"]
    deviations = tabulate_deviations(summary)
    assert deviations.select("dataset", "pathology", "positives", "train", "val", "test").rows() == [
        ("mimic", "Mass", 2, 0.25, 0.5, None),
        ("all", "Mass", 2, 0.25, 0.5, None),
    ]
    assert deviations["largest_deviation"].to_list() == [0.5, 0.5]


def test_plots_show_shares_and_deviations_and_stay_short(cohort: pl.DataFrame):
    summary = summarize_splits(cohort)
    sizes = plot_sizes(count_sizes(summary))
    assert "M0 15h80" in sizes  # MIMIC, second row: 4 of 6 train, of 120 pixels
    assert "M80 15h40" in sizes
    deviations = plot_deviations(summary, "mimic")
    assert "v-20" in deviations  # val has half as many again: the edge
    assert all(len(show_picture("", picture).value) < 900 for picture in (sizes, deviations))
