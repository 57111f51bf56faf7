"""The lake: one folder whose layout mirrors the asset keys, and the only door to its tables."""

from dataclasses import dataclass
from pathlib import Path

import dataframely as dy
import polars as pl
from polars.exceptions import PolarsError

from cxr_pipeline.errors import TableError
from cxr_pipeline.storage.faults import tell_fault
from cxr_pipeline.storage.files import write_atomically


@dataclass(frozen=True)
class Lake:
    """`<root>/<stage>/<name>.parquet` for tables, `<root>/<stage>/<name>/` for folders."""

    root: Path

    def table(self, stage: str, name: str) -> Path:
        return self.root / stage / f"{name}.parquet"

    def folder(self, stage: str, name: str) -> Path:
        return self.root / stage / name


def validate_table(frame: pl.DataFrame, schema: type[dy.Schema]) -> pl.DataFrame:
    """`frame` with exactly the columns and types of `schema`; raises TableError that counts the broken rules."""
    try:
        valid, failure = schema.filter(frame, cast=True)
    except (dy.exc.SchemaError, PolarsError) as error:
        raise TableError(f"{schema.__name__}: {error}. Expected the columns {', '.join(schema.columns())}.") from error
    if len(failure):
        broken = ", ".join(f"{rule} ({count} rows)" for rule, count in failure.counts().items())
        raise TableError(f"{schema.__name__}: {len(failure)} of {frame.height} rows break {broken}.")
    return valid


def write_table(path: Path, frame: pl.DataFrame, schema: type[dy.Schema]) -> pl.DataFrame:
    """Validates `frame` against `schema` and writes it to `path` atomically; unchanged bytes are left alone."""
    table = validate_table(frame, schema)
    write_parquet(path, table)
    return table


def write_parquet(path: Path, frame: pl.DataFrame) -> bool:
    """Writes `frame` atomically; whether the bytes changed. Polars has an error of its own for a full disk."""
    try:
        return write_atomically(path, lambda temporary: frame.write_parquet(temporary))
    except PolarsError as error:
        if told := tell_fault(error, path):
            raise told from error
        raise


def read_table(path: Path, schema: type[dy.Schema]) -> pl.DataFrame:
    """The table at `path`, validated; raises TableError when it is absent, unreadable or breaks `schema`."""
    if not path.is_file():
        raise TableError(f"No table at {path}: materialize the asset {path.parent.name}/{path.stem} first.")
    try:
        frame = pl.read_parquet(path)
    except PolarsError as error:
        raise TableError(
            f"{path} is not a readable Parquet file ({error}). Restore it from a backup, or let the step that made it "
            "write it again."
        ) from error
    return validate_table(frame, schema)
