"""The rules by which statements become cells hold for any mix of statements, against a reference in plain Python."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from cxr_pipeline.labels.harmonize import harmonize
from cxr_pipeline.labels.policy import LabelPolicy
from cxr_pipeline.labels.statements import gather_columns, gather_findings, gather_votes
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables.labels import LabelTable
from cxr_pipeline_tests.labels.cases import MAPPING, findings_of, images_of, small_mapping

IMAGES = 4
WORDS = sorted({word for word, _, _ in MAPPING}) + ["unheard of"]
OBSERVED = {pathology for _, pathology, rule in MAPPING if rule == "direct"}
STATEMENT = st.tuples(st.integers(0, IMAGES - 1), st.sampled_from(WORDS), st.sampled_from([1, 0, -1]))
SAID = st.lists(STATEMENT, max_size=25)
SILENCE = st.sampled_from(["negative", "unknown"])
POLICY = st.builds(
    LabelPolicy,
    unstated=st.sampled_from(["as_source", "negative", "unknown"]),
    derived_negatives=st.sampled_from(["none", "no_finding"]),
)


def reference_cell(said, pathology, *, unstated_is, policy):
    """The rules in the plainest words, for one image of which the `(word, value)` pairs of `said` are stated."""

    def values(*rules):
        words = {word for word, target, rule in MAPPING if target == pathology and rule in rules}
        return {value for word, value in said if word in words}

    def affirmed(rule):
        return any((word, 1) in said for word, _, own in MAPPING if own == rule)

    observed = pathology in OBSERVED
    own, broader, doubtful = values("direct", "stated"), values("parent"), values("ambiguous")
    silence = policy.unstated if policy.unstated != "as_source" else unstated_is
    deniable = observed or policy.derived_negatives == "no_finding"
    is_denied = (observed and 0 in broader) or (affirmed("normal") and deniable)
    is_doubted = affirmed("mutes") or any(word == "unheard of" for word, _ in said)
    cases = [  # the first that holds decides
        (affirmed("voids"), (None, "unobserved")),
        (1 in own, (1, "explicit")),
        (bool((broader | doubtful) - {0}), (None, "ambiguous")),
        (bool(own), (min(own, default=None), "explicit")),
        (is_denied and not affirmed("mutes"), (0, "parent")),
        (observed and silence == "negative" and not is_doubted, (0, "absence")),
    ]
    return next((cell for holds, cell in cases if holds), (None, "unobserved"))


def label(statements, *, unstated_is="negative", policy):
    return harmonize(images_of(IMAGES), statements, small_mapping(), unstated_is=unstated_is, policy=policy)


def cells_of(table):
    return {
        (image, name): (row[name], row["evidence"][name])
        for image, row in enumerate(table.iter_rows(named=True))
        for name in PATHOLOGIES
    }


@settings(max_examples=100, deadline=None)
@given(said=SAID, unstated_is=SILENCE, policy=POLICY)
def test_any_mix_of_statements_keeps_the_rules(said, unstated_is, policy):
    result = label(gather_findings(images_of(IMAGES), findings_of(*said)), unstated_is=unstated_is, policy=policy)
    own = {image: {(word, value) for about, word, value in said if about == image} for image in range(IMAGES)}
    assert cells_of(result.table) == {
        (image, name): reference_cell(own[image], name, unstated_is=unstated_is, policy=policy)
        for image in range(IMAGES)
        for name in PATHOLOGIES
    }
    assert validate_table(result.table, LabelTable).equals(result.table)
    unheard = {image for image, word, _ in said if word == "unheard of"}
    assert result.unmapped.rows() == ([("unheard of", len(unheard))] if unheard else [])


@settings(max_examples=40, deadline=None)
@given(said=SAID, policy=POLICY, data=st.data())
def test_order_and_repetition_of_statements_change_nothing(said, policy, data):
    again = data.draw(st.permutations(said + said[: len(said) // 2]))
    images = images_of(IMAGES)
    first, second = (label(gather_findings(images, findings_of(*rows)), policy=policy) for rows in (said, again))
    assert first.table.equals(second.table)
    assert first.unmapped.equals(second.unmapped)


@settings(max_examples=40, deadline=None)
@given(said=SAID, more=STATEMENT, policy=POLICY)
def test_null_becomes_zero_only_by_a_statement_that_denies(said, more, policy):
    """A further statement turns an unknown cell into 0 only if it denies: by its value, or as `normal`."""
    images = images_of(IMAGES)
    before, after = (
        cells_of(label(gather_findings(images, findings_of(*rows)), policy=policy).table)
        for rows in (said, [*said, more])
    )
    _, word, value = more
    turned = {key for key, (cell, _) in before.items() if cell is None and after[key][0] == 0}
    assert not turned or value == 0 or (word, value) == ("normal", 1)


@settings(max_examples=40, deadline=None)
@given(cells=st.lists(st.sampled_from([1, 0, -1, None]), min_size=len(WORDS), max_size=len(WORDS)), policy=POLICY)
def test_columns_and_rows_say_the_same(cells, policy):
    """One column per finding, and the same as one row per finding."""
    columns = {word: pl.Series([cells[(k + row) % len(WORDS)] for row in range(IMAGES)], dtype=pl.Int8)
               for k, word in enumerate(WORDS)}  # fmt: skip
    frame = images_of(IMAGES).with_columns(**columns)
    said = [(row, word, value) for word in WORDS for row, value in enumerate(columns[word]) if value is not None]
    wide = label(gather_columns(frame, WORDS), policy=policy)
    long = label(gather_findings(images_of(IMAGES), findings_of(*said)), policy=policy)
    assert wide.table.equals(long.table)
    assert wide.unmapped.equals(long.unmapped)


ANSWERS = st.dictionaries(
    st.tuples(st.integers(0, IMAGES - 1), st.sampled_from(["nodule", "mass", "lung lesion"]), st.integers(1, 4)),
    st.sampled_from([1, 0]),
    max_size=30,
)


@settings(max_examples=40, deadline=None)
@given(answers=ANSWERS, votes=st.sampled_from(["majority", "any", "soft"]))
def test_votes_are_counted_per_image_and_word(answers, votes):
    said = [(image, word, value, f"R{reader}") for (image, word, reader), value in answers.items()]
    images = images_of(IMAGES)
    statements = gather_votes(images, findings_of(*said), votes)
    counted = {}
    for image, word, _, _ in said:
        own = [value for about, other, value, _ in said if (about, other) == (image, word)]
        yes, share = sum(own), sum(own) / len(own)
        is_positive = yes > 0 if votes == "any" else share > 0.5
        counted[image, word] = (1 if is_positive else 2 if yes else 0, share if votes == "soft" else None)
    found = {
        (int(row), statement.word): (
            statement.value,
            None if statement.shares is None else float(statement.shares[number]),
        )
        for statement in statements
        for number, row in enumerate(statement.rows)
    }
    assert found.keys() == counted.keys()
    for key, (value, share) in counted.items():
        assert found[key][0] == value
        assert found[key][1] == (None if share is None else pl.Series([share], dtype=pl.Float32)[0])
