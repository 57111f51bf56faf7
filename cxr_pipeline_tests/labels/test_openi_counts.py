"""The published MeSH terms of OpenI give the counts of the reference (label mapping, sections 6 and 8)."""

import polars as pl
import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.datasets.openi.release import read_release
from cxr_pipeline.datasets.openi.source import COMPOUNDS
from cxr_pipeline.labels.harmonize import label_table
from cxr_pipeline.labels.mapping import read_mapping
from cxr_pipeline.labels.summary import count_labels
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline_tests.datasets.openi.files import published_openi, write_xml, xml_text

IMAGES, UNINDEXED_IMAGES = 7_470, 172
COUNTS = {  # positive, unknown
    "Atelectasis": (616, 190),
    "Cardiomegaly": (655, 210),
    "Consolidation": (53, 1_020),
    "Edema": (87, 269),
    # The reference has 257: it takes a blunted `Sulcus` (6 reports) for nothing, a blunted `Costophrenic Angle/sulcus`
    # for doubt, though both are the same sign.
    "Effusion": (292, 257 + 11),
    "Emphysema": (199, 518),
    # The reference has 495: it doubts a `Cicatrix` without a place, but not one of which only side or degree is said.
    "Fibrosis": (36, 495 + 10),
    "Hernia": (90, 172),
    "Infiltration": (116, 1_222),
    "Mass": (30, 303),
    "Nodule": (211, 830),
    "Pleural_Thickening": (82, 327 + 12),  # `Sulcus`, as above
    "Pneumonia": (77, 371),
    "Pneumothorax": (54, 172),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return published_openi(tmp_path_factory.mktemp("openi"))


@pytest.fixture(scope="module")
def openi(root):
    return label_table(DATASETS["openi"], root)


@pytest.mark.realdata
def test_positives_negatives_and_unknowns(openi):
    expected = {name: (one, IMAGES - one - null, 0, null) for name, (one, null) in COUNTS.items()}
    assert {row[0]: row[1:] for row in count_labels(openi.table).rows()} == expected


@pytest.mark.realdata
def test_every_published_word_is_mapped_and_every_mapped_word_is_published(openi, root):
    assert openi.unmapped.is_empty()
    files = DATASETS["openi"].find_metadata(root).files
    heads = {" ".join(term.split("/")[0].split()).lower() for term in read_release(files).terms["term"].unique()}
    listed = {word.lower() for word in read_mapping("openi")["finding"]}
    compounds = {word.lower() for word in COMPOUNDS}
    assert heads <= listed | {compound.split("/")[0] for compound in compounds}
    assert listed - compounds - {"(no labels)"} <= heads


@pytest.mark.realdata
def test_reports_that_were_never_indexed_say_nothing(openi):
    unobserved = openi.table.filter(
        pl.all_horizontal(pl.col("evidence").struct.field(name) == "unobserved" for name in PATHOLOGIES)
    )
    assert unobserved.height == UNINDEXED_IMAGES


def test_compounds_of_the_source_are_those_that_the_mapping_speaks_of():
    words = set(read_mapping("openi")["finding"])
    assert {word for word in words if "/" in word} == COMPOUNDS


@pytest.mark.parametrize(
    ("terms", "positive", "unknown"),
    [
        (["Mass/breast/right"], "", ""),
        (["Mass/mediastinum/right"], "", "Mass"),
        (["Mass/thorax/left"], "Mass", ""),
        (["Thickening/pleura/apex"], "Pleural_Thickening", ""),
        (["Thickening/lung/interstitial"], "", ""),
        (["Cardiac Shadow/enlarged/mild"], "", "Cardiomegaly"),
        (["Cardiac Shadow/borderline"], "", ""),
        (["Opacity/lung/base"], "", "Consolidation Infiltration"),
        (["Opacity/ribs"], "", ""),
        (["Lung/hyperdistention"], "", "Emphysema"),
        (["Lung/hypoinflation"], "", ""),
        (["Cicatrix/lung/lingula"], "", "Fibrosis"),
        (["Cicatrix/pleura"], "", "Pleural_Thickening"),
        (["Consolidation/lung"], "Consolidation", "Infiltration"),
        (["Consolidation", "Infiltrate"], "Consolidation Infiltration", ""),
        (["Hydropneumothorax/left"], "Effusion Pneumothorax", ""),
        (["Cystic Fibrosis", "Subcutaneous Emphysema", "Nipple Shadow"], "", ""),
        (["Pericardial Effusion"], "", "Cardiomegaly"),
        (["Calcified Granuloma/lung"], "", "Nodule"),
        (["normal"], "", ""),
        (["No Indexing"], "", " ".join(PATHOLOGIES)),
        ([], "", " ".join(PATHOLOGIES)),
    ],
)
def test_terms_mean_what_the_reference_says(tmp_path, terms, positive, unknown):
    write_xml(tmp_path, xml_text(terms=terms, images=["CXR12_IM-0003-1001"]))
    [row] = label_table(DATASETS["openi"], tmp_path).table.select(PATHOLOGIES).rows(named=True)
    assert [name for name in PATHOLOGIES if row[name] == 1] == positive.split()
    assert [name for name in PATHOLOGIES if row[name] is None] == unknown.split()
