"""The Spanish lexicon on sentences of ours in PadChest's form, on phantoms, and on the published reports."""

import csv
import shutil
import tomllib
from pathlib import Path

import polars as pl
import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.labels.harmonize import label_table
from cxr_pipeline.labels.reports.agreement import pooled_kappa
from cxr_pipeline.labels.reports.crosscheck import LANGUAGES, MIN_KAPPA, crosscheck_labels, judge_crosscheck
from cxr_pipeline.labels.reports.labeler import explain
from cxr_pipeline.labels.reports.lexicon import _FOLDER
from cxr_pipeline.labels.reports.phrases import expand
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.phantom.write import PhantomRequest, write_phantoms
from cxr_pipeline_tests.datasets.padchest_rows import padchest_row, published_padchest, write_padchest
from cxr_pipeline_tests.labels.reports.phrases import spell_out

PADCHEST = DATASETS["padchest"]

with (Path(__file__).parent / "challenge_es.csv").open(encoding="utf-8", newline="") as file:
    CHALLENGE = [(row["trap"], row["text"], row["expected"]) for row in csv.DictReader(file)]


def crosscheck(root: Path) -> pl.DataFrame:
    return crosscheck_labels("padchest", PADCHEST.read_reports(root).collect(), label_table(PADCHEST, root).table)


@pytest.mark.parametrize(("trap", "text", "expected"), CHALLENGE)
def test_challenge(trap, text, expected):
    stated = dict(pair.split("=") for pair in expected.split(";") if pair)
    states = {name: state for name, state in explain(text, "es").states.items() if state is not None}
    assert states == {name: int(state) for name, state in stated.items()}, trap


def test_the_challenge_has_a_positive_and_a_denial_of_every_class():
    said = {pair for _, _, expected in CHALLENGE for pair in expected.split(";")}
    assert said >= {f"{name}={state}" for name in PATHOLOGIES for state in (0, 1)}


def names_of_findings():
    content = tomllib.loads((_FOLDER / "es.toml").read_text(encoding="utf-8"))
    terms = {}
    for name, phrase in content["terms"].items():
        terms[name] = f"({expand(phrase, terms)})"
    for name, entry in content["findings"].items():
        for phrase in entry["mention"]:
            yield from ((name, spelled) for spelled in spell_out(expand(phrase, terms)))


def test_sin_before_any_name_of_a_finding_denies_it():
    """But for names that begin with a change: `sin cambi` says that there is none, not that nothing is there."""
    named = dict.fromkeys(pair for pair in names_of_findings() if not pair[1].startswith("cambi"))
    assert len(named) > 200
    wrong = [(name, text) for name, text in named if explain(f" sin {text} .", "es").states[name] not in (0, None)]
    assert wrong == []


def test_labellers_are_compared_apart_and_a_study_once(tmp_path: Path):
    rows = [
        padchest_row("1_a", StudyID="1", Report=" derram pleural .", Labels="['pleural effusion']"),
        padchest_row("1_b", StudyID="1", Report=" derram pleural .", Labels="['pleural effusion']"),
        padchest_row("2_a", StudyID="2", Report=" posibl derram .", Labels="['pleural effusion']"),
        padchest_row("3_a", StudyID="3", Report=" sin derram .", Labels="['normal']"),
        padchest_row("4_a", StudyID="4", Report=" derram pleural .", Labels="['normal']", MethodLabel="RNN_model"),
        padchest_row("5_a", StudyID="5", Report="nan", Labels="['normal']"),
    ]
    found = crosscheck(write_padchest(tmp_path, rows)).filter(pathology="Effusion")
    counts = found.select("reports", "theirs", "both_positive", "ours_only", "theirs_only", "both_negative").rows()
    assert counts == [("padchest", "physician", 2, 0, 0, 1), ("padchest", "program", 0, 1, 0, 0)]


def test_reports_of_phantoms_say_nothing_and_are_not_judged(tmp_path: Path):
    write_phantoms(PhantomRequest("padchest", patients=12, seed=1, size=48), tmp_path, workers=1)
    agreement = crosscheck(tmp_path)
    assert agreement["both_positive"].sum() == agreement["ours_only"].sum() == 0
    assert agreement["theirs_only"].sum() > 0
    assert judge_crosscheck(agreement).passed
    assert judge_crosscheck(agreement.clear()).passed


def test_agreement_below_the_floor_is_said(tmp_path: Path):
    rows = [
        padchest_row(f"{n}_a", StudyID=str(n), Report=text, Labels=labels)
        for n, (text, labels) in enumerate(
            [(" derram .", "['pleural effusion']"), (" nodul .", "['pneumonia']"), (" masa .", "['hiatal hernia']")]
        )
    ]
    verdict = judge_crosscheck(crosscheck(write_padchest(tmp_path, rows)))
    assert not verdict.passed
    assert verdict.facts["kappa"] < verdict.facts["floor"] == MIN_KAPPA


def test_every_crosschecked_source_has_labels_reports_and_a_lexicon():
    for name, language in LANGUAGES.items():
        assert DATASETS[name].read_findings
        assert DATASETS[name].read_reports
        assert (_FOLDER / f"{language}.toml").is_file()


@pytest.mark.realdata
@pytest.mark.long
def test_the_reader_agrees_with_the_physicians_of_padchest(tmp_path: Path):
    """On the 26,413 studies that physicians labelled; no word was chosen by them (figures of 2026-11-23)."""
    agreement = crosscheck(published_padchest(tmp_path))
    shutil.rmtree(tmp_path)
    physicians = agreement.filter(theirs="physician")
    assert pooled_kappa(physicians) >= 0.93
    kappa = dict(physicians.select("pathology", "kappa").rows())
    assert min(kappa[name] for name in PATHOLOGIES if name not in ("Consolidation", "Mass")) >= 0.8
    assert min(kappa.values()) >= 0.75
    assert judge_crosscheck(agreement).passed
