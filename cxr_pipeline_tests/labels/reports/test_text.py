"""Sections, sentences and normal forms, with positions that point into the text as given."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_pipeline.labels.reports.lexicon import read_lexicon
from cxr_pipeline.labels.reports.text import BODY, normal_forms, split_sections, split_sentences

HEADINGS = read_lexicon().sections


def read_parts(text, name=BODY):
    return [(s.name, text[s.start : s.end].strip()) for s in split_sections(text, HEADINGS, name) if s.is_read]


def sentences(text):
    return [sentence for _, sentence in split_sentences(text, 0, len(text))]


def test_history_and_technique_are_not_read():
    text = "INDICATION: Cough.\nFINDINGS: Clear.\nTECHNIQUE: Two views.\nIMPRESSION: Normal."
    assert read_parts(text) == [("body", ""), ("findings", "Clear."), ("impression", "Normal.")]


def test_headings_are_found_in_any_case_after_a_full_stop_and_alone_on_a_line():
    assert read_parts("Indication: pain. Findings: clear.") == [("body", ""), ("findings", "clear.")]
    assert read_parts("HISTORY\npain\n\nFINDINGS\nclear")[1] == ("findings", "clear")


def test_a_word_within_a_sentence_is_no_heading():
    assert read_parts("In comparison: the findings are stable.") == [
        ("body", "In comparison: the findings are stable.")
    ]


def test_an_unlabelled_paragraph_after_a_skipped_section_is_body_again():
    text = "INDICATION: Fever.\n\nThere is an effusion.\n\nCOMPARISON:\n\nNone.\n\nNo pneumothorax."
    assert [part for _, part in read_parts(text) if part] == ["There is an effusion.", "No pneumothorax."]


def test_a_section_that_the_source_names_is_read_or_not_by_that_name():
    assert read_parts("Cough.", "indication") == []
    assert read_parts("Clear.", " Findings ") == [("findings", "Clear.")]
    assert read_parts("Clear.", "an unheard-of name") == [("an unheard-of name", "Clear.")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Heart normal. Lungs clear.", ["Heart normal", "Lungs clear"]),
        ("1. Mass. 2. Nodule.", ["1", "Mass", "Nodule"]),
        ("A 2.5 cm mass.", ["A 2.5 cm mass"]),
        ("Atelectasis vs. pneumonia.", ["Atelectasis vs. pneumonia"]),
        ("Lungs are clear.No effusion.", ["Lungs are clear", "No effusion"]),
        ("No effusion; stable heart", ["No effusion", "stable heart"]),
        ("Small\neffusion", ["Small\neffusion"]),
        ("Mass\n \nNodule", ["Mass", "Nodule"]),
        ("Pneumothorax? None!", ["Pneumothorax? None"]),
        ("Pneumonia? The lungs are not well seen.", ["Pneumonia?", "The lungs are not well seen"]),
        ("(a) No mass (b) Nodule", ["(a", "No mass (b", "Nodule"]),
        ("Effusion ... none", ["Effusion ... none"]),
        ("Mass: right: none. Left: small.", ["Mass: right: none. Left: small"]),
        (" \n ", []),
    ],
)
def test_sentences_end(text, expected):
    assert sentences(text) == expected


@given(st.text())
def test_positions_of_sentences_and_words_point_into_the_text(text):
    for offset, sentence in split_sentences(text, 0, len(text)):
        assert text[offset : offset + len(sentence)] == sentence
        for form in normal_forms(sentence):
            for word, (start, end) in zip(form.text.split(), form.spans, strict=True):
                assert sentence[start:end].replace("?", "\u00bf").lower().startswith(word[:40].replace("?", "\u00bf"))


def test_a_normal_form_drops_masks_hyphens_and_capitals():
    (form,) = normal_forms("Mass-like XXXX Opacity, (right)")
    assert form.text == " mass like opacity , ( right ) "
    assert form.locate(1, 5) == (0, 4)
    assert form.locate(1, 18) == (0, 22)


def test_no_word_and_no_piece_is_too_long():
    assert [form.text for form in normal_forms("a" * 100)] == [" " + "a" * 40 + " "]
    assert [len(form.spans) for form in normal_forms("a " * 250)] == [100, 100, 50]


@given(st.text(alphabet="Findigs :.\nHstoryp", max_size=80))
def test_sections_cover_the_text_in_order(text):
    sections = split_sections(text, HEADINGS)
    assert sections[0].start == 0
    assert sections[-1].end == len(text)
    assert all(one.start <= one.end <= other.start for one, other in zip(sections, sections[1:], strict=False))
