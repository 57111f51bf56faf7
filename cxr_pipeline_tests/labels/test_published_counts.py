"""The published metadata gives the counts of the reference (label mapping, section 8), for every class."""

import time

import polars as pl
import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.labels.harmonize import label_table
from cxr_pipeline.labels.summary import count_labels
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline_tests.datasets.realdata import published_chexpert, published_nih, shared_folder

NIH_IMAGES, CHEXPERT_IMAGES = 112_120, 223_414
NIH_POSITIVES = {
    "Atelectasis": 11_559,
    "Cardiomegaly": 2_776,
    "Consolidation": 4_667,
    "Edema": 2_303,
    "Effusion": 13_317,
    "Emphysema": 2_516,
    "Fibrosis": 1_686,
    "Hernia": 227,
    "Infiltration": 19_894,
    "Mass": 5_782,
    "Nodule": 6_331,
    "Pleural_Thickening": 3_385,
    "Pneumonia": 1_431,
    "Pneumothorax": 5_302,
}
CHEXPERT_SILENT = 12  # rows of train.csv that are blank in every label column
CHEXPERT_COUNTS = {  # positive, negative (the silent rows among them, as the release counts), uncertain
    "Atelectasis": (33_376, 156_299, 33_739),
    "Cardiomegaly": (27_000, 188_327, 8_087),
    "Consolidation": (14_783, 180_889, 27_742),
    "Edema": (52_246, 158_184, 12_984),
    "Effusion": (86_187, 125_599, 11_628),
    "Pneumonia": (6_039, 198_605, 18_770),
    "Pneumothorax": (19_448, 200_821, 3_145),
}
CHEXPERT_STATED_NEGATIVES = {
    "Atelectasis": 1_328,
    "Cardiomegaly": 11_116,
    "Consolidation": 28_097,
    "Edema": 20_726,
    "Effusion": 35_396,
    "Pneumonia": 2_799,
    "Pneumothorax": 56_341,
}

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def nih(tmp_path_factory):
    root = published_nih(tmp_path_factory.mktemp("nih"))
    started = time.process_time()
    return label_table(DATASETS["nih"], root), time.process_time() - started


@pytest.fixture(scope="module")
def chexpert(tmp_path_factory):
    return label_table(DATASETS["chexpert"], published_chexpert(tmp_path_factory.mktemp("chexpert")))


def counted(table):
    return {row[0]: row[1:] for row in count_labels(table).rows()}


def evidence_counts(table, pathology):
    cells = table.select(name=pl.col("evidence").struct.field(pathology), value=pathology)
    return {row[:2]: row[2] for row in cells.group_by("name", "value").len().rows()}


def test_nih_positives_and_negatives(nih):
    expected = {name: (count, NIH_IMAGES - count, 0, 0) for name, count in NIH_POSITIVES.items()}
    assert counted(nih[0].table) == expected


def test_nih_says_positives_and_is_silent_about_the_rest(nih):
    for name, count in NIH_POSITIVES.items():
        expected = {("explicit", 1): count, ("absence", 0): NIH_IMAGES - count}
        assert evidence_counts(nih[0].table, name) == expected


def test_nih_has_no_unmapped_word_and_keeps_the_published_order(nih):
    assert nih[0].unmapped.is_empty()
    assert nih[0].table["image_id"].head(2).to_list() == ["nih/00000001_000", "nih/00000001_001"]
    assert nih[0].table.height == NIH_IMAGES


def test_nih_is_harmonized_from_file_to_table_in_seconds(nih):
    # 0.4 CPU-seconds when quiet; the bound only catches a row loop (11 s), whatever else the machine does.
    assert nih[1] < 4


def test_chexpert_positives_negatives_and_uncertain(chexpert):
    unobserved = dict.fromkeys(set(PATHOLOGIES) - set(CHEXPERT_COUNTS), (0, 0, 0, CHEXPERT_IMAGES))
    observed = {
        name: (positive, negative - CHEXPERT_SILENT, uncertain, CHEXPERT_SILENT)
        for name, (positive, negative, uncertain) in CHEXPERT_COUNTS.items()
    }
    assert counted(chexpert.table) == observed | unobserved
    assert chexpert.unmapped.is_empty()


def test_chexpert_negatives_tell_what_they_rest_on(chexpert):
    no_finding = 22_381
    for name, (positive, negative, uncertain) in CHEXPERT_COUNTS.items():
        cells = evidence_counts(chexpert.table, name)
        assert cells[("explicit", 0)] == CHEXPERT_STATED_NEGATIVES[name]
        assert cells[("explicit", 0)] + cells[("parent", 0)] + cells[("absence", 0)] == negative - CHEXPERT_SILENT
        assert (cells[("explicit", 1)], cells[("explicit", -1)]) == (positive, uncertain)
        # "No Finding" denies every class, and where the class itself is denied as well, that is the evidence.
        assert no_finding - CHEXPERT_STATED_NEGATIVES[name] <= cells[("parent", 0)] <= no_finding


def test_chexpert_no_finding_rows_have_no_positive_and_no_uncertain_cell(chexpert):
    denied = chexpert.table.filter(pl.col("evidence").struct.field("Atelectasis") == "parent")
    assert denied.height > 20_000
    cells = denied.select(*CHEXPERT_COUNTS).unpivot()["value"]
    assert cells.unique().to_list() == [0]


@pytest.mark.parametrize("folder", ["nih", "nih-224"])
def test_real_images_are_labelled_without_a_gap(folder):
    result = label_table(DATASETS["nih"], shared_folder(folder))
    assert result.unmapped.is_empty()
    assert result.table.select(PATHOLOGIES).null_count().sum_horizontal().item() == 0
    assert not result.table["is_phantom"].any()
