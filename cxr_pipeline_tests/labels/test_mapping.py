"""A mapping is a table that a radiologist can review: every word once, with a rule and a reason."""

import polars as pl
import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.datasets.base import NO_LABELS
from cxr_pipeline.errors import TableError
from cxr_pipeline.labels.mapping import Meaning, check_mapping, interpret, read_mapping, term
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables.labels import MappingTable
from cxr_pipeline_tests.datasets.sources import CHEXPERT_FINDINGS


def mapping_of(*rows):
    return pl.DataFrame(rows, schema=["finding", "pathology", "rule", "reason"], orient="row")


@pytest.mark.parametrize("name", DATASETS)
def test_every_source_has_a_valid_mapping(name):
    mapping = read_mapping(name)
    assert validate_table(mapping, MappingTable).equals(mapping)
    assert mapping["reason"].null_count() == 0


def test_nih_maps_its_fourteen_terms_by_name_and_no_finding_outside():
    mapping = read_mapping("nih").filter(pl.col("finding") != "Infiltrate")  # of the list of boxes alone
    direct = mapping.filter(pl.col("rule") == "direct")
    assert direct["finding"].to_list() == direct["pathology"].to_list() == list(PATHOLOGIES)
    assert mapping.filter(pl.col("rule") != "direct").select("finding", "rule").rows() == [("No Finding", "outside")]


def test_chexpert_has_a_row_for_every_column_and_observes_seven_classes():
    mapping = read_mapping("chexpert")
    assert set(mapping["finding"]) == {*CHEXPERT_FINDINGS.split(","), NO_LABELS}
    direct = mapping.filter(pl.col("rule") == "direct").select("finding", "pathology")
    assert dict(direct.rows()) == {
        "Atelectasis": "Atelectasis",
        "Cardiomegaly": "Cardiomegaly",
        "Consolidation": "Consolidation",
        "Edema": "Edema",
        "Pleural Effusion": "Effusion",
        "Pneumonia": "Pneumonia",
        "Pneumothorax": "Pneumothorax",
    }
    assert mapping.filter(pl.col("rule") == "normal")["finding"].to_list() == ["No Finding"]


@pytest.mark.parametrize("word", ["Lung Opacity", "Lung Lesion", "Pleural Other", "Enlarged Cardiomediastinum"])
def test_broader_word_is_never_taken_for_a_class(word):
    row = read_mapping("chexpert").row(by_predicate=pl.col("finding") == word, named=True)
    assert (row["pathology"], row["rule"]) == (None, "outside")


def test_source_without_a_mapping_is_refused():
    with pytest.raises(TableError, match=r"No mapping unheard\.csv"):
        read_mapping("unheard")


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([("Mass", "Mass", "direct", "x"), ("Mass", "Mass", "parent", "x")], "one_row_per_word_and_class"),
        ([("Mass", "Mass", "direct", "x"), (" mass ", "Mass", "direct", "x")], "twice for one class, but for case"),
        ([("A  mass", "Mass", "direct", "x"), ("a mass", "Mass", "direct", "x")], "twice for one class, but for case"),
        ([("Mass", "Mass", "direct", "x"), ("mass", None, "outside", "x")], "in another row, of none"),
        ([("Mass", None, "mutes", "x"), ("mass", None, "voids", "x")], "twice for one class"),
        ([("Mass", None, "direct", "x")], "have a class though"),
        ([("Mass", "Mass", "outside", "x")], "have a class though"),
        ([("Mass", "Mass", "normal", "x")], "have a class though"),
        ([("Mass", "Mass", "mutes", "x")], "have a class though"),
        ([("Mass", "Mass", "voids", "x")], "have a class though"),
        ([("Mass", None, "stated", "x")], "have a class though"),
        ([("Mass", "Mass", "direct", None)], "have no reason"),
        ([("Mass", "Tumour", "direct", "x")], "MappingTable"),
        ([("Mass", "Mass", "guess", "x")], "MappingTable"),
    ],
)
def test_inconsistent_mapping_is_refused(rows, problem):
    with pytest.raises(TableError, match=problem):
        check_mapping(mapping_of(*rows))


def test_word_may_have_a_row_for_each_of_several_classes():
    rows = mapping_of(("Nodule/Mass", "Mass", "parent", "x"), ("Nodule/Mass", "Nodule", "parent", "x"))
    assert check_mapping(rows).height == 2


def test_meanings_are_those_of_the_words_asked_for():
    mapping = check_mapping(
        mapping_of(("Nodule/Mass", "Mass", "parent", "x"), ("Nodule/Mass", "Nodule", "direct", "x"))
    )
    assert interpret(mapping, [" nodule/mass", "nodule"]) == {
        " nodule/mass": (
            Meaning("parent", (PATHOLOGIES.index("Mass"),)),
            Meaning("direct", (PATHOLOGIES.index("Nodule"),)),
        )
    }


def test_words_are_compared_stripped_in_lower_case_and_whole():
    words = pl.DataFrame({"finding": [" Pleural  Effusion ", "pericardial effusion"]})
    assert words.select(term(pl.col("finding")))["finding"].to_list() == ["pleural effusion", "pericardial effusion"]
