"""Shows a declared table, and one that was written, to Dagster."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import dataframely as dy
import polars as pl

from cxr_pipeline.datasets.quality import Verdict
from cxr_pipeline.storage.files import file_digest

_LISTED = 30  # rows of a Markdown table that a person reads in the asset's page


def column_schema(schema: type[dy.Schema]) -> dict[str, Any]:
    """Definition metadata: the columns of `schema` with their types, meanings and constraints."""
    columns = [
        dg.TableColumn(
            name,
            type(column).__name__,  # polars would list every field of a struct and every word of an enum
            column.description,
            dg.TableColumnConstraints(nullable=column.nullable, unique=column.primary_key),
        )
        for name, column in schema.columns().items()
    ]
    return {"dagster/column_schema": dg.TableSchema(columns)}


def table_result(
    path: Path,
    *,
    rows: int,
    version: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    verdicts: Mapping[str, Verdict] | None = None,
) -> dg.MaterializeResult:
    """The outcome of an asset that wrote the table at `path`; its data version is `version`, else its bytes' digest.

    `verdicts` are its warning checks by name, as declared with `warning_checks`.
    """
    own: dict[str, Any] = {"dagster/row_count": rows, "path": dg.MetadataValue.path(path)}
    return dg.MaterializeResult(
        metadata={**own, **(metadata or {})},
        data_version=dg.DataVersion(version or file_digest(path)),
        check_results=[_warning(name, verdict) for name, verdict in (verdicts or {}).items()],
    )


def warning_checks(key: list[str], descriptions: Mapping[str, str]) -> list[dg.AssetCheckSpec]:
    """The checks that an asset answers itself and that stop nothing: name -> what it looks at."""
    return [dg.AssetCheckSpec(name, asset=key, description=text) for name, text in descriptions.items()]


def _warning(name: str, verdict: Verdict) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name, passed=verdict.passed, severity=dg.AssetCheckSeverity.WARN, metadata=dict(verdict.facts)
    )


def markdown_table(frame: pl.DataFrame, *, limit: int = _LISTED) -> dg.MarkdownMetadataValue:
    """`frame` as a Markdown table of at most `limit` rows; a last line counts the rest."""
    lines = [_line(frame.columns), _line(["---"] * frame.width), *(_line(row) for row in frame.head(limit).rows())]
    if frame.height > limit:
        lines.append(f"\n... and {frame.height - limit} more")
    return dg.MetadataValue.md("\n".join(lines))


def count_table(name: str, counts: Mapping[str, int]) -> pl.DataFrame:
    """Counts as a frame of two columns, `name` and `images`, most frequent first."""
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return pl.DataFrame(rows, schema={name: pl.String, "images": pl.Int64}, orient="row")


def _line(cells: Iterable[object]) -> str:
    return "| " + " | ".join("n/a" if cell is None else str(cell) for cell in cells) + " |"
