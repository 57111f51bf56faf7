"""Labels of a source that has reports only, on phantoms of ReXGradient whose reports say what was drawn."""

from pathlib import Path

import polars as pl
import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.errors import TableError
from cxr_pipeline.labels.harmonize import LabelResult
from cxr_pipeline.labels.reports.tables import is_reported, label_from_reports, label_source, read_evidence
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.phantom.cohort import draw_patient
from cxr_pipeline.phantom.write import PhantomRequest, write_phantoms

REX = DATASETS["rexgradient"]
REQUEST = PhantomRequest("rexgradient", patients=25, seed=3, size=48)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rexgradient")
    write_phantoms(REQUEST, folder, workers=1)
    return folder


@pytest.fixture(scope="module")
def evidence(root: Path) -> pl.DataFrame:
    return read_evidence(REX, root)


@pytest.fixture(scope="module")
def result(root: Path, evidence: pl.DataFrame) -> LabelResult:
    return label_from_reports(REX, root, evidence)


def test_only_sources_without_labels_of_their_own_are_read_from_reports():
    assert [name for name, dataset in DATASETS.items() if is_reported(dataset)] == ["rexgradient"]


def test_drawn_findings_come_back_as_positives(result: LabelResult):
    drawn = [
        study.findings
        for index in range(REQUEST.patients)
        for study in draw_patient("rexgradient", REQUEST.seed, index).studies
    ]
    studies = result.table.unique("study_id")
    assert studies.height == len(drawn)
    for name in PATHOLOGIES:
        assert (studies[name] == 1).sum() == sum(name in findings for findings in drawn)


def test_all_images_of_a_study_have_its_labels(result: LabelResult):
    counts = result.table.group_by("study_id").agg(pl.col(name).n_unique() for name in PATHOLOGIES)
    assert counts.drop("study_id").to_numpy().max() == 1


def test_silence_is_absence_with_that_evidence_and_a_denial_is_explicit(result: LabelResult, evidence: pl.DataFrame):
    denied = set(evidence.filter(pathology="Effusion", state=0)["study_id"])
    effusion = result.table.filter(pl.col("Effusion") == 0).select(
        "study_id", why=pl.col("evidence").struct.field("Effusion").cast(pl.String)
    )
    assert set(effusion["why"]) == {"explicit", "absence"}
    assert set(effusion.filter(why="explicit")["study_id"]) <= denied
    assert not set(effusion.filter(why="absence")["study_id"]) & denied


def test_report_without_findings_leaves_what_it_does_not_name_unknown(root: Path, evidence: pl.DataFrame):
    silent = evidence["study_id"][0]
    bare = DATASETS["rexgradient"].read_reports

    def without_findings(folder: Path) -> pl.LazyFrame:
        is_dropped = (pl.col("study_id") == silent) & (pl.col("section") == "findings")
        return bare(folder).filter(~is_dropped)

    other = REX.__class__(**{**vars(REX), "read_reports": without_findings})
    table = label_from_reports(other, root, read_evidence(other, root)).table.filter(study_id=silent)
    reasons = set(table["evidence"].struct.unnest().row(0))
    assert "absence" not in reasons
    assert "unobserved" in reasons


def test_evidence_holds_positions_and_no_sentence(root: Path, evidence: pl.DataFrame):
    texts = REX.read_reports(root).collect()["text"].to_list()
    sentences = {sentence.strip() for text in texts for sentence in text.split(".") if len(sentence.strip()) > 25}
    cells = {cell for name in ("cue", "section", "lexicon_hash") for cell in evidence[name].unique() if cell}
    assert sentences
    assert not sentences & cells
    assert (evidence["end"] > evidence["start"]).all()


def test_labels_are_the_same_whether_or_not_evidence_is_kept(root: Path, result: LabelResult):
    assert label_source(REX, root).table.equals(result.table)


def test_source_without_reports_is_a_clear_error(tmp_path: Path):
    with pytest.raises(TableError, match="publishes no reports"):
        read_evidence(DATASETS["nih"], tmp_path)
