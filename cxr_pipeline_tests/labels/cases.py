"""Statements on a few images under a small mapping, for the tests of the rules."""

from collections import Counter
from functools import cache

import polars as pl

from cxr_pipeline.labels.harmonize import harmonize
from cxr_pipeline.labels.mapping import check_mapping
from cxr_pipeline.labels.policy import DEFAULT_POLICY, LabelPolicy
from cxr_pipeline.labels.statements import gather_findings, gather_votes
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables.labels import LabelTable
from cxr_pipeline.tables.raw import ImageTable

MAPPING = [
    ("nodule", "Nodule", "direct"),
    ("multiple nodules", "Nodule", "direct"),
    ("mass", "Mass", "direct"),
    ("mass in a nodule", "Mass", "direct"),
    ("mass in a nodule", "Nodule", "ambiguous"),
    ("effusion", "Effusion", "direct"),
    ("granuloma", "Nodule", "ambiguous"),
    ("lung lesion", "Nodule", "parent"),
    ("lung opacity", "Infiltration", "parent"),  # a class that this source never states
    ("hernia of the other file", "Hernia", "stated"),
    ("normal", None, "normal"),
    ("fracture", None, "outside"),
    ("unchanged", None, "mutes"),
    ("exclude", None, "voids"),
    ("(no labels)", None, "voids"),
]


@cache
def images_of(count):
    rows = pl.DataFrame({"image_id": [f"x/{number}" for number in range(count)]})
    filled = rows.with_columns(
        patient_id=pl.col("image_id"),
        study_id=pl.col("image_id"),
        dataset=pl.lit("x"),
        view=pl.lit("PA"),
        age_years=pl.lit(50.0),
        sex=pl.lit("F"),
        official_split=pl.lit(None, pl.String),
        is_phantom=pl.lit(value=True),
        labelled_by=pl.lit(None, pl.String),
    )
    return validate_table(filled, ImageTable)


def findings_of(*statements):
    """FindingTable of `(image, word, value)` or `(image, word, value, reader)`."""
    rows = [(f"x/{image}", finding, value, *(reader or [""])) for image, finding, value, *reader in statements]
    schema = {"image_id": pl.String, "finding": pl.String, "value": pl.Int8, "reader": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


@cache
def small_mapping():
    schema = {"finding": pl.String, "pathology": pl.String, "rule": pl.String, "reason": pl.String}
    return check_mapping(pl.DataFrame([(*row, "test") for row in MAPPING], schema=schema, orient="row"))


def harmonized(*statements, images=1, unstated_is="negative", policy=DEFAULT_POLICY):
    """The labels of `images` of which `(image, word, value)` are said, by one voice."""
    frame = images_of(images)
    return _label(frame, gather_findings(frame, findings_of(*statements)), unstated_is=unstated_is, policy=policy)


def harmonized_votes(*answers, votes="majority", again=()):
    """The labels of one image: the nth `(word, value)` on a word is its nth reader's; `again` are the first's."""
    frame, turns = images_of(1), Counter()
    said = [(0, *answer, "R1") for answer in again]
    for word, value in answers:
        turns[word] += 1
        said.append((0, word, value, f"R{turns[word]}"))
    statements = gather_votes(frame, findings_of(*said), votes)
    return _label(frame, statements, unstated_is="negative", policy=LabelPolicy(reader_votes=votes))


def cell(result, pathology, image=0):
    row = result.table.row(image, named=True)
    return row[pathology], row["evidence"][pathology]


def _label(frame, statements, *, unstated_is, policy):
    result = harmonize(frame, statements, small_mapping(), unstated_is=unstated_is, policy=policy)
    validate_table(result.table, LabelTable)
    return result
