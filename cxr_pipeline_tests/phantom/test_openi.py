import cv2
import numpy as np
import pytest

from cxr_pipeline.datasets.inventory import take_inventory
from cxr_pipeline.datasets.openi.source import OPENI
from cxr_pipeline.labels.harmonize import label_table
from cxr_pipeline.labels.mapping import read_mapping
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.phantom.cohort import draw_patient
from cxr_pipeline.phantom.openi import TERMS, UNRELATED, index_study
from cxr_pipeline.phantom.write import PhantomRequest, write_phantoms

REQUEST = PhantomRequest("openi", patients=60, seed=5, size=32)
STUDIES = [draw_patient("openi", REQUEST.seed, index).studies[0] for index in range(REQUEST.patients)]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("openi")
    write_phantoms(REQUEST, folder, workers=1)
    return folder


@pytest.fixture(scope="module")
def labels(root):
    return label_table(OPENI, root)


def test_every_row_has_its_file_and_every_file_its_row(root):
    inventory = take_inventory(OPENI, root)
    assert inventory.table["is_present"].all()
    assert (inventory.extra, inventory.warnings) == (0, ())
    assert inventory.table.height == sum(1 + study.has_lateral for study in STUDIES)
    assert inventory.table["is_phantom"].all()


def test_projections_tell_frontal_from_lateral(root):
    views = take_inventory(OPENI, root).table.group_by("study_id", maintain_order=True).agg("view")["view"].to_list()
    assert views == [["PA", "LATERAL"] if study.has_lateral else ["PA"] for study in STUDIES]


def test_labels_are_what_was_drawn_where_the_report_was_indexed(labels):
    drawn = {f"openi/{number}": study.findings for number, study in enumerate(STUDIES, start=1)}
    rows = labels.table.select("study_id", *PATHOLOGIES).rows(named=True)
    indexed = [row for row in rows if any(row[name] is not None for name in PATHOLOGIES)]
    assert 0.9 < len(indexed) / len(rows) < 1
    for row in indexed:
        findings = drawn[row["study_id"]]
        for name in PATHOLOGIES:
            # Null: a granuloma may be a Nodule, and a consolidation an infiltrate.
            is_doubtful = name == "Nodule" or (name == "Infiltration" and "Consolidation" in findings)
            assert row[name] in ((1,) if name in findings else (0, None) if is_doubtful else (0,))


def test_every_word_is_one_of_the_mapping(labels):
    assert labels.unmapped.is_empty()
    heads = {term.split("/")[0].strip() for terms in TERMS.values() for term in terms} | {
        term.split("/")[0].strip() for term in UNRELATED
    }
    assert heads - {"Thickening"} <= set(read_mapping("openi")["finding"])


def test_indexers_use_one_term_per_finding_and_sometimes_none():
    rng = np.random.default_rng(0)
    readings = [index_study(rng, ("Mass", "Hernia")) for _ in range(2000)]
    unindexed = [terms for terms in readings if terms == ["No Indexing"]]
    assert len(unindexed) / 2000 == pytest.approx(0.03, abs=0.015)
    for terms in readings:
        assert terms == ["No Indexing"] or [term.split("/")[0] for term in terms][:2] == ["Mass", "Hernia, Hiatal"]


def test_nothing_to_index_is_normal():
    rng = np.random.default_rng(0)
    assert ["normal"] in [index_study(rng, ()) for _ in range(20)]


def test_pictures_are_colour_png_without_colour(root):
    for path in (root / "NLMCXR_png").iterdir():
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert pixels.shape[0] == 32
        assert (pixels == pixels[..., :1]).all()
        assert pixels.std() > 20


def test_reports_have_four_sections_and_speak_of_what_was_drawn(root):
    texts = OPENI.read_reports(root).collect()
    assert dict(texts["section"].value_counts().rows()) == dict.fromkeys(
        ("indication", "comparison", "findings", "impression"), REQUEST.patients
    )
    effusions = {f"openi/{n}" for n, study in enumerate(STUDIES, start=1) if "Effusion" in study.findings}
    affirmed = texts.filter(texts["text"].str.contains("There is a small pleural effusion"))
    assert effusions == set(affirmed["study_id"])
