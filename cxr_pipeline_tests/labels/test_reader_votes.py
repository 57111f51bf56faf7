"""What several readers of one image amount to, under each policy of votes."""

import pytest

from cxr_pipeline_tests.labels.cases import cell, harmonized_votes

VOTES = [
    # of three readers, the number who say 1; label and share under majority, any, soft
    (0, (0, 0, 0), None),
    (1, (-1, 1, -1), 1 / 3),
    (2, (1, 1, 1), 2 / 3),
    (3, (1, 1, 1), 1),
]


@pytest.mark.parametrize(("said", "labels", "share"), VOTES)
def test_three_readers_vote(said, labels, share):
    readers = [("nodule", int(reader < said)) for reader in range(3)]
    for votes, label in zip(("majority", "any", "soft"), labels, strict=True):
        result = harmonized_votes(*readers, votes=votes)
        assert cell(result, "Nodule") == (label, "explicit")
        shares = result.table["reader_share"][0]
        assert (shares and shares["Nodule"]) == (pytest.approx(share or 0) if votes == "soft" else None)


@pytest.mark.parametrize(("answers", "label"), [([1], 1), ([0], 0), ([1, 0], -1), ([1, 1], 1), ([1, 1, 0, 0], -1)])
def test_majority_is_more_than_half_of_those_who_answered(answers, label):
    assert cell(harmonized_votes(*[("nodule", value) for value in answers]), "Nodule") == (label, "explicit")


def test_one_reader_with_two_boxes_has_one_voice():
    result = harmonized_votes(("nodule", 1), ("nodule", 0), ("nodule", 0), again=[("nodule", 1)])
    assert cell(result, "Nodule") == (-1, "explicit")


def test_reader_in_doubt_is_no_denial():
    assert cell(harmonized_votes(("nodule", -1), ("nodule", 0), ("nodule", 0)), "Nodule") == (-1, "explicit")


def test_single_reader_makes_a_broader_word_doubtful_and_a_doubtful_word_nothing():
    assert cell(harmonized_votes(("lung lesion", 1), ("lung lesion", 0), ("lung lesion", 0)), "Nodule") == (
        None,
        "ambiguous",
    )
    assert cell(harmonized_votes(("granuloma", 1), ("granuloma", 0), ("granuloma", 0)), "Nodule") == (0, "absence")
    assert cell(harmonized_votes(("granuloma", 1), ("granuloma", 1), ("granuloma", 0)), "Nodule") == (None, "ambiguous")


def test_share_is_kept_only_where_votes_made_the_label():
    readers = [("nodule", 1), ("nodule", 0), ("nodule", 0)]
    shares = harmonized_votes(*readers, votes="soft").table["reader_share"][0]
    assert {name for name, share in shares.items() if share is not None} == {"Nodule"}
    doubted = [*readers, ("granuloma", 1), ("granuloma", 1)]
    assert harmonized_votes(*doubted, votes="soft").table["reader_share"][0]["Nodule"] is None
