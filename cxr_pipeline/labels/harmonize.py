"""From a source's own words to the fourteen labels and their evidence. What a word means is in `mappings/`."""

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Literal

import polars as pl

from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.datasets.inventory import read_image_rows
from cxr_pipeline.errors import TableError
from cxr_pipeline.labels.mapping import read_mapping, term
from cxr_pipeline.pathologies import EVIDENCE, NEGATIVE, PATHOLOGIES, POSITIVE, UNCERTAIN
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables import FindingTable, ImageTable, LabelTable


class Verdict(IntEnum):
    """What can be said of one image and one class, weakest first: the strongest statement decides the cell."""

    UNOBSERVED = 0
    ABSENT = 1
    DENIED = 2
    NEGATIVE = 3
    UNCERTAIN = 4
    AMBIGUOUS = 5
    POSITIVE = 6


# What a statement of a value means under a mapping rule; a pair that is not here says nothing of the class.
STATED = {
    ("direct", POSITIVE): Verdict.POSITIVE,
    ("direct", UNCERTAIN): Verdict.UNCERTAIN,
    ("direct", NEGATIVE): Verdict.NEGATIVE,
    ("parent", POSITIVE): Verdict.AMBIGUOUS,
    ("parent", UNCERTAIN): Verdict.AMBIGUOUS,
    ("parent", NEGATIVE): Verdict.DENIED,
    ("ambiguous", POSITIVE): Verdict.AMBIGUOUS,
    ("ambiguous", UNCERTAIN): Verdict.AMBIGUOUS,
    ("normal", POSITIVE): Verdict.DENIED,
}

CELLS = {
    Verdict.UNOBSERVED: (None, "unobserved"),
    Verdict.ABSENT: (NEGATIVE, "absence"),
    Verdict.DENIED: (NEGATIVE, "parent"),
    Verdict.NEGATIVE: (NEGATIVE, "explicit"),
    Verdict.UNCERTAIN: (UNCERTAIN, "explicit"),
    Verdict.AMBIGUOUS: (None, "ambiguous"),
    Verdict.POSITIVE: (POSITIVE, "explicit"),
}

_UNMAPPED_SCHEMA = pl.Schema({"finding": pl.String, "count": pl.UInt32})


@dataclass(frozen=True)
class LabelResult:
    """A label table and the words that it could not use."""

    table: pl.DataFrame  # LabelTable, in published order
    unmapped: pl.DataFrame  # finding, count (images that have it), most frequent first

    @classmethod
    def empty(cls) -> "LabelResult":
        """The labels of a source that is not used."""
        return cls(LabelTable.create_empty(), pl.DataFrame(schema=_UNMAPPED_SCHEMA))


def label_table(dataset: Dataset, root: Path) -> LabelResult:
    """The harmonized labels of every published image of the source at `root`, whether or not its pixels are there.

    Raises SourceNotFoundError and SourceFormatError as the readers do, TableError when the mapping is inconsistent.
    """
    images = validate_table(read_image_rows(dataset, root), ImageTable)
    findings = dataset.read_findings(root).collect()
    return harmonize(images, findings, read_mapping(dataset.name), unstated_is=dataset.unstated_is)


def harmonize(
    images: pl.DataFrame,
    findings: pl.DataFrame,
    mapping: pl.DataFrame,
    *,
    unstated_is: Literal["negative", "unknown"],
) -> LabelResult:
    """The labels of `images` (ImageTable) from `findings` (FindingTable, repetitions allowed) under `mapping`.

    For each image and class the strongest statement decides: positive, then a doubtful or broader word (null), then
    uncertain, then negative, then what follows from a broader word denied. Where nothing is said, the value is 0 if
    the source's silence means "not there" and it has a word for the class, else null. An image with a word that the
    mapping lacks keeps what is stated and loses its absences: the word may be a misspelt class.
    """
    findings = validate_table(_collapse(findings), FindingTable)
    statements = _number_images(images, findings)
    stated = _decide(statements, _interpret(findings, mapping))
    unmapped = statements.join(_unmapped_words(findings, mapping), on="finding", how="semi")
    silence = _judge_silence(images.height, unmapped["row"], mapping, unstated_is=unstated_is)
    verdicts = silence.join(stated, on="row", how="left", maintain_order="left", suffix="_stated")
    cells = verdicts.select(pl.coalesce(f"{name}_stated", name).alias(name) for name in PATHOLOGIES)
    table = pl.concat([images, *_fill_cells(cells)], how="horizontal")
    return LabelResult(validate_table(table, LabelTable), _count_images(unmapped))


def _collapse(findings: pl.DataFrame) -> pl.DataFrame:
    """One row per image, word and reader: positive before uncertain before negative."""
    value = pl.col("value")
    strongest = pl.when(value.max() == POSITIVE).then(value.max()).otherwise(value.min())
    return findings.group_by("image_id", "finding", "reader").agg(strongest.alias("value"))


def _number_images(images: pl.DataFrame, findings: pl.DataFrame) -> pl.DataFrame:
    """`findings` with the integer `row` of their image, which is much cheaper to group and join by than its id."""
    rows = images.select("image_id").with_row_index("row")
    numbered = findings.join(rows, on="image_id", how="left").select("row", "finding", "value")
    strangers = numbered["row"].null_count()
    if strangers:
        raise TableError(f"{strangers} findings belong to no image: expected each image_id in the image table.")
    return numbered


def _interpret(findings: pl.DataFrame, mapping: pl.DataFrame) -> pl.DataFrame:
    """`finding, value, pathology, verdict`: what each word of the source says of which class."""
    observed = _observed(mapping)
    words = findings.select("finding").unique().with_columns(term=term(pl.col("finding")))
    rules = mapping.select("rule", "pathology", term=term(pl.col("finding")))
    denies_all = rules.filter(pl.col("rule") == "normal").drop("pathology").join(observed, how="cross")
    verdicts = pl.DataFrame(
        [(rule, value, int(verdict)) for (rule, value), verdict in STATED.items()],
        schema={"rule": mapping.schema["rule"], "value": pl.Int8, "verdict": pl.UInt8},
        orient="row",
    )
    meanings = (
        pl.concat([rules.drop_nulls("pathology"), denies_all.select(rules.columns)])
        .join(verdicts, on="rule")
        .join(words, on="term")
    )
    # A class that the source can never affirm would only teach "this hospital has none of it".
    teaches_nothing = (pl.col("verdict") == Verdict.DENIED) & ~pl.col("pathology").is_in(
        observed["pathology"].implode()
    )
    return meanings.filter(~teaches_nothing).select("finding", "value", "pathology", "verdict")


def _observed(mapping: pl.DataFrame) -> pl.DataFrame:
    """The classes for which the source has a word of the same meaning."""
    return mapping.filter(pl.col("rule") == "direct").select("pathology").unique()


def _decide(statements: pl.DataFrame, meanings: pl.DataFrame) -> pl.DataFrame:
    """`row` and the strongest verdict on each of the fourteen classes; null where nothing is said."""
    return (
        statements.lazy()
        .join(meanings.lazy(), on=["finding", "value"])
        .pivot("pathology", on_columns=PATHOLOGIES, index="row", values="verdict", aggregate_function="max")
        .collect()
    )


def _judge_silence(
    height: int, doubted: pl.Series, mapping: pl.DataFrame, *, unstated_is: Literal["negative", "unknown"]
) -> pl.DataFrame:
    """`row` and the verdict on each class of an image of which nothing is said; `doubted` rows lose their absences."""
    observed = set(_observed(mapping)["pathology"]) if unstated_is == "negative" else set()
    absent = pl.when(pl.col("row").is_in(doubted.unique().implode())).then(Verdict.UNOBSERVED).otherwise(Verdict.ABSENT)
    verdicts = {name: absent if name in observed else pl.lit(Verdict.UNOBSERVED) for name in PATHOLOGIES}
    rows = pl.int_range(height, dtype=pl.UInt32, eager=True).alias("row").to_frame()
    return rows.with_columns(verdict.cast(pl.UInt8).alias(name) for name, verdict in verdicts.items())


def _fill_cells(verdicts: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    values = {verdict: value for verdict, (value, _) in CELLS.items()}
    evidence = {verdict: name for verdict, (_, name) in CELLS.items()}
    names = pl.all().replace_strict(evidence, return_dtype=pl.Enum(EVIDENCE))
    return (
        verdicts.select(pl.all().replace_strict(values, return_dtype=pl.Int8)),
        verdicts.select(evidence=pl.struct(names)),
    )


def _unmapped_words(findings: pl.DataFrame, mapping: pl.DataFrame) -> pl.DataFrame:
    words = findings.select("finding").unique().with_columns(term=term(pl.col("finding")))
    return words.join(mapping.select(term=term(pl.col("finding"))), on="term", how="anti").select("finding")


def _count_images(unmapped: pl.DataFrame) -> pl.DataFrame:
    counts = unmapped.group_by("finding").agg(count=pl.col("row").n_unique())
    return counts.sort(["count", "finding"], descending=[True, False]).cast(_UNMAPPED_SCHEMA)
