"""Boxes keep their words and their pixels, and have a class where a word means the same."""

import shutil
from dataclasses import replace

import polars as pl
import pytest

from cxr_pipeline.datasets.chexpert.source import CHEXPERT
from cxr_pipeline.datasets.nih.source import NIH
from cxr_pipeline.datasets.vindr.source import VINDR
from cxr_pipeline.errors import TableError
from cxr_pipeline.labels.boxes import box_table
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables.labels import BoxTable
from cxr_pipeline_tests.datasets.realdata import published_file, published_nih, shared_folder
from cxr_pipeline_tests.datasets.sources import write_lines, write_nih
from cxr_pipeline_tests.datasets.vindr.test_source import A, B, write_kaggle, write_physionet

NIH_BOXES = {  # word in the file: class, boxes
    "Atelectasis": ("Atelectasis", 180),
    "Cardiomegaly": ("Cardiomegaly", 146),
    "Effusion": ("Effusion", 153),
    "Infiltrate": ("Infiltration", 123),
    "Mass": ("Mass", 85),
    "Nodule": ("Nodule", 79),
    "Pneumonia": ("Pneumonia", 120),
    "Pneumothorax": ("Pneumothorax", 98),
}
VINDR_BOXES = {"Cardiomegaly": 5_427, "Effusion": 2_476, "Fibrosis": 4_655, "Pneumothorax": 226, "Atelectasis": 279}


def test_box_has_a_class_only_where_its_word_means_the_same(tmp_path):
    table = box_table(VINDR, write_kaggle(tmp_path))
    assert validate_table(table, BoxTable).equals(table)
    assert table.select("image_id", "finding", "pathology", "reader").rows() == [
        (f"vindr/{B}", "Cardiomegaly", "Cardiomegaly", "R10"),
        (f"vindr/{B}", "Nodule/Mass", None, "R9"),
        (f"vindr/{B}", "Cardiomegaly", "Cardiomegaly", "R9"),
        (f"vindr/{B}", "Cardiomegaly", "Cardiomegaly", "R9"),
        (f"vindr/{B}", "Aortic enlargement", None, "R8"),
    ]
    assert table.select("x", "y", "width", "height").row(0) == (691.0, 1375.0, 962.0, 456.0)


def test_word_of_physionet_alone_has_its_class(tmp_path):
    table = box_table(VINDR, write_physionet(tmp_path))
    assert table.select("image_id", "pathology").row(0) == (f"vindr/{A}", "Edema")


def test_infiltrate_is_infiltration(tmp_path):
    write_nih(tmp_path)
    rows = ["00000001_000.png,Infiltrate,1.5,2.5,10.0,20.0"]
    write_lines(tmp_path / "BBox_List_2017.csv", ["Image Index,Finding Label,Bbox [x,y,w,h],,,", *rows])
    expected = ("nih/00000001_000", "Infiltrate", "Infiltration", "", 1.5, 2.5, 10.0, 20.0, "as_published")
    assert box_table(NIH, tmp_path).rows() == [expected]


def test_source_without_boxes_has_none(tmp_path):
    assert box_table(CHEXPERT, tmp_path).equals(BoxTable.create_empty())
    assert box_table(NIH, write_nih(tmp_path)).equals(BoxTable.create_empty())


def test_word_that_the_mapping_lacks_is_named(tmp_path):
    def with_a_new_word(root):
        return VINDR.read_boxes(root).with_columns(finding=pl.lit("Pneumomediastinum"))

    with pytest.raises(TableError, match=r"\['Pneumomediastinum'\], words that labels/mappings/vindr\.csv lacks"):
        box_table(replace(VINDR, read_boxes=with_a_new_word), write_kaggle(tmp_path))


@pytest.mark.realdata
def test_published_boxes_of_nih(tmp_path):
    root = published_nih(tmp_path)
    shutil.copy(published_file("BBox_List_2017.csv.gz"), root)
    table = box_table(NIH, root)
    assert (table.height, table["image_id"].n_unique()) == (984, 880)
    counts = table.group_by("finding", "pathology").len().rows()
    assert {word: (pathology, count) for word, pathology, count in counts} == NIH_BOXES
    assert table.select((pl.col("x") + pl.col("width")).max()).item() == pytest.approx(1012, abs=0.5)
    assert table.select((pl.col("y") + pl.col("height")).max()).item() == pytest.approx(1022, abs=0.5)


@pytest.mark.realdata
@pytest.mark.parametrize("folder", ["nih", "nih-224"])
def test_boxes_of_real_images_belong_to_them(folder):
    root = shared_folder(folder)
    table, images = box_table(NIH, root), NIH.read_images(root).collect()
    assert table.height > 0
    assert set(table["image_id"]) <= set(images["image_id"])


@pytest.mark.realdata
def test_published_boxes_of_vindr(tmp_path):
    shutil.copy(published_file("vinbigdata-train.csv.gz"), tmp_path / "train.csv.gz")
    table = box_table(VINDR, tmp_path)
    assert (table.height, table["reader"].n_unique()) == (36_096, 11)  # six readers found nothing
    counts = dict(table["pathology"].value_counts().rows())
    assert {name: counts[name] for name in VINDR_BOXES} == VINDR_BOXES
    assert not {"Mass", "Nodule"} & set(counts)
