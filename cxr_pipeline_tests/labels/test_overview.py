from pathlib import Path

import polars as pl

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.labels.overview import capability_matrix, count_matrix, describe_labels
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline_tests.split.tables import label_rows


def capability(source: str, pathology: str) -> str:
    return capability_matrix().filter(pathology=pathology)[source].item()


def test_matrix_has_every_source_and_every_class():
    matrix = capability_matrix()
    assert matrix.columns == ["pathology", *DATASETS]
    assert tuple(matrix["pathology"]) == PATHOLOGIES


def test_nih_says_everything_and_chexpert_says_seven_classes():
    matrix = capability_matrix()
    assert set(matrix["nih"]) == {"yes"}
    assert matrix.filter(pl.col("chexpert") == "yes").height == 7
    assert capability("chexpert", "Hernia") == "-"


def test_counts_are_positives_of_known_and_null_where_nothing_is_known():
    nih = label_rows("nih", ["1", "2", "3"], [None] * 3).with_columns(
        Mass=pl.Series([1, 0, -1], dtype=pl.Int8), Hernia=pl.lit(None, dtype=pl.Int8)
    )
    counts = count_matrix({"nih": nih})
    assert counts.filter(pathology="Mass")["nih"].item() == "1 / 2"
    assert counts.filter(pathology="Hernia")["nih"].item() is None


def test_committed_page_is_fresh():
    page = Path(__file__).parents[2] / "docs" / "labels.md"
    assert page.read_text() == describe_labels(), "run `make docs`"
