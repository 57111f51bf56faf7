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
from cxr_pipeline.tables import FindingTable

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
    names, words = _number_words(findings["finding"])
    answers = findings.select("reader", "value", row=rows, word=words)
    # A reader who drew two boxes has one voice: the strongest of 1, -1 and 0.
    strength = pl.when(pl.col("value") == POSITIVE).then(2).otherwise(-pl.col("value")).cast(pl.Int8)
    voices = answers.group_by("row", "word", "reader").agg(strength=strength.max())
    counted = voices.group_by("row", "word").agg(
        n=pl.len(), k=(pl.col("strength") == 2).sum(), is_said=pl.col("strength").max() > 0
    )
    is_positive = pl.col("k") > 0 if votes == "any" else 2 * pl.col("k") > pl.col("n")
    value = pl.when(is_positive).then(POSITIVE).when("is_said").then(MINORITY).otherwise(NEGATIVE)
    outcome = counted.select("row", "word", value=value.cast(pl.Int8), share=(pl.col("k") / pl.col("n")))
    shares = outcome["share"].cast(pl.Float32).to_numpy() if votes == "soft" else None
    row, word, values = (outcome[name].to_numpy() for name in ("row", "word", "value"))
    return list(_split(row, word, values, names, shares))


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
    """The different words, and the position of each of `words` among them."""
    names = words.unique().cast(pl.String).sort()
    return names.to_list(), words.cast(pl.Enum(names)).to_physical()


def _check(findings: pl.DataFrame) -> None:
    is_complete = pl.all_horizontal(pl.col(FindingTable.column_names()).is_not_null())
    is_valid = is_complete & (pl.col("finding") != "") & pl.col("value").is_in([POSITIVE, NEGATIVE, UNCERTAIN])
    wrong = findings.select((~is_valid).sum()).item()
    if wrong:
        raise TableError(
            f"FindingTable: {wrong} of {findings.height} findings lack an image, a word or a reader (which may be "
            "empty text), or have a value other than 1, 0 and -1."
        )


def _split_column(word: str, cells: pl.Series) -> list[Statement]:
    values = cells.fill_null(_BLANK).to_numpy()
    stated = [Statement(word, value, np.flatnonzero(values == value)) for value in (POSITIVE, NEGATIVE, UNCERTAIN)]
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
