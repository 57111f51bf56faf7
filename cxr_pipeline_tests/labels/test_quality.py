import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.labels.harmonize import label_table
from cxr_pipeline.labels.quality import (
    compare_prevalence,
    compare_unknown,
    describe_edits,
    judge_positives,
    judge_prevalence,
    judge_unknown,
    judge_words,
    read_published,
)
from cxr_pipeline.labels.summary import count_labels
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline_tests.datasets.openi.files import published_openi
from cxr_pipeline_tests.datasets.padchest_rows import published_padchest
from cxr_pipeline_tests.datasets.realdata import published_chexpert, published_file, published_nih
from cxr_pipeline_tests.split.tables import label_rows


def table(rows: int, positives: int, *, is_phantom: bool = False) -> pl.DataFrame:
    """All classes negative but `positives` images with Hernia."""
    hernia = pl.Series([1] * positives + [0] * (rows - positives), dtype=pl.Int8)
    return label_rows("nih", [str(i) for i in range(rows)], [None] * rows).with_columns(
        Hernia=hernia, is_phantom=pl.lit(is_phantom)
    )


def silenced(rows: int, unknown: int, *, of: str = "Hernia", is_phantom: bool = False) -> pl.DataFrame:
    """The same without positives; `unknown` of the images have a null for the class `of`."""
    cells = pl.Series([None] * unknown + [0] * (rows - unknown), dtype=pl.Int8)
    return table(rows, 0, is_phantom=is_phantom).with_columns(cells.alias(of))


def published_vindr(folder: Path) -> Path:
    shutil.copy(published_file("vinbigdata-train.csv.gz"), folder / "train.csv.gz")
    return folder


PUBLISHED = pl.DataFrame(
    {"pathology": ["Hernia"], "positives": [10], "uncertains": [0], "unknowns": [20], "images": [100]}
)
RELEASES = {
    "nih": published_nih,
    "openi": published_openi,
    "chexpert": published_chexpert,
    "padchest": published_padchest,
    "vindr": published_vindr,
}


@pytest.mark.parametrize(("positives", "is_unlike"), [(200, False), (230, False), (120, True), (280, True)])
def test_prevalence_is_unlike_only_far_beyond_chance(positives: int, is_unlike: bool):
    # 2,000 images at 10 %: standard error 0.67 points; 11.5 % is 15 % off, within the relative limit.
    assert compare_prevalence(table(2000, positives), PUBLISHED)["is_unlike"].to_list() == [is_unlike]


def test_few_images_prove_nothing():
    assert compare_prevalence(table(10, 3), PUBLISHED)["is_unlike"].to_list() == [False]


@pytest.mark.parametrize(("unknown", "is_unlike"), [(400, False), (480, False), (520, True), (280, True), (0, True)])
def test_share_of_null_is_unlike_only_beyond_five_points(unknown: int, is_unlike: bool):
    # 2,000 images at 20 %: five standard errors are 4.5 points, and 480 and 520 are 4 and 6 points away.
    assert compare_unknown(silenced(2000, unknown), PUBLISHED)["is_unlike"].to_list() == [is_unlike]


def test_few_nulls_more_than_published_prove_nothing():
    assert compare_unknown(silenced(10, 4), PUBLISHED)["is_unlike"].to_list() == [False]


def test_class_that_the_source_has_a_word_for_and_nobody_knows_is_named():
    verdict = judge_unknown("nih", silenced(50, 50, is_phantom=True))
    assert not verdict.passed
    assert verdict.facts["classes_wholly_null"] == "Hernia"
    assert "Hernia 100.0%, Infiltration 0.0%" in str(verdict.facts["shares_of_null"])
    assert judge_unknown("nih", silenced(50, 49, is_phantom=True)).passed


@pytest.mark.parametrize(("source", "pathology"), [("chexpert", "Hernia"), ("mimic", "Mass"), ("vindr", "Nodule")])
def test_class_without_a_word_of_its_own_may_be_null(source: str, pathology: str):
    assert judge_unknown(source, silenced(50, 50, of=pathology)).facts["classes_wholly_null"] == ""


def test_nulls_of_a_release_that_has_none_are_named():
    verdict = judge_unknown("nih", silenced(1000, 60))
    assert not verdict.passed
    assert (verdict.facts["classes_wholly_null"], verdict.facts["classes_unlike"]) == ("", "Hernia")
    assert judge_unknown("nih", silenced(1000, 60, is_phantom=True)).passed
    assert judge_unknown("nih", silenced(1000, 0)).passed


def test_source_that_is_not_used_lacks_nothing():
    assert judge_unknown("nih", table(0, 0)).passed


@pytest.mark.realdata
@pytest.mark.parametrize("source", RELEASES)
def test_the_release_itself_has_the_published_counts(source: str, tmp_path: Path):
    read: Callable[[Path], Path] = RELEASES[source]
    labels = label_table(DATASETS[source], read(tmp_path)).table
    published = read_published(source)
    counts = count_labels(labels).with_columns(images=pl.lit(labels.height))
    found = counts.select(
        "pathology", positives="positive", uncertains="uncertain", unknowns="unknown", images="images"
    )
    assert published.rows() == found.filter(pl.col("pathology").is_in(published["pathology"].to_list())).rows()
    assert judge_unknown(source, labels).passed
    assert judge_prevalence(source, labels).passed
    assert describe_edits(DATASETS[source], tmp_path, labels) == []


@pytest.mark.realdata
def test_labels_of_another_reader_are_not_taken_for_edited_ones(tmp_path):
    shutil.copy(published_file("chexpert_train.csv.gz"), tmp_path / "train_cheXbert.csv.gz")
    table = label_table(DATASETS["chexpert"], tmp_path).table.with_columns(Edema=pl.lit(0, pl.Int8))
    assert describe_edits(DATASETS["chexpert"], tmp_path, table) == []


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("edit", "told"),
    [
        ({-1.0: 1.0}, "Atelectasis 67,115 positive (33,376 published), Atelectasis 0 uncertain (33,739 published)"),
        ({-1.0: 0.0}, "Atelectasis 0 uncertain (33,739 published), Cardiomegaly 0 uncertain (8,087 published)"),
        ({None: 0.0}, "Atelectasis 0 null (12 published), Cardiomegaly 0 null (12 published)"),
    ],
)
def test_labels_of_a_whole_release_that_were_edited_are_told_with_their_numbers(tmp_path, edit, told):
    table = pl.read_csv(published_file("chexpert_train.csv.gz").read_bytes(), infer_schema_length=None)
    findings = pl.col(table.columns[5:]).cast(pl.Float64)
    table.with_columns(findings.replace(edit)).write_csv(tmp_path / "train.csv", float_precision=1)
    (line,) = describe_edits(DATASETS["chexpert"], tmp_path, label_table(DATASETS["chexpert"], tmp_path).table)
    assert line.startswith(f"train.csv: all images, with other labels than published: {told}")
    assert "U-Ones" in line


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
