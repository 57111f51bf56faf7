"""What each word of a source means in the fourteen classes: reads and checks `mappings/<source>.csv`."""

from pathlib import Path

import polars as pl

from cxr_pipeline.datasets.strict_csv import read_csv
from cxr_pipeline.errors import TableError
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables import MappingTable

_FOLDER = Path(__file__).parent / "mappings"
_WITHOUT_PATHOLOGY = ("normal", "outside")


def read_mapping(name: str) -> pl.DataFrame:
    """The mapping of the source `name` as a MappingTable; raises TableError when it is absent or inconsistent."""
    path = _FOLDER / f"{name}.csv"
    if not path.is_file():
        raise TableError(f"No mapping {path.name} in labels/mappings: every source needs one row per word it uses.")
    rows = read_csv(path, MappingTable.column_names())
    return check_mapping(rows.with_columns(pl.col("pathology", "reason").replace({"": None})))


def check_mapping(mapping: pl.DataFrame) -> pl.DataFrame:
    """`mapping` as a MappingTable; raises TableError when a word is there twice, lacks its reason or its class."""
    valid = validate_table(mapping, MappingTable)
    problems = {
        "are there twice but for case or blanks": term(pl.col("finding")).is_duplicated(),
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


def term(finding: pl.Expr) -> pl.Expr:
    """A source's word as it is compared: stripped, in lower case, and never in parts.

    Comparing parts is how `pseudonodule` became a Nodule and `pericardial effusion` an Effusion elsewhere.
    """
    return finding.str.strip_chars().str.to_lowercase()
