"""PadChest's published table gives the counts of the reference (label mapping, sections 2, 8, 9)."""

import polars as pl
import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.labels.harmonize import label_table
from cxr_pipeline.labels.mapping import read_mapping
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.tables.raw import FRONTAL_VIEWS
from cxr_pipeline_tests.datasets.padchest_rows import padchest_row, published_padchest, write_padchest

IMAGES, USABLE = 160_861, 154_531
COUNTS = {  # positive, unknown among the usable images, positive in frontal views
    "Atelectasis": (8_961, 11_479, 6_168),
    "Cardiomegaly": (15_006, 9_435, 9_837),
    "Consolidation": (2_634, 15_244, 1_765),
    "Edema": (1_456, 13_772, 1_299),
    "Effusion": (10_015, 14_056, 7_038),
    "Emphysema": (1_537, 31_023, 932),
    "Fibrosis": (1_631, 14_270, 941),
    "Hernia": (2_363, 10_448, 1_609),
    "Infiltration": (18_823, 12_262, 13_085),
    "Mass": (1_083, 11_118, 632),
    "Nodule": (4_072, 14_045, 2_549),
    "Pleural_Thickening": (5_156, 15_923, 3_373),
    "Pneumonia": (8_174, 10_125, 5_223),
    "Pneumothorax": (573, 10_515, 416),
}
LATER_WORDS = {"hemothorax", "viral pneumonia", "COVID 19", "COVID 19 uncertain"}  # in later trees, not in this table


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    return label_table(DATASETS["padchest"], published_padchest(tmp_path_factory.mktemp("padchest")))


def cell_of(root, words, pathology):
    row = label_table(DATASETS["padchest"], write_padchest(root, [padchest_row(Labels=str(words))])).table.row(
        0, named=True
    )
    return row[pathology], row["evidence"][pathology]


@pytest.mark.realdata
@pytest.mark.parametrize("pathology", PATHOLOGIES)
def test_positives_negatives_and_unknowns(labels, pathology):
    positive, unknown, frontal = COUNTS[pathology]
    cells = labels.table[pathology]
    assert (cells == 1).sum() == positive
    assert (cells == 0).sum() == USABLE - positive - unknown
    assert (cells == -1).sum() == 0
    assert cells.null_count() == unknown + (IMAGES - USABLE)
    views = labels.table.filter(pl.col("view").is_in(FRONTAL_VIEWS))
    assert (views[pathology] == 1).sum() == frontal


@pytest.mark.realdata
def test_every_published_word_has_a_meaning(labels):
    assert labels.unmapped.is_empty()
    words = {word for word in read_mapping("padchest")["finding"] if not word.startswith("(")} - LATER_WORDS
    assert len(words) == 193  # of 194 one is empty text


@pytest.mark.realdata
def test_normal_denies_what_the_report_does_not_name(labels):
    evidence = labels.table["evidence"].struct.field("Pneumothorax")
    # 50,616 images have the word, 28 of them beside "unchanged", 2 beside a pneumothorax.
    assert (evidence == "parent").sum() == 50_616 - 28 - 2
    assert (evidence == "ambiguous").sum() == 0  # no word is doubtful about a pneumothorax


@pytest.mark.parametrize(
    ("word", "pathology"),
    [
        ("pseudonodule", "Nodule"),
        ("mediastinal mass", "Mass"),
        ("soft tissue mass", "Mass"),
        ("breast mass", "Mass"),
        ("subcutaneous emphysema", "Emphysema"),
        ("COPD signs", "Emphysema"),
        ("pericardial effusion", "Effusion"),
        ("fissure thickening", "Pleural_Thickening"),
        ("diaphragmatic eventration", "Hernia"),
        ("consolidation", "Infiltration"),
    ],
)
def test_word_that_others_take_for_a_class_is_not_taken_for_it(tmp_path, word, pathology):
    assert cell_of(tmp_path, [word], pathology)[0] != 1


@pytest.mark.parametrize("pathology", ["Effusion", "Pneumothorax"])
def test_hydropneumothorax_is_both(tmp_path, pathology):
    assert cell_of(tmp_path, ["hydropneumothorax"], pathology) == (1, "explicit")


@pytest.mark.parametrize("word", ["reticulonodular interstitial pattern", "miliary opacities"])
def test_one_word_may_be_sure_of_one_class_and_doubtful_of_another(tmp_path, word):
    assert cell_of(tmp_path, [word], "Infiltration") == (1, "explicit")
    assert cell_of(tmp_path, [word], "Nodule") == (None, "ambiguous")


@pytest.mark.parametrize(
    ("words", "nodule", "mass"),
    [
        (["nodule"], (1, "explicit"), (0, "absence")),
        (["nodule", "unchanged"], (1, "explicit"), (None, "unobserved")),
        (["unchanged", "normal"], (None, "unobserved"), (None, "unobserved")),
        (["nodule", "exclude"], (None, "unobserved"), (None, "unobserved")),
        (["suboptimal study"], (None, "unobserved"), (None, "unobserved")),
        (["suboptimal study", "nodule"], (1, "explicit"), (0, "absence")),
        (["normal"], (0, "parent"), (0, "parent")),
        (["scoliosis"], (0, "absence"), (0, "absence")),
        ([], (None, "unobserved"), (None, "unobserved")),
        (["unheard of"], (None, "unobserved"), (None, "unobserved")),
    ],
)
def test_what_silence_means_beside_each_word(tmp_path, words, nodule, mass):
    assert (cell_of(tmp_path, words, "Nodule"), cell_of(tmp_path, words, "Mass")) == (nodule, mass)
