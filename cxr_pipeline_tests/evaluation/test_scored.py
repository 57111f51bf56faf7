import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from cxr_pipeline.errors import TableError
from cxr_pipeline.evaluation.scored import known_labels, read_scored
from cxr_pipeline.pathologies import SPLITS
from cxr_pipeline_tests.evaluation.cases import scored_images, write_scored


def test_predictions_are_joined_by_image_whatever_their_order(tmp_path):
    labels = scored_images(30).cohort.labels
    labels[3, 4], labels[5, 6] = np.nan, -1
    scored = scored_images(labels=labels, splits=["val", "test", "test"] * 10)
    found = read_scored(*write_scored(tmp_path, scored))
    np.testing.assert_array_equal(found.probabilities, scored.probabilities)
    np.testing.assert_array_equal(found.cohort.labels, labels)
    assert found.cohort.image_ids.tolist() == scored.cohort.image_ids.tolist()
    assert found.split_names() == ("test", "val")


def test_images_that_were_not_predicted_are_left_out(tmp_path):
    scored = scored_images(10)
    cohort, _ = write_scored(tmp_path, scored)
    part = tmp_path / "part"
    part.mkdir()
    _, predictions = write_scored(part, scored.take(np.array([7, 2])))
    assert read_scored(cohort, predictions).cohort.image_ids.tolist() == ["nih/00002", "nih/00007"]


def test_a_prediction_outside_the_cohort_is_refused(tmp_path):
    scored = scored_images(6)
    _, predictions = write_scored(tmp_path, scored)
    part = tmp_path / "part"
    part.mkdir()
    cohort, _ = write_scored(part, scored.take(np.arange(5)))
    with pytest.raises(TableError, match="1 of 6 images are not in the cohort"):
        read_scored(cohort, predictions)


def test_absent_damaged_and_incomplete_predictions_are_told_apart(tmp_path):
    cohort, predictions = write_scored(tmp_path, scored_images(4))
    pq.write_table(pq.read_table(predictions).drop_columns(["Mass"]), tmp_path / "short.parquet")
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 no more")
    messages = {"none": "No predictions", "damaged": "not a readable", "short": "lacks the columns Mass"}
    for name, message in messages.items():
        with pytest.raises(TableError, match=message):
            read_scored(cohort, tmp_path / f"{name}.parquet")


def test_select_takes_one_split_and_one_source():
    scored = scored_images(4, splits=["val", "test", "test", "test"], sources=["nih", "nih", "chexpert", "nih"])
    assert scored.source_names("test") == ["chexpert", "nih"]
    assert scored.select("test", "nih").cohort.image_ids.tolist() == ["nih/00001", "nih/00003"]
    assert len(scored.select("test")) == 3


def test_only_zero_and_one_are_known():
    assert known_labels(np.array([1, 0, -1, np.nan])).tolist() == [True, True, False, False]


def test_enums_as_polars_writes_them_are_read(tmp_path):
    scored = scored_images(4, splits=["val", "test"] * 2)
    for path in write_scored(tmp_path, scored):
        pl.read_parquet(path).with_columns(pl.col("split").cast(pl.Enum(SPLITS))).write_parquet(path)
    found = read_scored(tmp_path / "cohort.parquet", tmp_path / "predictions.parquet")
    assert found.cohort.splits.tolist() == ["val", "test"] * 2
    np.testing.assert_array_equal(found.probabilities, scored.probabilities)
