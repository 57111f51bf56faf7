"""What a source says, gathered by word and value: from rows of findings, or from one column per finding.

What a word means in the fourteen classes does not live here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from cxr_pipeline.errors import TableError
from cxr_pipeline.pathologies import NEGATIVE, POSITIVE, UNCERTAIN
from cxr_pipeline.tables.labels import FindingTable

MINORITY = 2  # of several readers, half or fewer say so
_VALUES = (UNCERTAIN, NEGATIVE, POSITIVE, MINORITY)
_BLANK = -128

ReaderVotes = Literal["majority", "any", "soft"]


@dataclass(frozen=True)
class Statement:
    """One word and value, and the images of which it is said."""

    word: str  # as the source writes it
    value: int  # 1, 0, -1 or MINORITY
    rows: np.ndarray  # int64: positions in the image table
    shares: np.ndarray | None = None  # float32, one per row: which part of the readers says so


def gather_columns(frame: pl.DataFrame, words: Sequence[str]) -> list[Statement]:
    """The statements of `frame`, one row per image and one Int8 column for each of `words`; null says nothing.

    Raises TableError for a value other than 1, 0 and -1.
    """
    return [statement for word in words for statement in _split_column(word, frame[word])]


def gather_findings(images: pl.DataFrame, findings: pl.DataFrame) -> list[Statement]:
    """The statements of `findings` (FindingTable, repetitions allowed) on `images`; who says so does not matter.

    Raises TableError for a finding without image, word or value, or with a value other than 1, 0 and -1.
    """
    rows = _number_images(images, findings)
    names, words = _number_words(findings["finding"])
    return list(_split(rows.to_numpy(), words.to_numpy(), findings["value"].to_numpy(), names))


def gather_votes(images: pl.DataFrame, findings: pl.DataFrame, votes: ReaderVotes) -> list[Statement]:
    """As `gather_findings`, where several readers speak of one image: one statement per image and word.

    Of the n readers who answered for a word, k say 1. `majority`: 1 where 2 k > n, else MINORITY where one says so or
    is uncertain, else 0. `any`: 1 where k > 0. `soft`: as majority, with the shares k / n.
    """
    rows = _number_images(images, findings)
    if findings.is_empty():
        return []
    names, words = _number_words(findings["finding"])
    row, word, k, n, is_said = _count_votes(findings, rows, words, n_words=len(names))
    is_positive = k > 0 if votes == "any" else 2 * k > n
    values = np.where(is_positive, POSITIVE, np.where(is_said, MINORITY, NEGATIVE))
    shares = (k / n).astype(np.float32) if votes == "soft" else None
    return list(_split(row, word, values, names, shares))


def _count_votes(findings: pl.DataFrame, rows: pl.Series, words: pl.Series, *, n_words: int) -> tuple[np.ndarray, ...]:
    """(row, word, how many readers say 1, how many answered, whether one says 1 or is uncertain), once per pair.

    Each answer is one integer, and sorting them does the grouping: a fifth of the time of grouping by columns.
    """
    names, readers = _number_words(findings["reader"])
    strength = findings["value"].replace_strict({NEGATIVE: 0, UNCERTAIN: 1, POSITIVE: 2}).to_numpy()
    pairs = rows.to_numpy().astype(np.int64) * n_words + words.to_numpy()
    answers = np.sort((pairs * len(names) + readers.to_numpy()) * 3 + strength)
    # A reader who drew two boxes has one voice: the strongest of 1, -1 and 0.
    voices = answers[np.diff(answers // 3, append=-1) != 0]
    pair, strength = voices // 3 // len(names), voices % 3
    starts = np.flatnonzero(np.diff(pair, prepend=-1))
    k, n = np.add.reduceat(strength == 2, starts, dtype=np.int64), np.diff(starts, append=len(pair))
    return pair[starts] // n_words, pair[starts] % n_words, k, n, np.maximum.reduceat(strength, starts) > 0


def _number_images(images: pl.DataFrame, findings: pl.DataFrame) -> pl.Series:
    """The position of each finding's image: integers are much cheaper to group by than text."""
    _check(findings)
    runs = findings["image_id"].rle_id()  # an image's findings mostly follow each other
    firsts = findings.select("image_id").filter(runs != runs.shift(1))  # the first run's comparison with null is null
    ids = pl.concat([findings.select("image_id").head(1), firsts])
    if ids["image_id"].equals(images["image_id"]):
        return runs
    rows = ids.join(images.select("image_id").with_row_index("row"), on="image_id", how="left", maintain_order="left")
    row = rows["row"].gather(runs)
    strangers = row.null_count()
    if strangers or rows.height != ids.height:
        problem = f"{strangers} findings belong to no image" if strangers else "some images are there twice"
        raise TableError(f"{problem}: expected each image_id of a finding once in the image table.")
    return row


def _number_words(words: pl.Series) -> tuple[list[str], pl.Series]:
    """The different words, and the position of each of `words` among them; a source may have numbered them itself."""
    if isinstance(words.dtype, pl.Enum):
        return words.dtype.categories.to_list(), words.to_physical()
    names = words.unique().cast(pl.String).sort()
    return names.to_list(), words.cast(pl.Enum(names)).to_physical()


def _check(findings: pl.DataFrame) -> None:
    is_complete = pl.all_horizontal(pl.col(FindingTable.column_names()).is_not_null())
    words = findings["finding"].dtype
    is_named = isinstance(words, pl.Enum) and "" not in words.categories
    has_word = pl.lit(True) if is_named else pl.col("finding").cast(pl.String) != ""
    is_valid = is_complete & has_word & pl.col("value").is_in([POSITIVE, NEGATIVE, UNCERTAIN])
    wrong = findings.select((~is_valid).sum()).item()
    if wrong:
        raise TableError(
            f"FindingTable: {wrong} of {findings.height} findings lack an image, a word or a reader (which may be "
            "empty text), or have a value other than 1, 0 and -1."
        )


def _split_column(word: str, cells: pl.Series) -> list[Statement]:
    values = cells.fill_null(_BLANK).to_numpy()
    filled = np.flatnonzero(values != _BLANK)  # a quarter of CheXpert's cells
    values = values[filled]
    stated = [Statement(word, value, filled[values == value]) for value in (POSITIVE, NEGATIVE, UNCERTAIN)]
    others = len(cells) - cells.null_count() - sum(len(statement.rows) for statement in stated)
    if others:
        raise TableError(f"The column {word!r} holds {others} values other than 1, 0, -1 and null.")
    return [statement for statement in stated if len(statement.rows)]


def _split(
    rows: np.ndarray, words: np.ndarray, values: np.ndarray, names: Sequence[str], shares: np.ndarray | None = None
) -> Iterator[Statement]:
    """One Statement for each word and value that occur together."""
    keys = words.astype(np.int64) * len(_VALUES) + values + 1
    keys = keys.astype(np.min_scalar_type(len(names) * len(_VALUES)))  # numpy sorts 16 bits ten times faster
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order])) + 1
    for part in np.split(order, starts):
        if len(part):  # one empty part where nothing is said at all
            word, value = divmod(int(keys[part[0]]), len(_VALUES))
            yield Statement(names[word], value - 1, rows[part], None if shares is None else shares[part])
