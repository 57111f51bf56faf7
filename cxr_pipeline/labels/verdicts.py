"""What statements amount to for each image and class: the strongest verdict, then the label and its evidence."""

from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum

import numpy as np
import polars as pl

from cxr_pipeline.labels.mapping import Meaning, Meanings
from cxr_pipeline.labels.statements import MINORITY, Statement
from cxr_pipeline.pathologies import EVIDENCE, NEGATIVE, PATHOLOGIES, POSITIVE, UNCERTAIN

Deniable = Mapping[str, np.ndarray]  # rule `normal` or `parent` -> bool [14]: the classes that it may deny


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
    ("direct", MINORITY): Verdict.UNCERTAIN,
    ("direct", NEGATIVE): Verdict.NEGATIVE,
    ("stated", POSITIVE): Verdict.POSITIVE,
    ("stated", UNCERTAIN): Verdict.UNCERTAIN,
    ("stated", MINORITY): Verdict.UNCERTAIN,
    ("stated", NEGATIVE): Verdict.NEGATIVE,
    ("parent", POSITIVE): Verdict.AMBIGUOUS,
    ("parent", UNCERTAIN): Verdict.AMBIGUOUS,
    ("parent", MINORITY): Verdict.AMBIGUOUS,
    ("parent", NEGATIVE): Verdict.DENIED,
    # A doubtful word of one reader in three does not make the others' denials doubtful.
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
_LOST = {"mutes": Verdict.DENIED, "voids": Verdict.POSITIVE}  # rule -> the strongest verdict that it takes away
_BLANK = -128
_SHARES = pl.Struct(dict.fromkeys(PATHOLOGIES, pl.Float32))
_EXPLICIT = [verdict for verdict, (_, evidence) in CELLS.items() if evidence == "explicit"]


def judge(
    statements: Sequence[Statement], meanings: Meanings, silence: np.ndarray, height: int, deniable: Deniable
) -> np.ndarray:
    """uint8 [14, height]: the strongest Verdict on each class and image, in the order of the classes.

    `silence` (uint8 [14]) is the verdict on a class of which nothing is said, `height` the number of images.
    """
    verdicts = np.repeat(silence[:, None], height, axis=1)
    for statement, meaning in _pair(statements, meanings):
        verdict = STATED.get((meaning.rule, statement.value))
        if verdict is None:
            continue
        for k in meaning.classes:
            if verdict != Verdict.DENIED or deniable[meaning.rule][k]:
                verdicts[k, statement.rows] = np.maximum(verdicts[k, statement.rows], verdict)
    return _take_away(verdicts, statements, meanings)


def fill_cells(verdicts: np.ndarray) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The fourteen label columns, and the struct column `evidence`."""
    # Null is put in afterwards: looking up in a column with nulls takes three times as long.
    values = pl.Series([CELLS[verdict][0] for verdict in Verdict], dtype=pl.Int8).fill_null(_BLANK)
    evidence = pl.Series([CELLS[verdict][1] for verdict in Verdict], dtype=pl.Enum(EVIDENCE))
    codes = {name: pl.Series(row) for name, row in zip(PATHOLOGIES, verdicts, strict=True)}
    cells = pl.DataFrame({name: values.gather(code) for name, code in codes.items()})
    reasons = pl.DataFrame({name: evidence.gather(code) for name, code in codes.items()})
    cells = cells.select(pl.when(pl.all() != _BLANK).then(pl.all()))
    return cells, reasons.to_struct("evidence").to_frame()


def fill_shares(verdicts: np.ndarray, statements: Sequence[Statement], meanings: Meanings) -> pl.DataFrame:
    """The struct column `reader_share`: which part of the readers sees a class; null where no votes made the label."""
    if all(statement.shares is None for statement in statements):
        return pl.DataFrame({"reader_share": pl.repeat(None, verdicts.shape[1], dtype=_SHARES, eager=True)})
    shares = np.full(verdicts.shape, np.nan, dtype=np.float32)
    for statement, meaning in _pair(statements, meanings):
        if statement.shares is None or meaning.rule not in ("direct", "stated"):
            continue
        for k in meaning.classes:
            shares[k, statement.rows] = np.fmax(shares[k, statement.rows], statement.shares)
    shares[~np.isin(verdicts, _EXPLICIT)] = np.nan
    columns = {name: pl.Series(row, nan_to_null=True) for name, row in zip(PATHOLOGIES, shares, strict=True)}
    return pl.DataFrame(columns).to_struct("reader_share").to_frame()


def _take_away(verdicts: np.ndarray, statements: Sequence[Statement], meanings: Meanings) -> np.ndarray:
    """`verdicts` without the absences of images with an unmapped word, what is muted, and what is voided."""
    height = verdicts.shape[1]
    limits = np.zeros(height, dtype=np.uint8)  # verdicts up to this one are lost
    for statement in statements:
        said = meanings.get(statement.word)
        limit = Verdict.ABSENT if said is None else max((_LOST.get(m.rule, 0) for m in said), default=0)
        if limit and (said is None or statement.value == POSITIVE):
            limits[statement.rows] = np.maximum(limits[statement.rows], limit)
    rows = np.flatnonzero(limits)
    verdicts[:, rows] = np.where(verdicts[:, rows] <= limits[rows], Verdict.UNOBSERVED, verdicts[:, rows])
    return verdicts


def _pair(statements: Sequence[Statement], meanings: Meanings) -> Iterator[tuple[Statement, Meaning]]:
    return ((statement, meaning) for statement in statements for meaning in meanings.get(statement.word, ()))
