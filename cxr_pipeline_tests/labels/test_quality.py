import polars as pl
import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.labels.quality import (
    compare_prevalence,
    judge_positives,
    judge_prevalence,
    judge_words,
    read_published,
)
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline_tests.split.tables import label_rows


def table(rows: int, positives: int, *, is_phantom: bool = False) -> pl.DataFrame:
    """All classes negative but `positives` images with Hernia."""
    hernia = pl.Series([1] * positives + [0] * (rows - positives), dtype=pl.Int8)
    return label_rows("nih", [str(i) for i in range(rows)], [None] * rows).with_columns(
        Hernia=hernia, is_phantom=pl.lit(is_phantom)
    )


PUBLISHED = pl.DataFrame({"pathology": ["Hernia"], "positives": [10], "images": [100]})


@pytest.mark.parametrize(("positives", "is_unlike"), [(200, False), (230, False), (120, True), (280, True)])
def test_prevalence_is_unlike_only_far_beyond_chance(positives: int, is_unlike: bool):
    # 2,000 images at 10 %: standard error 0.67 points; 11.5 % is 15 % off, within the relative limit.
    assert compare_prevalence(table(2000, positives), PUBLISHED)["is_unlike"].to_list() == [is_unlike]


def test_few_images_prove_nothing():
    assert compare_prevalence(table(10, 3), PUBLISHED)["is_unlike"].to_list() == [False]


def test_phantoms_are_not_compared_with_a_release():
    assert judge_prevalence("nih", table(50, 50, is_phantom=True)).passed
    assert not judge_prevalence("nih", table(500, 500)).passed


def test_published_counts_speak_of_known_sources_and_classes():
    for name in ("nih", "chexpert", "padchest", "vindr", "openi"):
        published = read_published(name)
        assert 0 < published.height <= len(PATHOLOGIES)
        assert set(published["pathology"]) <= set(PATHOLOGIES)
        assert (published["positives"] < published["images"]).all()
    assert read_published("mimic").is_empty()
    assert read_published("nih").filter(pathology="Hernia")["positives"].item() == 227
    assert read_published("nih")["images"].unique().to_list() == [DATASETS["nih"].expected["images"]]


def test_class_with_negatives_alone_is_named():
    verdict = judge_positives(table(5, 2))
    assert not verdict.passed
    assert "Hernia" not in str(verdict.facts["classes_without_positives"])
    assert "Mass" in str(verdict.facts["classes_without_positives"])


def test_words_without_a_row_are_counted():
    unmapped = pl.DataFrame({"finding": ["Efusion", "Masss"], "count": [3, 1]})
    assert judge_words(unmapped).facts == {"words": 2, "images": 4}
    assert not judge_words(unmapped).passed
    assert judge_words(unmapped.clear()).passed
