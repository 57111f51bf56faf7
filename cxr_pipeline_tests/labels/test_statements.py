"""Statements are gathered whole: each row once, none made up, none lost."""

import polars as pl
import pytest

from cxr_pipeline.errors import TableError
from cxr_pipeline.labels.statements import gather_columns, gather_findings, gather_votes
from cxr_pipeline_tests.labels.cases import findings_of, images_of


def said(statements):
    return {(statement.word, statement.value): statement.rows.tolist() for statement in statements}


def test_rows_are_gathered_by_word_and_value_in_any_order():
    findings = findings_of((2, "mass", 1), (0, "mass", 1), (0, "nodule", -1), (1, "mass", 0), (0, "Mass", 1))
    found = said(gather_findings(images_of(3), findings))
    assert {key: sorted(rows) for key, rows in found.items()} == {
        ("mass", 1): [0, 2],
        ("mass", 0): [1],
        ("nodule", -1): [0],
        ("Mass", 1): [0],
    }


def test_words_that_a_source_has_numbered_are_gathered_alike():
    findings = findings_of((0, "nodule", 1), (0, "mass", 1), (1, "mass", -1))
    numbered = findings.with_columns(pl.col("finding").cast(pl.Enum(["nodule", "never said", "mass"])))
    assert said(gather_findings(images_of(2), numbered)) == said(gather_findings(images_of(2), findings))


@pytest.mark.parametrize("kind", [pl.String(), pl.Enum(["", "mass"])])
def test_finding_without_a_word_is_refused(kind):
    findings = pl.DataFrame({"image_id": ["a"] * 2, "finding": ["", "mass"], "value": [1, 1], "reader": ["", ""]})
    numbered = findings.with_columns(pl.col("finding").cast(kind), pl.col("value").cast(pl.Int8))
    with pytest.raises(TableError, match="FindingTable: 1 of 2 findings"):
        gather_findings(images_of(1), numbered)


def test_columns_are_gathered_by_word_and_value():
    frame = pl.DataFrame(
        {"mass": [1, None, 0, 1], "nodule": [None] * 4}, schema=dict.fromkeys(["mass", "nodule"], pl.Int8)
    )
    assert said(gather_columns(frame, ["mass", "nodule"])) == {("mass", 1): [0, 3], ("mass", 0): [2]}


@pytest.mark.parametrize("gather", [gather_findings, lambda *tables: gather_votes(*tables, "majority")])
def test_nothing_said_is_no_statement(gather):
    assert gather(images_of(3), findings_of()) == []


def test_words_may_be_many():
    words = [f"word {number}" for number in range(20_000)]  # more than 16 bits hold, with their values
    found = said(gather_findings(images_of(1), findings_of(*[(0, word, 1) for word in words])))
    assert found == {(word, 1): [0] for word in words}


@pytest.mark.parametrize("gather", [gather_findings, lambda *tables: gather_votes(*tables, "majority")])
@pytest.mark.parametrize(
    "broken",
    [
        findings_of((0, "mass", 2)),
        findings_of((0, "", 1)),
        findings_of((0, None, 1)),
        findings_of((0, "mass", None)),
        findings_of((0, "mass", 1, None)),
        findings_of((0, "mass", 1)).with_columns(image_id=pl.lit(None, pl.String)),
    ],
)
def test_finding_that_breaks_its_table_is_refused(gather, broken):
    with pytest.raises(TableError, match="FindingTable: 1 of 2 findings"):
        gather(images_of(1), pl.concat([findings_of((0, "mass", 1)), broken]))


def test_finding_of_no_image_is_refused_without_naming_it():
    with pytest.raises(TableError, match="2 findings belong to no image") as caught:
        gather_findings(images_of(2), findings_of((0, "mass", 1), (7, "mass", 1), (7, "nodule", 1)))
    assert "x/7" not in str(caught.value)


@pytest.mark.parametrize("order", [[0, 0, 1], [0, 1, 0]])
def test_images_that_are_there_twice_are_refused(order):
    images = images_of(2)[order]
    with pytest.raises(TableError, match="some images are there twice"):
        gather_findings(images, findings_of((1, "mass", 1), (0, "mass", 1)))


def test_column_with_another_value_is_refused():
    with pytest.raises(TableError, match="'mass' holds 1 values other than 1, 0, -1"):
        gather_columns(pl.DataFrame({"mass": [1, 3, None]}, schema={"mass": pl.Int8}), ["mass"])
