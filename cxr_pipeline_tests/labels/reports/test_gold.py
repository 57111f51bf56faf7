"""OpenI as gold: which reports count, and that the labeler reaches the floor on those it was not made from."""

import shutil
import tarfile

import polars as pl
import pytest

from cxr_pipeline.datasets.openi.source import OPENI
from cxr_pipeline.labels.harmonize import label_table
from cxr_pipeline.labels.reports.gold import flag_normal, read_gold, score_gold
from cxr_pipeline.labels.reports.labeler import label_reports
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline_tests.datasets.realdata import published_file

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("openi")
    with tarfile.open(published_file("NLMCXR_reports.tgz")) as archive:
        archive.extractall(folder, filter="data")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def gold(root):
    return read_gold(root)


def test_the_gold_is_what_the_reference_counts(gold):
    assert gold.labels.filter("is_test").height == 747
    assert not gold.labels["study_id"].is_duplicated().any()
    assert gold.labels.filter("is_new_text").height < 747
    assert gold.labels.filter(pl.col("is_new_text") & ~pl.col("is_test")).is_empty()


def test_only_an_enlarged_shadow_adds_to_the_harmonized_labels(gold, root):
    harmonized = label_table(OPENI, root).table.unique("study_id").select("study_id", *PATHOLOGIES)
    both = gold.labels.select("study_id", *PATHOLOGIES).join(harmonized, on="study_id", suffix="_before")
    assert both.height == gold.labels.height
    changed = {name: both.filter(pl.col(name).ne_missing(pl.col(f"{name}_before"))) for name in PATHOLOGIES}
    assert {name for name, rows in changed.items() if rows.height} == {"Cardiomegaly"}
    rows = changed["Cardiomegaly"]
    assert set(rows.select("Cardiomegaly", "Cardiomegaly_before").rows()) == {(1, None)}
    assert 0 < rows.height <= 52  # reports indexed with an enlarged shadow (label mapping, section 6)


def test_the_labeler_reaches_its_floor_on_reports_it_was_not_made_from(gold):
    states = label_reports(gold.reports).states
    scores = score_gold(gold, states)
    for part in ("test", "test, new text"):
        f1 = dict(scores.filter(pl.col("reports") == part).select("pathology", "f1").rows())
        assert f1["micro"] >= 0.91
        assert f1["macro"] >= 0.88
        assert min(f1["Effusion"], f1["Cardiomegaly"]) >= 0.92
        assert flag_normal(gold, states)[part] <= 0.005
