"""Each rule by which statements become a label and its evidence, on one image at a time, then all at once."""

import numpy as np
import polars as pl
import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.errors import SourceNotFoundError, TableError
from cxr_pipeline.labels.harmonize import CELLS, LabelResult, harmonize, label_table
from cxr_pipeline.labels.mapping import check_mapping
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables import ImageTable, LabelTable
from cxr_pipeline_tests.datasets.sources import chexpert_row, nih_row, write_chexpert, write_nih

MAPPING = {
    "nodule": ("Nodule", "direct"),
    "multiple nodules": ("Nodule", "direct"),
    "mass": ("Mass", "direct"),
    "effusion": ("Effusion", "direct"),
    "granuloma": ("Nodule", "ambiguous"),
    "lung lesion": ("Nodule", "parent"),
    "lung opacity": ("Infiltration", "parent"),  # a class that this source never states
    "normal": (None, "normal"),
    "fracture": (None, "outside"),
}
OBSERVED = ("Nodule", "Mass", "Effusion")


def images_of(count):
    rows = pl.DataFrame({"image_id": [f"x/{number}" for number in range(count)]})
    filled = rows.with_columns(
        patient_id=pl.col("image_id"),
        study_id=pl.col("image_id"),
        dataset=pl.lit("x"),
        view=pl.lit("PA"),
        age_years=pl.lit(50.0),
        sex=pl.lit("F"),
        official_split=pl.lit(None, pl.String),
        is_phantom=pl.lit(value=True),
    )
    return validate_table(filled, ImageTable)


def findings_of(*statements):
    rows = [(f"x/{image}", finding, value, "") for image, finding, value in statements]
    schema = {"image_id": pl.String, "finding": pl.String, "value": pl.Int8, "reader": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def mapping_of(words):
    rows = [(word, pathology, rule, "test") for word, (pathology, rule) in words.items()]
    schema = {"finding": pl.String, "pathology": pl.String, "rule": pl.String, "reason": pl.String}
    return check_mapping(pl.DataFrame(rows, schema=schema, orient="row"))


def harmonized(*statements, images=1, unstated_is="negative"):
    return harmonize(images_of(images), findings_of(*statements), mapping_of(MAPPING), unstated_is=unstated_is)


def cell(result, pathology, image=0):
    row = result.table.row(image, named=True)
    return row[pathology], row["evidence"][pathology]


def cell_of(*statements, pathology="Nodule", unstated_is="negative"):
    """The Nodule cell of one image of which `(word, value)` pairs are said."""
    result = harmonized(*[(0, *statement) for statement in statements], unstated_is=unstated_is)
    return cell(result, pathology)


@pytest.mark.parametrize(("value", "label"), [(1, 1), (0, 0), (-1, -1)])
def test_word_of_the_same_meaning_is_taken_as_stated(value, label):
    assert cell_of(("nodule", value)) == (label, "explicit")


@pytest.mark.parametrize(
    "other", [("multiple nodules", -1), ("multiple nodules", 0), ("granuloma", 1), ("lung lesion", 1), ("normal", 1)]
)
def test_positive_wins_over_everything(other):
    assert cell_of(("nodule", 1), other) == cell_of(other, ("nodule", 1)) == (1, "explicit")


@pytest.mark.parametrize("doubt", [("granuloma", 1), ("granuloma", -1), ("lung lesion", 1), ("lung lesion", -1)])
@pytest.mark.parametrize("other", [("nodule", -1), ("nodule", 0), ("normal", 1), ("fracture", 1)])
def test_doubtful_or_broader_word_makes_the_cell_unknown(doubt, other):
    assert cell_of(doubt) == cell_of(doubt, other) == cell_of(other, doubt) == (None, "ambiguous")


@pytest.mark.parametrize("other", [("multiple nodules", 0), ("lung lesion", 0), ("normal", 1)])
def test_uncertain_wins_over_negative(other):
    assert cell_of(("nodule", -1), other) == (-1, "explicit")


def test_stated_negative_is_explicit_beside_a_denied_parent():
    assert cell_of(("nodule", 0), ("lung lesion", 0)) == (0, "explicit")


def test_denied_parent_denies_the_class():
    assert cell_of(("lung lesion", 0)) == (0, "parent")


def test_normal_denies_the_observed_classes_only():
    result = harmonized((0, "normal", 1))
    assert {name: cell(result, name) for name in OBSERVED} == dict.fromkeys(OBSERVED, (0, "parent"))
    rest = set(PATHOLOGIES) - set(OBSERVED)
    assert {name: cell(result, name) for name in rest} == dict.fromkeys(rest, (None, "unobserved"))


@pytest.mark.parametrize("value", [0, -1])
def test_normal_that_is_not_affirmed_says_nothing(value):
    assert cell_of(("normal", value)) == (0, "absence")


def test_denied_doubtful_word_says_nothing():
    assert cell_of(("granuloma", 0)) == (0, "absence")


def test_word_outside_the_classes_says_nothing():
    assert cell_of(("fracture", 1)) == (0, "absence")


def test_silence_is_negative_where_the_source_means_it_so():
    result = harmonized()
    assert cell(result, "Nodule") == (0, "absence")
    assert cell(result, "Hernia") == (None, "unobserved")


def test_silence_is_unknown_where_the_source_does_not_mean_it_so():
    assert cell_of(unstated_is="unknown") == (None, "unobserved")
    assert cell_of(("nodule", 0), unstated_is="unknown") == (0, "explicit")
    assert cell_of(("normal", 1), unstated_is="unknown") == (0, "parent")


def test_denied_parent_of_an_unobserved_class_teaches_no_negative():
    assert cell_of(("lung opacity", 0), pathology="Infiltration") == (None, "unobserved")
    assert cell_of(("lung opacity", 1), pathology="Infiltration") == (None, "ambiguous")


@pytest.mark.parametrize("word", ["Nodule", " nodule ", "NODULE"])
def test_case_and_surrounding_blanks_do_not_matter(word):
    assert cell_of((word, 1)) == (1, "explicit")


@pytest.mark.parametrize("word", ["pseudonodule", "nodules", "nodule-like", "no nodule"])
def test_word_that_holds_a_mapped_word_is_another_word(word):
    result = harmonized((0, word, 1))
    assert cell(result, "Nodule") == (None, "unobserved")
    assert result.unmapped.rows() == [(word, 1)]


def test_unknown_word_takes_the_absences_of_its_image_and_leaves_what_is_stated():
    result = harmonized((0, "nodule", 1), (0, "mass", 0), (0, "efusion", 1), (1, "nodule", 1), images=2)
    assert cell(result, "Nodule") == (1, "explicit")
    assert cell(result, "Mass") == (0, "explicit")
    assert cell(result, "Effusion") == (None, "unobserved")
    assert cell(result, "Effusion", image=1) == (0, "absence")


def test_unknown_words_are_counted_in_images_most_frequent_first():
    result = harmonized(
        (0, "bulla", 1), (0, "tube", 1), (1, "tube", 1), (1, "tube", 1), (1, "nodule", 1), (2, "aorta", -1), images=3
    )
    assert result.unmapped.rows() == [("tube", 2), ("aorta", 1), ("bulla", 1)]


def test_image_counts_once_for_an_unknown_word_of_two_readers():
    said = findings_of((0, "tube", 1), (0, "tube", 1)).with_columns(reader=pl.Series(["R1", "R2"]))
    result = harmonize(images_of(1), said, mapping_of(MAPPING), unstated_is="negative")
    assert result.unmapped.rows() == [("tube", 1)]


def test_repeated_findings_collapse():
    once, twice = harmonized((0, "nodule", 1)), harmonized((0, "nodule", 1), (0, "nodule", 1))
    assert once.table.equals(twice.table)
    assert cell(harmonized((0, "nodule", -1), (0, "nodule", 0)), "Nodule") == (-1, "explicit")
    assert cell(harmonized((0, "nodule", 0), (0, "nodule", 1), (0, "nodule", -1)), "Nodule") == (1, "explicit")


def test_rows_keep_the_published_order():
    result = harmonized((3, "nodule", 1), (1, "mass", 1), images=4)
    assert result.table["image_id"].to_list() == ["x/0", "x/1", "x/2", "x/3"]
    assert result.table["Nodule"].to_list() == [0, 0, 0, 1]


def test_finding_of_no_image_is_refused():
    with pytest.raises(TableError, match="1 findings belong to no image"):
        harmonized((0, "nodule", 1), (7, "nodule", 1))


@pytest.mark.parametrize("statement", [(0, "nodule", 2), (0, "", 1)])
def test_finding_that_breaks_its_table_is_refused(statement):
    with pytest.raises(TableError, match="FindingTable"):
        harmonized(statement)


def _expected_cell(said, pathology):
    """The rules once more, in the plainest words, for one image and one class."""
    values = [value for word, value in said if MAPPING.get(word) == (pathology, "direct")]
    broader = [value for word, value in said if MAPPING.get(word) == (pathology, "parent")]
    doubtful = [value for word, value in said if MAPPING.get(word) == (pathology, "ambiguous")]
    observed = pathology in OBSERVED
    if 1 in values:
        return 1, "explicit"
    if any(value != 0 for value in broader + doubtful):
        return None, "ambiguous"
    if -1 in values:
        return -1, "explicit"
    if 0 in values:
        return 0, "explicit"
    if observed and (0 in broader or ("normal", 1) in said):
        return 0, "parent"
    if observed and not any(word not in MAPPING for word, _ in said):
        return 0, "absence"
    return None, "unobserved"


def test_random_statements_follow_the_rules_word_for_word():
    rng = np.random.default_rng(7)
    words = [*MAPPING, "unheard of"]
    count = 400
    said = {
        image: [(words[rng.integers(len(words))], int(rng.integers(-1, 2))) for _ in range(rng.integers(0, 5))]
        for image in range(count)
    }
    result = harmonized(*[(image, *pair) for image, pairs in said.items() for pair in pairs], images=count)
    cells = {(image, name): cell(result, name, image) for image in said for name in PATHOLOGIES}
    expected = {(image, name): _expected_cell(said[image], name) for image in said for name in PATHOLOGIES}
    assert cells == expected
    assert set(expected.values()) == set(CELLS.values())


def test_nih_no_finding_adds_nothing_to_absence(tmp_path):
    result = label_table(DATASETS["nih"], write_nih(tmp_path, [nih_row(labels="No Finding")]))
    assert {cell(result, name) for name in PATHOLOGIES} == {(0, "absence")}


def test_nih_misspelt_class_is_reported_and_becomes_no_negative(tmp_path):
    result = label_table(DATASETS["nih"], write_nih(tmp_path, [nih_row(labels="Infiltrate|Mass")]))
    assert result.unmapped.rows() == [("Infiltrate", 1)]
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


def test_phantom_marker_reaches_the_labels(tmp_path):
    write_nih(tmp_path)
    assert not label_table(DATASETS["nih"], tmp_path).table["is_phantom"].any()
    (tmp_path / "PHANTOM.txt").write_text("rendered")
    assert label_table(DATASETS["nih"], tmp_path).table["is_phantom"].all()


def test_missing_source_is_an_error(tmp_path):
    with pytest.raises(SourceNotFoundError):
        label_table(DATASETS["nih"], tmp_path / "absent")


def test_labels_of_an_unused_source_are_empty_and_valid():
    result = LabelResult.empty()
    assert validate_table(result.table, LabelTable).height == 0
    assert result.unmapped.schema == harmonized().unmapped.schema
