"""The published Kaggle file gives the counts of the reference (label mapping, sections 5 and 8).

The reference counts an image once: k of 3 readers first, then `parent-only`, an image of which no reader says the
class and two or more say a doubtful word. Our cells put the doubtful word before one reader of three (rule "ambiguous
beats uncertain"), so the -1 and null cells of a class add up to the reference's two columns.
"""

import shutil

import polars as pl
import pytest

from cxr_pipeline.datasets.vindr.source import VINDR, read_answers
from cxr_pipeline.labels.harmonize import label_table
from cxr_pipeline.labels.policy import LabelPolicy
from cxr_pipeline.labels.summary import count_labels
from cxr_pipeline_tests.datasets.realdata import published_file
from cxr_pipeline_tests.datasets.vindr.test_source import sheet_row, write_physionet

IMAGES = 15_000
REFERENCE = {  # class: word, majority, one of three, parent-only, any reader
    "Atelectasis": ("Atelectasis", 62, 124, 0, 186),
    "Cardiomegaly": ("Cardiomegaly", 1_817, 483, 0, 2_300),
    "Consolidation": ("Consolidation", 121, 232, 340, 353),
    "Effusion": ("Pleural effusion", 634, 398, 0, 1_032),
    "Fibrosis": ("Pulmonary fibrosis", 1_017, 600, 71, 1_617),
    "Infiltration": ("Infiltration", 245, 368, 473, 613),
    "Pleural_Thickening": ("Pleural thickening", 882, 1_099, 0, 1_981),
    "Pneumothorax": ("Pneumothorax", 58, 38, 0, 96),
}
UNANIMOUS = {"Atelectasis": 18, "Consolidation": 31, "Pneumothorax": 45, "Effusion": 439, "Cardiomegaly": 1_297}
# Images of one reader in three among those of a doubtful word: null, not -1.
DOUBTED_ONES = {"Consolidation": 128, "Fibrosis": 51, "Infiltration": 154}
NEVER_ASKED = ("Edema", "Emphysema", "Hernia", "Pneumonia")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vindr")
    shutil.copy(published_file("vinbigdata-train.csv.gz"), folder / "train.csv.gz")
    return folder


@pytest.fixture(scope="module")
def labels(root):
    return label_table(VINDR, root)


@pytest.fixture(scope="module")
def votes(root):
    """One row per image: how many of its three readers say each word."""
    return read_answers(root).group_by("image_id").agg(pl.col(pl.Int8).sum())


def counted(table):
    return {row[0]: row[1:] for row in count_labels(table).rows()}


def evidence(table, pathology):
    return dict(table["evidence"].struct.field(pathology).value_counts().rows())


@pytest.mark.realdata
@pytest.mark.parametrize("pathology", REFERENCE)
def test_cells_of_a_class_that_readers_were_asked_about(labels, pathology):
    _, positive, single, parent_only, _ = REFERENCE[pathology]
    doubted = DOUBTED_ONES.get(pathology, 0)
    unknown = parent_only + doubted
    negative = IMAGES - positive - single - parent_only
    assert counted(labels.table)[pathology] == (positive, negative, single - doubted, unknown)
    assert evidence(labels.table, pathology).get("ambiguous", 0) == unknown
    assert evidence(labels.table, pathology)["explicit"] == IMAGES - unknown


@pytest.mark.realdata
def test_parent_only_images_are_those_no_reader_says_the_class_of(labels, votes):
    joined = labels.table.join(votes, on="image_id")
    for pathology, (word, _, _, parent_only, _) in REFERENCE.items():
        name = f"{word}_right" if word in labels.table.columns else word
        is_null = pl.col(pathology).is_null()
        assert joined.filter(is_null & (pl.col(name) == 0)).height == parent_only
        assert joined.filter(is_null & (pl.col(name) == 1)).height == DOUBTED_ONES.get(pathology, 0)
        assert joined.filter(is_null & (pl.col(name) > 1)).is_empty()


@pytest.mark.realdata
def test_joint_word_hides_mass_and_nodule(labels):
    for pathology in ("Mass", "Nodule"):
        assert counted(labels.table)[pathology] == (0, 0, 0, IMAGES)
        assert evidence(labels.table, pathology)["ambiguous"] == 405 + 421


@pytest.mark.realdata
def test_classes_without_a_word_are_unobserved(labels):
    for pathology in NEVER_ASKED:
        assert evidence(labels.table, pathology) == {"unobserved": IMAGES}
    assert labels.unmapped.is_empty()


@pytest.mark.realdata
@pytest.mark.parametrize("silence", ["negative", "unknown"])
def test_no_reading_of_silence_fills_what_readers_were_not_asked(root, silence):
    table = label_table(VINDR, root, LabelPolicy(unstated=silence)).table
    for pathology in NEVER_ASKED:
        assert table[pathology].null_count() == IMAGES


@pytest.mark.realdata
def test_any_reader_makes_a_positive_where_the_policy_says_so(root):
    table = label_table(VINDR, root, LabelPolicy(reader_votes="any")).table
    for pathology, (_, _, _, _, anyone) in REFERENCE.items():
        assert counted(table)[pathology][0] == anyone


@pytest.mark.realdata
def test_soft_votes_keep_the_share_of_readers(root):
    table = label_table(VINDR, root, LabelPolicy(reader_votes="soft")).table
    for pathology, unanimous in UNANIMOUS.items():
        shares = table["reader_share"].struct.field(pathology)
        assert (shares > 0.99).sum() == unanimous
        assert (shares > 0.6).sum() == REFERENCE[pathology][1]


@pytest.mark.parametrize(("readers", "cell"), [("000", 0), ("100", -1), ("110", 1), ("111", 1)])
@pytest.mark.parametrize("word", ["Edema", "Pneumonia", "Pleural_effusion"])
def test_physionets_words_are_voted_on(tmp_path, word, readers, cell):
    train = [sheet_row("a" * 32, f"R{i}", **{word: value}) for i, value in enumerate(readers)]
    table = label_table(VINDR, write_physionet(tmp_path, train)).table
    assert table[{"Pleural_effusion": "Effusion"}.get(word, word)].to_list() == [cell]
    assert table["Hernia"].to_list() == [None]


def test_consensus_of_the_test_set_is_no_vote(tmp_path):
    root = write_physionet(tmp_path, test=[sheet_row("c" * 32, Emphysema="1", COPD="1")])
    table = label_table(VINDR, root).table.filter(pl.col("official_split") == "test")
    assert table.select("Emphysema", "Edema", "Hernia").rows() == [(1, 0, None)]
    assert table["evidence"].struct.field("Edema").to_list() == ["explicit"]


@pytest.mark.parametrize(
    ("word", "pathology"),
    [("COPD", "Emphysema"), ("ILD", "Fibrosis"), ("Lung_Opacity", "Consolidation"), ("Lung_tumor", "Mass")],
)
def test_doubtful_word_of_two_readers_hides_the_class_and_of_one_does_not(tmp_path, word, pathology):
    for name, readers in (("two", "110"), ("one", "100")):
        train = [sheet_row("a" * 32, f"R{i}", **{word: value}) for i, value in enumerate(readers)]
        table = label_table(VINDR, write_physionet(tmp_path / name, train)).table
        expected = "ambiguous" if name == "two" else "unobserved" if pathology == "Mass" else "explicit"
        assert table["evidence"].struct.field(pathology).to_list() == [expected]
