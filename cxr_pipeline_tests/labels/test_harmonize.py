"""Each rule by which statements become a label and its evidence, on one image at a time."""

from dataclasses import replace

import polars as pl
import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.errors import SourceNotFoundError, TableError
from cxr_pipeline.labels.harmonize import LabelResult, label_table
from cxr_pipeline.labels.policy import LabelPolicy
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables.labels import LabelTable
from cxr_pipeline_tests.datasets.sources import write_chexpert, write_nih
from cxr_pipeline_tests.labels.cases import cell, harmonized

OBSERVED = ("Nodule", "Mass", "Effusion")


def cell_of(*statements, pathology="Nodule", **options):
    """One cell of one image of which `(word, value)` pairs are said."""
    return cell(harmonized(*[(0, *statement) for statement in statements], **options), pathology)


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


def test_image_counts_once_for_an_unknown_word_of_two_values():
    assert harmonized((0, "tube", 1), (0, "tube", 0)).unmapped.rows() == [("tube", 1)]


def test_word_may_speak_of_several_classes():
    result = harmonized((0, "mass in a nodule", 1), (1, "mass in a nodule", 0), images=2)
    assert [cell(result, "Mass", image) for image in (0, 1)] == [(1, "explicit"), (0, "explicit")]
    assert cell(result, "Nodule") == (None, "ambiguous")
    assert cell(result, "Nodule", image=1) == (0, "absence")


@pytest.mark.parametrize("value", [1, 0, -1])
def test_stated_word_counts_as_it_is_and_its_silence_as_nothing(value):
    assert cell_of(("hernia of the other file", value), pathology="Hernia") == (value, "explicit")
    assert cell_of(("normal", 1), pathology="Hernia") == (None, "unobserved")
    assert cell_of(pathology="Hernia") == (None, "unobserved")


@pytest.mark.parametrize("other", [[], [("normal", 1)], [("lung lesion", 0)], [("fracture", 1)]])
def test_muting_word_takes_what_silence_would_say(other):
    assert cell_of(("unchanged", 1), *other) == (None, "unobserved")


@pytest.mark.parametrize(("value", "label"), [(1, 1), (0, 0), (-1, -1)])
def test_muting_word_leaves_what_is_stated_of_the_class_itself(value, label):
    assert cell_of(("unchanged", 1), ("nodule", value)) == (label, "explicit")
    assert cell_of(("unchanged", 1), ("granuloma", 1)) == (None, "ambiguous")


@pytest.mark.parametrize("other", [[], [("nodule", 1)], [("granuloma", 1)], [("normal", 1)], [("unchanged", 1)]])
def test_voiding_word_leaves_nothing(other):
    said = [(0, *statement) for statement in [("exclude", 1), *other]]
    result = harmonized(*said, (1, "nodule", 1), images=2)
    assert {cell(result, name) for name in PATHOLOGIES} == {(None, "unobserved")}
    assert cell(result, "Nodule", image=1) == (1, "explicit")


@pytest.mark.parametrize("word", ["unchanged", "exclude"])
@pytest.mark.parametrize("value", [0, -1])
def test_muting_or_voiding_word_that_is_not_affirmed_says_nothing(word, value):
    assert cell_of((word, value)) == (0, "absence")


def test_what_the_file_says_is_a_word_like_others_and_is_reported_without_a_row():
    result = harmonized((0, "(no labels)", 1), (1, "(no such note)", 1), images=2)
    assert cell(result, "Nodule") == (None, "unobserved")
    assert result.unmapped.rows() == [("(no such note)", 1)]


def test_policy_decides_what_silence_means():
    policy = {value: LabelPolicy(unstated=value) for value in ("as_source", "negative", "unknown")}
    for source in ("negative", "unknown"):
        cells = {name: cell_of(unstated_is=source, policy=choice) for name, choice in policy.items()}
        negative, unknown = (0, "absence"), (None, "unobserved")
        assert cells["negative"] == negative
        assert cells["unknown"] == unknown
        assert cells["as_source"] == (negative if source == "negative" else unknown)


def test_no_finding_denies_every_class_only_if_the_policy_says_so():
    policy = LabelPolicy(derived_negatives="no_finding")
    assert cell_of(("normal", 1), pathology="Hernia", policy=policy) == (0, "parent")
    assert cell_of(("lung opacity", 0), pathology="Infiltration", policy=policy) == (None, "unobserved")
    assert cell_of(("fracture", 1), pathology="Hernia", policy=policy) == (None, "unobserved")


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


def test_phantom_marker_reaches_the_labels(tmp_path):
    write_nih(tmp_path)
    assert not label_table(DATASETS["nih"], tmp_path).table["is_phantom"].any()
    (tmp_path / "PHANTOM.txt").write_text("rendered")
    assert label_table(DATASETS["nih"], tmp_path).table["is_phantom"].all()


def test_source_of_reports_alone_knows_nothing(tmp_path):
    reports_only = replace(DATASETS["nih"], read_findings=None, read_wide=None)
    result = label_table(reports_only, write_nih(tmp_path), LabelPolicy(unstated="negative"))
    assert validate_table(result.table, LabelTable).height == 3
    assert {cell(result, name, image) for name in PATHOLOGIES for image in range(3)} == {(None, "unobserved")}


def test_column_per_finding_and_row_per_finding_say_the_same(tmp_path):
    write_chexpert(tmp_path)
    by_rows = replace(DATASETS["chexpert"], read_wide=None)
    assert label_table(by_rows, tmp_path).table.equals(label_table(DATASETS["chexpert"], tmp_path).table)


def test_labels_are_as_their_table_declares(tmp_path):
    table = label_table(DATASETS["chexpert"], write_chexpert(tmp_path)).table
    assert validate_table(table, LabelTable).equals(table)
    assert validate_table(table, LabelTable).schema == table.schema


def test_images_that_are_not_as_declared_are_refused(tmp_path):
    def read_images(root):
        return DATASETS["nih"].read_images(root).with_columns(view=pl.lit("OBLIQUE"))

    with pytest.raises(TableError, match="LabelTable"):
        label_table(replace(DATASETS["nih"], read_images=read_images), write_nih(tmp_path))


def test_missing_source_is_an_error(tmp_path):
    with pytest.raises(SourceNotFoundError):
        label_table(DATASETS["nih"], tmp_path / "absent")


def test_labels_of_an_unused_source_are_empty_and_valid():
    result = LabelResult.empty()
    assert validate_table(result.table, LabelTable).height == 0
    assert result.unmapped.schema == harmonized().unmapped.schema
