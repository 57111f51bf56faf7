"""Rows of NIH and CheXpert, from their own words to the labels."""

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.labels.harmonize import label_table
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline_tests.datasets.sources import chexpert_row, nih_row, write_chexpert, write_nih
from cxr_pipeline_tests.labels.cases import cell


def test_nih_no_finding_adds_nothing_to_absence(tmp_path):
    result = label_table(DATASETS["nih"], write_nih(tmp_path, [nih_row(labels="No Finding")]))
    assert {cell(result, name) for name in PATHOLOGIES} == {(0, "absence")}


def test_nih_misspelt_class_is_reported_and_becomes_no_negative(tmp_path):
    result = label_table(DATASETS["nih"], write_nih(tmp_path, [nih_row(labels="Infiltrates|Mass")]))
    assert result.unmapped.rows() == [("Infiltrates", 1)]
    assert cell(result, "Mass") == (1, "explicit")
    assert cell(result, "Infiltration") == (None, "unobserved")


def test_chexpert_row_in_all_its_values(tmp_path):
    row = chexpert_row(Edema="1.0", Pneumonia="-1.0", Pneumothorax="0.0", Lung_Opacity="1.0", Pleural_Other="0.0")
    result = label_table(DATASETS["chexpert"], write_chexpert(tmp_path, [row], valid=None))
    assert cell(result, "Edema") == (1, "explicit")
    assert cell(result, "Pneumonia") == (-1, "explicit")
    assert cell(result, "Pneumothorax") == (0, "explicit")
    assert cell(result, "Effusion") == (0, "absence")
    assert cell(result, "Infiltration") == cell(result, "Fibrosis") == (None, "unobserved")


def test_chexpert_enlarged_cardiomediastinum_is_not_cardiomegaly(tmp_path):
    row = chexpert_row(Enlarged_Cardiomediastinum="1.0")
    result = label_table(DATASETS["chexpert"], write_chexpert(tmp_path, [row], valid=None))
    assert cell(result, "Cardiomegaly") == (0, "absence")


def test_chexpert_no_finding_denies_what_is_blank(tmp_path):
    row = chexpert_row(No_Finding="1.0", Pneumothorax="0.0", Support_Devices="1.0")
    result = label_table(DATASETS["chexpert"], write_chexpert(tmp_path, [row], valid=None))
    assert cell(result, "Pneumothorax") == (0, "explicit")
    assert cell(result, "Edema") == (0, "parent")
    assert cell(result, "Emphysema") == (None, "unobserved")


def test_chexpert_row_of_blanks_is_unknown_as_in_mimic(tmp_path):
    result = label_table(DATASETS["chexpert"], write_chexpert(tmp_path, [chexpert_row()], valid=None))
    assert {cell(result, name) for name in PATHOLOGIES} == {(None, "unobserved")}
    assert result.unmapped.is_empty()
