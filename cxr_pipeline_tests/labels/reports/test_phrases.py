"""The phrase language of the lexicons: what a phrase finds, and that its anchors never hide a match."""

import re
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_pipeline.labels.reports.lexicon import _FOLDER
from cxr_pipeline.labels.reports.phrases import compile_phrases, expand, joint_anchors
from cxr_pipeline_tests.labels.reports.phrases import spell_out


def found(phrase, text, terms=None):
    normal = f" {text} "
    return [normal[start:end].strip() for start, end in compile_phrases([phrase], terms or {}).find(normal)]


@pytest.mark.parametrize(
    ("phrase", "text", "expected"),
    [
        ("pleural fluid", "some pleural fluid here", ["pleural fluid"]),
        ("mass", "massive", []),
        ("mass", "biomass", []),
        ("atelect*", "atelectasis and atelectatic", ["atelectasis", "atelectatic"]),
        ("_ effusion", "left effusion", ["left effusion"]),
        ("_ effusion", ", effusion", []),
        ("(lung | upper lobe) collapse", "upper lobe collapse", ["upper lobe collapse"]),
        ("collapse of [the] lung", "collapse of lung", ["collapse of lung"]),
        ("collapse of [the] lung", "collapse of the lung", ["collapse of the lung"]),
        ("heart _~2 enlarged", "heart a b enlarged", ["heart a b enlarged"]),
        ("heart _~2 enlarged", "heart a b c enlarged", []),
        ("heart (is | very)~3 enlarged", "heart is very very enlarged", ["heart is very very enlarged"]),
        ("and / or", "a and / or b", ["and / or"]),
        ("(rule | ruled) out", "ruled out", ["ruled out"]),
        ("may (be | be due to)", "may be due to", ["may be due to"]),
    ],
)
def test_a_phrase_finds(phrase, text, expected):
    assert found(phrase, text) == expected


def test_terms_stand_in_for_their_phrase():
    assert found("<heart> size", "cardiac size", {"heart": "(heart | cardiac)"}) == ["cardiac size"]
    assert expand("<a> b", {"a": "(x)"}) == "(x) b"


def test_the_longest_phrase_is_tried_first():
    both = compile_phrases(["no", "no change in"], {})
    assert both.find(" no change in ") == [(1, 14)]


@pytest.mark.parametrize("phrase", ["(a | b", "[a", "a)", "a]", "(a]"])
def test_brackets_that_do_not_match_are_an_error(phrase):
    with pytest.raises(re.error):
        compile_phrases([phrase], {})


def test_an_unknown_term_is_an_error():
    with pytest.raises(KeyError):
        compile_phrases(["<lung> mass"], {})


@pytest.mark.parametrize(
    ("phrases", "anchors"),
    [
        (["pleural fluid"], {"pleural"}),
        (["(heart | cardiac) size"], {"heart", "cardiac"}),
        (["[the] mass"], {"mass"}),
        (["hernia*", "mass"], {"hernia", "mass"}),
        (["_~3", "mass"], set()),
        (["effusion (a | [b])"], {"effusion"}),
    ],
)
def test_anchors_are_stems_that_every_match_has(phrases, anchors):
    assert compile_phrases(phrases, {}).anchors == anchors


def test_joint_anchors_leave_out_what_another_covers():
    joint = joint_anchors(compile_phrases(["thora*"], {}), compile_phrases(["pneumothorax"], {}), None)
    assert joint.pattern == "thora"
    assert joint_anchors(compile_phrases(["_"], {})).search("anything")


def test_every_phrase_of_the_lexicon_finds_what_it_spells_and_has_an_anchor_in_it():
    content = tomllib.loads((_FOLDER / "en.toml").read_text(encoding="utf-8"))
    terms = {}
    for name, phrase in content["terms"].items():
        terms[name] = f"({expand(phrase, terms)})"
    phrases = [phrase for entry in content["findings"].values() for phrase in entry["mention"]]
    assert len(phrases) > 50
    for phrase in phrases:
        compiled = compile_phrases([phrase], terms)
        for spelled in spell_out(expand(phrase, terms)):
            assert compiled.find(f" {spelled} "), (phrase, spelled)
            assert any(anchor in spelled for anchor in compiled.anchors), (phrase, spelled)


@given(st.text(alphabet="ab ,", max_size=60))
def test_what_is_found_lies_between_blanks(text):
    normal = " " + " ".join(text.split()) + " "
    for start, end in compile_phrases(["a*", "b [,] (a | b)~2"], {}).find(normal):
        assert normal[start - 1] == " " == normal[end - 1]


def test_no_phrases_find_nothing():
    assert compile_phrases([], {}).find(" no mass ") == []
