"""The adjudicated NIH labels are read as published, and lie where their publisher says."""

import polars as pl
import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.errors import SourceFormatError, TableError
from cxr_pipeline.labels.adjudicated import adjudicated_table
from cxr_pipeline.labels.harmonize import label_table
from cxr_pipeline_tests.datasets.realdata import published_file, published_nih
from cxr_pipeline_tests.datasets.sources import write_lines

HEADER = "Image Index,OriginalImage[Width,Height],Fracture,Pneumothorax,Airspace opacity,Nodule or mass,Set Id"
ROW = "00000013_008.png,3056,2544,NO,NO,YES,NO,test"


def test_answers_are_one_and_zero_under_the_ids_of_nih(tmp_path):
    table = adjudicated_table(write_lines(tmp_path / "google.csv", [HEADER, ROW]))
    assert table.row(0, named=True) == {
        "image_id": "nih/00000013_008",
        "set_id": "test",
        "Pneumothorax": 0,
        "Nodule_or_mass": 0,
        "Airspace_opacity": 1,
        "Fracture": 0,
    }


@pytest.mark.parametrize(
    ("row", "error", "problem"),
    [
        (ROW.replace("YES", "MAYBE"), SourceFormatError, "'Airspace opacity' holds 'MAYBE'"),
        (ROW.replace("YES", ""), SourceFormatError, "'Airspace opacity' holds ''"),
        (ROW.replace("test", "train"), SourceFormatError, "'Set Id' holds 'train'"),
        (ROW.replace(".png", ".jpg"), SourceFormatError, "'Image Index'"),
        (f"{ROW}\n{ROW}", TableError, "primary_key"),
    ],
)
def test_other_content_is_refused(tmp_path, row, error, problem):
    with pytest.raises(error, match=problem):
        adjudicated_table(write_lines(tmp_path / "google.csv", [HEADER, row]))


@pytest.fixture(scope="module")
def published():
    return adjudicated_table(published_file("google2019_nih-chest-xray-labels.csv.gz"))


@pytest.mark.realdata
def test_published_counts(published):
    assert dict(published["set_id"].value_counts().rows()) == {"val": 2_414, "test": 1_962}
    positives = published.group_by("set_id").agg(pl.col(pl.Int8).sum()).rows()
    assert set(positives) == {("test", 195, 295, 1_135, 72), ("val", 43, 310, 1_031, 114)}


@pytest.mark.realdata
def test_text_labels_find_half_of_the_adjudicated_ones(published, tmp_path):
    """Label mapping, section 1: on the test set, Pneumothorax has a precision of .485 and a sensitivity of .497."""
    labels = label_table(DATASETS["nih"], published_nih(tmp_path)).table.select("image_id", mined="Pneumothorax")
    both = published.filter(pl.col("set_id") == "test").join(labels, on="image_id")
    assert both.height == 1_962
    hits = both.filter((pl.col("Pneumothorax") == 1) & (pl.col("mined") == 1)).height
    assert round(hits / both["mined"].sum(), 3) == 0.485
    assert round(hits / both["Pneumothorax"].sum(), 3) == 0.497
