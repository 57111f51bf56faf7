"""The lexicons are complete, and a broken one says what is wrong."""

import pytest

from cxr_pipeline.errors import TableError
from cxr_pipeline.labels.reports.labeler import lexicon_hash
from cxr_pipeline.labels.reports.lexicon import _FOLDER, CUES, parse_lexicon, read_lexicon
from cxr_pipeline.pathologies import PATHOLOGIES

ENGLISH = (_FOLDER / "en.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("language", [path.stem for path in _FOLDER.glob("*.toml")])
def test_a_lexicon_has_every_class_every_cue_and_both_kinds_of_section(language):
    lexicon = read_lexicon(language)
    assert tuple(lexicon.vocabularies) == PATHOLOGIES
    assert tuple(lexicon.cues) == CUES
    assert set(lexicon.sections.values()) == {True, False}


def test_only_classes_where_both_alternatives_were_coded_take_them_for_positive():
    positive = {name for name, known in read_lexicon().vocabularies.items() if known.alternative_is == 1}
    assert positive == {"Atelectasis", "Effusion", "Infiltration", "Pleural_Thickening"}


def test_an_unknown_language_names_the_known_ones():
    with pytest.raises(TableError, match=r"No lexicon xx\.toml .* expected one of en"):
        read_lexicon("xx")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[findings.Hernia]", "[findings.Hernias]"),
        ('alternative_is = "positive"', 'alternative_is = "maybe"'),
        ('mention = ["consolidat*"]', 'mention = ["(consolidat*"]'),
        ('mention = ["consolidat*"]', 'mention = ["<nothing>"]'),
        ('mention = ["consolidat*"]', "mention = 3"),
        ("[cues]", "[cue]"),
        ("[sections]", "[sections"),
        ("list_goes_on = ", "list_goes = "),
    ],
)
def test_a_broken_lexicon_is_a_table_error(old, new):
    assert old in ENGLISH
    with pytest.raises(TableError, match="The lexicon cannot be read"):
        parse_lexicon(ENGLISH.replace(old, new, 1))


def test_the_hash_changes_with_any_word_of_the_lexicon():
    assert parse_lexicon(ENGLISH).digest == read_lexicon().digest
    assert parse_lexicon(ENGLISH + "# a word\n").digest != read_lexicon().digest
    assert len(lexicon_hash()) == 64
    assert lexicon_hash() != read_lexicon().digest
