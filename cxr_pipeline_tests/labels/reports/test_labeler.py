"""The labeler on the challenge sentences, its properties, and its behaviour on text that is no report."""

import csv
import random
import time
import tomllib
from pathlib import Path
from textwrap import wrap

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cxr_pipeline.errors import TableError
from cxr_pipeline.labels.reports import labeler as module
from cxr_pipeline.labels.reports.labeler import described_studies, explain, label_reports
from cxr_pipeline.labels.reports.lexicon import _FOLDER, read_lexicon
from cxr_pipeline.labels.reports.phrases import expand
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline_tests.labels.reports.phrases import spell_out

with (Path(__file__).parent / "challenge.csv").open(encoding="utf-8", newline="") as file:
    CHALLENGE = [(row["trap"], row["text"], row["expected"]) for row in csv.DictReader(file)]
SENTENCES = [text for trap, text, _ in CHALLENGE if trap != "section" and "\n" not in text]
OWN_WORDS = "no not effusion mass or and , . ( ) may be heart size is enlarged XXXX İ \x00"
NO_STATES = dict.fromkeys(PATHOLOGIES)


def expected_states(expected):
    stated = dict(pair.split("=") for pair in expected.split(";") if pair)
    return NO_STATES | {name: int(state) for name, state in stated.items()}


def states(text):
    return explain(text).states


def frame(*texts):
    return pl.DataFrame({"study_id": [f"s{row}" for row in range(len(texts))], "text": list(texts)})


@pytest.mark.parametrize(("trap", "text", "expected"), CHALLENGE)
def test_challenge(trap, text, expected):
    assert states(text) == expected_states(expected), trap


def test_the_challenge_is_large_and_has_every_state_of_every_class():
    assert len({text for _, text, _ in CHALLENGE}) == len(CHALLENGE) >= 120
    said = {item for _, _, expected in CHALLENGE for item in expected_states(expected).items()}
    assert said >= {(name, state) for name in PATHOLOGIES for state in (0, 1)}


def synonyms():
    content = tomllib.loads((_FOLDER / "en.toml").read_text(encoding="utf-8"))
    terms = {}
    for name, phrase in content["terms"].items():
        terms[name] = f"({expand(phrase, terms)})"
    for name, entry in content["findings"].items():
        for phrase in [*entry["mention"], *entry.get("doubtful", [])]:
            yield from ((name, spelled) for spelled in spell_out(expand(phrase, terms)))


def test_no_before_any_name_of_a_finding_denies_it():
    named = dict.fromkeys(synonyms())
    assert len(named) > 300
    wrong = [(name, text) for name, text in named if states(f"No {text}.")[name] not in (0, None)]
    assert wrong == []
    silent = [(name, text) for name, text in named if states(f"No {text}.")[name] is None]
    assert len(silent) < len(named) / 20, silent  # a made-up spelling may run into an exclusion


HEADINGS = read_lexicon("en").sections


@given(st.sampled_from(SENTENCES), st.randoms(use_true_random=False))
def test_case_blanks_and_wrapped_lines_change_nothing(text, chance):
    """But for a line break that leaves a heading alone on its line: that is how reports part their sections."""
    blanks = "".join(chance.choice([" ", "  ", "   "]) if c == " " else c for c in text)
    spread = chance.choice(["\n", " \n "]).join(wrap(blanks, chance.randint(60, 100)))
    assume(not any(" ".join(line.lower().split()) in HEADINGS for line in spread.splitlines()))
    assert states(spread) == states(text.upper()) == states(text.lower()) == states(text)


@given(st.lists(st.sampled_from(SENTENCES), min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_sections_changes_nothing(texts, chance):
    sections = [
        f"{name}: {text}" for name, text in zip(["Findings", "Impression", "Conclusion", "Report"], texts, strict=False)
    ]
    shuffled = chance.sample(sections, len(sections))
    assert states("\n\n".join(sections)) == states("\n\n".join(shuffled))


@given(st.sampled_from(SENTENCES), st.sampled_from(SENTENCES))
def test_an_indication_before_the_report_changes_nothing(asked, said):
    assert states(f"INDICATION: {asked}\n\nFINDINGS: {said}") == states(said)
    assert states(f"History: {asked}\n\n{said}") == states(said)


@given(st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=5))
def test_a_report_says_the_strongest_of_what_its_sentences_say(texts):
    strength = {None: 0, 0: 1, -1: 2, 1: 3}
    strongest = {name: max((states(text)[name] for text in texts), key=strength.get) for name in PATHOLOGIES}
    assert states("\n\n".join(texts)) == strongest


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_any_text_has_states_and_positions_that_fit(text):
    read = explain(text)
    assert set(read.states.values()) <= {None, 0, 1, -1}
    for mention in read.mentions:
        assert 0 <= mention.start < mention.end <= len(text)
        assert text[mention.cue_start : mention.cue_end] == mention.cue


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([*OWN_WORDS.split(), "\n"]), max_size=60))
def test_any_order_of_its_own_words_is_read(words):
    assert set(states(" ".join(words)).values()) <= {None, 0, 1, -1}


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        " ",
        "\n",
        "\n ",
        ". ",
        "heart size is mildly ",
        "effusion: ",
        "effusion ( ",
        "effusion: none ",
        "effusion no  ",
        "effusion - none ",
        "effusion | ",
        "effusion\t",
        "a:\n - ",
        "a:\n",
        "effusion:\nnone\n",
        "? a",
        "[x] effusion\n",
        "effusion [",
        "effusion  x\n",
        "- a\n",
        "[ ] effusion ",
        "1. A ",
        "? ",
        "no effusion or ",
        "Indication: ",
        "indication:\n\n",
        "XXXX ",
        "((",
        "İ",
        "vs. ",
        "effusion, no, ",
        "Yes No\n[ ] [x] mass\n",
        "Q: mass?\nA: no\n",
        "mass\nright: none\n",
        "mass ___no___ ",
        "mass (0=no) ",
        "mass -, ",
        "[no] mass ",
        "x o mass ",
        "effusion: r none, l none ",
        "TECHNIQUE: a\nmass: no\n",
        "TECHNIQUE: PA FINDINGS ",
        "_",
    ],
)
def test_time_is_linear_in_the_length_of_the_text(unit):
    def seconds(length):
        text = unit * (length // len(unit))
        started = time.process_time()
        explain(text)
        return time.process_time() - started

    short = min(seconds(1_500) for _ in range(3))  # what else the machine does only ever adds
    # Sixteen times the length: linear is 16, quadratic 256; the constant is what a clock cannot tell.
    assert any(seconds(24_000) < 64 * short + 0.02 for _ in range(3))


def test_a_line_of_a_megabyte_is_read():
    text = "x" * 1_000_000 + " effusion"
    assert states(text) == NO_STATES | {"Effusion": 1}


def test_labels_and_evidence_of_reports_in_sections():
    reports = pl.DataFrame(
        {
            "study_id": ["b", "a", "b", "c"],
            "section": ["Findings", "impression", "Indication", "findings"],
            "text": ["Effusion. No mass.", "Effusion. No mass.", "Pneumonia?", None],
        }
    )
    result = label_reports(reports)
    assert result.states["study_id"].to_list() == ["b", "a", "c"]
    assert result.states.schema == pl.Schema({"study_id": pl.String, **dict.fromkeys(PATHOLOGIES, pl.Int8)})
    cells = {row.pop("study_id"): row for row in result.states.to_dicts()}
    said = NO_STATES | {"Effusion": 1, "Mass": 0}
    assert cells == {"b": said, "a": said, "c": NO_STATES}
    assert result.evidence.rows() == [
        ("b", "Effusion", 1, 0, 8, "", "findings"),
        ("b", "Mass", 0, 13, 17, "No", "findings"),
        ("a", "Effusion", 1, 0, 8, "", "impression"),
        ("a", "Mass", 0, 13, 17, "No", "impression"),
    ]


def test_a_frame_is_labelled_as_each_of_its_texts():
    texts = [text for _, text, _ in CHALLENGE] * 2
    random.Random(0).shuffle(texts)
    labelled = label_reports(frame(*texts)).states.drop("study_id").to_dicts()
    assert labelled == [states(text) for text in texts]


def test_processes_change_nothing(monkeypatch):
    reports = frame(*SENTENCES)
    alone = label_reports(reports)
    monkeypatch.setattr(module, "_FEWEST_TEXTS", 60)
    shared = label_reports(reports, processes=2)
    assert shared.states.equals(alone.states)
    assert shared.evidence.equals(alone.evidence)


def test_no_reports_give_empty_tables():
    result = label_reports(frame("x").clear())
    assert result.states.is_empty()
    assert result.states.columns == ["study_id", *PATHOLOGIES]
    assert result.evidence.is_empty()


@pytest.mark.parametrize(
    "reports",
    [
        pl.DataFrame({"study_id": ["a"], "report": ["Effusion."]}),
        pl.DataFrame({"study_id": [1], "text": ["Effusion."]}),
    ],
)
def test_a_missing_column_is_named_without_the_text(reports):
    with pytest.raises(TableError, match="missing or not text") as error:
        label_reports(reports)
    assert "Effusion" not in str(error.value)


def test_a_report_without_a_study_is_refused():
    with pytest.raises(TableError, match="1 reports have no study_id"):
        label_reports(frame("Effusion.", "Mass.").with_columns(study_id=pl.Series(["a", None])))


def test_silence_counts_only_where_findings_were_written():
    reports = pl.DataFrame(
        {
            "study_id": ["both", "both", "asked", "short", "none"],
            "section": ["findings", "indication", "indication", "Findings", "findings"],
            "text": ["Heart is normal.", "Cough", "Cough and fever", "Normal.", None],
        }
    )
    described = dict(described_studies(reports).rows())
    assert described == {"both": True, "asked": False, "short": False, "none": False}
    assert described_studies(frame("Clear lungs."))["is_described"].to_list() == [True]


def test_an_explanation_names_sections_mentions_and_cues():
    text = "INDICATION: Mass. FINDINGS: No effusion."
    read = explain(text)
    assert [(s.name, s.is_read) for s in read.sections if s.end > s.start] == [
        ("indication", False),
        ("findings", True),
    ]
    (mention,) = read.mentions
    assert (mention.pathology, mention.state, mention.section) == ("Effusion", 0, "findings")
    assert text[mention.start : mention.end] == "effusion"
    assert text[mention.cue_start : mention.cue_end] == mention.cue == "No"
