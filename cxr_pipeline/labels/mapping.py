"""What each word of a source means in the fourteen classes: reads and checks `mappings/<source>.csv`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from cxr_pipeline.datasets.files.strict_csv import read_csv
from cxr_pipeline.errors import TableError
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables.labels import MappingTable

_FOLDER = Path(__file__).parent / "mappings"
_WITHOUT_PATHOLOGY = ("normal", "outside", "mutes", "voids")


def read_mapping(name: str) -> pl.DataFrame:
    """The mapping of the source `name` as a MappingTable; raises TableError when it is absent or inconsistent."""
    path = _FOLDER / f"{name}.csv"
    if not path.is_file():
        raise TableError(f"No mapping {path.name} in labels/mappings: every source needs one row per word it uses.")
    rows = read_csv(path, MappingTable.column_names())
    return check_mapping(rows.with_columns(pl.col("pathology", "reason").replace({"": None})))


def check_mapping(mapping: pl.DataFrame) -> pl.DataFrame:
    """`mapping` as a MappingTable; raises TableError when a word contradicts itself, or lacks its reason or class."""
    valid = validate_table(mapping, MappingTable)
    word = term(pl.col("finding"))
    problems = {
        "are there twice for one class, but for case or blanks": pl.struct(word, "pathology").is_duplicated(),
        "speak of classes and, in another row, of none": pl.col("pathology").is_null() & word.is_duplicated(),
        "have a class though their rule takes none, or none though it takes one": (
            pl.col("rule").is_in(_WITHOUT_PATHOLOGY) != pl.col("pathology").is_null()
        ),
        "have no reason": pl.col("reason").is_null(),
    }
    for problem, rows in problems.items():
        words = valid.filter(rows)["finding"].to_list()
        if words:
            raise TableError(f"The words {words} of a mapping {problem}. Correct the CSV file in labels/mappings.")
    return valid


@dataclass(frozen=True)
class Meaning:
    """What a word says under one rule, and of which classes."""

    rule: str
    classes: tuple[int, ...]  # positions in PATHOLOGIES; of `normal` all, of `outside`, `mutes` and `voids` none


Meanings = Mapping[str, tuple[Meaning, ...]]  # a word that is not in it has no row in the mapping


def interpret(mapping: pl.DataFrame, words: Iterable[str]) -> Meanings:
    """The meanings of those `words` of a source, as it writes them, that `mapping` (MappingTable) has rows for."""
    rows = mapping.select("rule", "pathology", term=term(pl.col("finding")))
    said = pl.DataFrame({"word": list(dict.fromkeys(words))}, schema={"word": pl.String})
    known = said.with_columns(term=term(pl.col("word"))).join(rows, on="term", maintain_order="left")
    meanings: dict[str, tuple[Meaning, ...]] = {}
    for word, rule, pathology in known.select("word", "rule", "pathology").rows():
        classes = (PATHOLOGIES.index(pathology),) if pathology else ()
        everything = tuple(range(len(PATHOLOGIES)))
        meaning = Meaning(rule, everything if rule == "normal" else classes)
        meanings[word] = (*meanings.get(word, ()), meaning)
    return meanings


def term(finding: pl.Expr) -> pl.Expr:
    """A source's word as it is compared: in lower case, blanks stripped and single, and never in parts.

    Comparing parts is how `pseudonodule` became a Nodule and `pericardial effusion` an Effusion elsewhere.
    """
    return finding.str.strip_chars().str.replace_all(r"\s+", " ").str.to_lowercase()
