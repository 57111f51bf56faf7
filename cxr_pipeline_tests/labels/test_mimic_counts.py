"""MIMIC-CXR-JPG's labels, on tables of the published form: no real row may leave PhysioNet."""

import polars as pl
import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.datasets.base import NO_LABELS
from cxr_pipeline.labels.harmonize import label_table
from cxr_pipeline.labels.mapping import read_mapping
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline_tests.datasets.mimic.rows import (
    CXR_LT_2023,
    FINDINGS,
    cxr_lt_row,
    label_row,
    mimic_row,
    write_cxr_lt,
    write_experts,
    write_mimic,
)

SEVEN = ("Emphysema", "Fibrosis", "Hernia", "Infiltration", "Mass", "Nodule", "Pleural_Thickening")
LABELER = tuple(name for name in PATHOLOGIES if name not in SEVEN)
OTHER = "50000002"


@pytest.fixture
def root(tmp_path):
    """Two labelled studies of one image each."""
    images = [mimic_row(1), mimic_row(2, study=OTHER)]
    return write_mimic(tmp_path, images, [label_row(Edema="1.0", Pneumonia="-1.0"), label_row(OTHER, No_Finding="1.0")])


def cells_of(root, names, image=0):
    """What is said of each of `names`, with its evidence; the distinct pairs."""
    result = label_table(DATASETS["mimic"], root)
    assert result.unmapped.is_empty()
    row = result.table.row(image, named=True)
    return {(row[name], row["evidence"][name]) for name in names}


def test_every_word_of_the_files_has_a_meaning():
    words = set(read_mapping("mimic")["finding"])
    assert set(FINDINGS) < words
    assert {name.replace("_", " ") for name in SEVEN} < words


def test_labeler_means_what_it_means_in_chexpert():
    columns = ("finding", "pathology", "rule")
    chexpert, mimic = (read_mapping(name).select(columns) for name in ("chexpert", "mimic"))
    assert (
        mimic.filter(pl.col("finding").is_in([*FINDINGS, NO_LABELS])).sort("finding").equals(chexpert.sort("finding"))
    )


def test_labelers_cell_is_taken_as_stated_and_its_blank_as_absence(root):
    assert cells_of(root, ["Edema"]) == {(1, "explicit")}
    assert cells_of(root, ["Pneumonia"]) == {(-1, "explicit")}
    assert cells_of(root, set(LABELER) - {"Edema", "Pneumonia"}) == {(0, "absence")}
    assert cells_of(root, LABELER, image=1) == {(0, "parent")}


def test_seven_classes_are_unobserved_without_cxr_lt_whatever_no_finding_says(root):
    assert cells_of(root, SEVEN) == cells_of(root, SEVEN, image=1) == {(None, "unobserved")}


def test_cxr_lt_fills_the_seven_classes_of_the_images_that_it_names(root):
    write_cxr_lt(root / "cxr-lt-2024" / "train_labeled.csv", cxr_lt_row(1, Nodule="1"))
    assert cells_of(root, ["Nodule"]) == {(1, "explicit")}
    assert cells_of(root, set(SEVEN) - {"Nodule"}) == {(0, "explicit")}
    assert cells_of(root, SEVEN, image=1) == {(None, "unobserved")}


def test_cxr_lt_never_overrides_the_release(root):
    before = cells_of(root, LABELER)
    opposite = {word.replace(" ", "_"): "1" for word in CXR_LT_2023 if word != "Edema"}
    write_cxr_lt(root / "cxr-lt-2024" / "train_labeled.csv", cxr_lt_row(1, **opposite))
    table = label_table(DATASETS["mimic"], root).table
    assert cells_of(root, LABELER) == before
    assert table.select(LABELER).row(0, named=True) == dict.fromkeys(LABELER, 0) | {"Edema": 1, "Pneumonia": -1}


def test_study_without_labels_is_unknown_and_may_still_be_filled_by_cxr_lt(root):
    write_mimic(root, [mimic_row(1)], [label_row(), label_row(OTHER, Edema="1.0")])
    write_cxr_lt(root / "cxr-lt-2024" / "train_labeled.csv", cxr_lt_row(1, Hernia="1"))
    assert cells_of(root, LABELER) == {(None, "unobserved")}
    assert cells_of(root, ["Hernia"]) == {(1, "explicit")}
    assert cells_of(root, ["Mass"]) == {(0, "explicit")}


def test_experts_word_counts(root):
    write_experts(root, label_row(Edema="0.0", Lung_Opacity="1.0", Pneumothorax="-1.0"))
    assert cells_of(root, ["Edema"]) == {(0, "explicit")}
    assert cells_of(root, ["Pneumothorax"]) == {(-1, "explicit")}
    assert cells_of(root, ["Pneumonia"]) == {(0, "absence")}  # the labeler's doubt is gone
