"""From a source's own words to the fourteen labels and their evidence. What a word means is in `mappings/`.

Label files that complete a source (CXR-LT for MIMIC) are read by the source itself, as further findings under the rule
`stated`. Labels that compete with a source's own (NIH, adjudicated) are a table of their own: `adjudicated.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.datasets.files.folders import phantom_marker
from cxr_pipeline.datasets.files.strict_csv import reading_once
from cxr_pipeline.datasets.inventory import read_image_rows
from cxr_pipeline.errors import TableError
from cxr_pipeline.labels.mapping import Meanings, interpret, read_mapping
from cxr_pipeline.labels.policy import DEFAULT_POLICY, LabelPolicy
from cxr_pipeline.labels.statements import Statement, gather_columns, gather_findings, gather_votes
from cxr_pipeline.labels.verdicts import Verdict, fill_cells, fill_shares, judge
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.tables.labels import LabelTable, MappingTable
from cxr_pipeline.tables.raw import ImageTable

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


def label_table(dataset: Dataset, root: Path, policy: LabelPolicy = DEFAULT_POLICY) -> LabelResult:
    """The harmonized labels of every published image of the source at `root`, whether or not its pixels are there.

    A source that has reports only knows nothing of any class. Raises SourceNotFoundError and SourceFormatError as the
    readers do, TableError when the mapping is inconsistent.
    """
    with reading_once():
        images, statements = read_statements(dataset, root, policy)
    says_anything = dataset.read_findings is not None
    mapping = read_mapping(dataset.name) if says_anything else MappingTable.create_empty()
    return harmonize(images, statements, mapping, unstated_is=dataset.unstated_is, policy=policy)


def read_statements(
    dataset: Dataset, root: Path, policy: LabelPolicy = DEFAULT_POLICY
) -> tuple[pl.DataFrame, list[Statement]]:
    """The images of a source (ImageTable) and what it says of them."""
    if dataset.read_wide:
        frame = dataset.read_wide(root).with_columns(is_phantom=pl.lit(phantom_marker(root) is not None)).collect()
        words = [name for name in frame.columns if name not in ImageTable.columns() and name != "path"]
        return frame.drop(words), gather_columns(frame, words)
    images = read_image_rows(dataset, root)
    if dataset.read_findings is None:
        return images, []
    findings = dataset.read_findings(root).collect()
    if dataset.readers > 1:
        return images, gather_votes(images, findings, policy.reader_votes)
    return images, gather_findings(images, findings)


def harmonize(
    images: pl.DataFrame,
    statements: Sequence[Statement],
    mapping: pl.DataFrame,
    *,
    unstated_is: Literal["negative", "unknown"],
    policy: LabelPolicy = DEFAULT_POLICY,
) -> LabelResult:
    """The labels of `images` (ImageTable) from what is said of them, under `mapping` and `policy`.

    For each image and class the strongest statement decides: positive, then a doubtful or broader word (null), then
    uncertain, then negative, then what follows from `normal` or a broader word denied. Where nothing is said, the
    value is 0 if the source's silence means "not there" and it has a word for the class, else null.

    Three things take values away and none gives one. An image with a word that the mapping lacks keeps what is stated
    and loses its absences: the word may be a misspelt class. An image with a word that mutes ("unchanged") keeps what
    is stated of a class itself and loses the rest. One with a word that voids ("exclude") loses all.
    """
    meanings = interpret(mapping, [statement.word for statement in statements])
    observed = np.isin(PATHOLOGIES, mapping.filter(pl.col("rule") == "direct")["pathology"].to_list())
    understood = policy.unstated if policy.unstated != "as_source" else unstated_is
    silence = np.where(observed & (understood == "negative"), Verdict.ABSENT, Verdict.UNOBSERVED).astype(np.uint8)
    # A class that the source can never affirm would only teach "this hospital has none of it".
    deniable = {"parent": observed, "normal": observed | (policy.derived_negatives == "no_finding")}
    verdicts = judge(statements, meanings, silence, images.height, deniable)
    shares = fill_shares(verdicts, statements, meanings)
    table = pl.concat([images, *fill_cells(verdicts), shares], how="horizontal")
    return LabelResult(_cast(table), _count_unmapped(statements, meanings))


def _cast(table: pl.DataFrame) -> pl.DataFrame:
    """Columns and types of a LabelTable. Its rules are checked where it is written, and cost more than the labels."""
    try:
        return LabelTable.cast(table)
    except PolarsError as error:
        raise TableError(f"LabelTable: {error}. Expected images as `Dataset.read_images` describes them.") from error


def _count_unmapped(statements: Sequence[Statement], meanings: Meanings) -> pl.DataFrame:
    """Each word without a row in the mapping, and how many images have it: most frequent first."""
    rows: dict[str, list[np.ndarray]] = {}
    for statement in statements:
        if statement.word not in meanings:
            rows.setdefault(statement.word, []).append(statement.rows)
    counts = {word: len(np.unique(np.concatenate(parts))) for word, parts in rows.items()}
    frame = pl.DataFrame({"finding": list(counts), "count": list(counts.values())}, schema=_UNMAPPED_SCHEMA)
    return frame.sort(["count", "finding"], descending=[True, False])
