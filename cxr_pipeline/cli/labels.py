"""`cxr labels`: one source in the fourteen classes, with every choice of the label policy explained in its help."""

from pathlib import Path
from textwrap import wrap
from typing import Annotated, get_args

import polars as pl
import typer
from pydantic import ValidationError

from cxr_pipeline.cli import show, steps
from cxr_pipeline.cli.arguments import Root, Source
from cxr_pipeline.cli.overrides import parse_overrides
from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.errors import CxrError
from cxr_pipeline.labels.policy import DEFAULT_POLICY, LabelPolicy
from cxr_pipeline.settings import Settings

_HEADING = "Fields of --set, the label policy. What training makes of uncertain cells (-1) is a field of `cxr train`."
_INDENT, _WIDTH = " " * 6, 100


def explain() -> list[str]:
    """Every field of the policy."""
    return [_HEADING, *policy_lines()]


def labels(
    name: Source,
    root: Root = None,
    out: Annotated[Path | None, typer.Option(help="Parquet file to write; default the table in the lake")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Choose one field of the policy, see below")
    ] = None,
) -> None:
    """Harmonize one source: one row per published image, 14 classes of 1 / 0 / -1 / null.

    Needs the metadata files only, no pixels. Example: `cxr labels nih --root /data/nih --out nih.parquet`, or
    `cxr labels vindr --set reader_votes=any`
    """
    policy = read_policy(set_ or [])
    result, gaps = steps.labels(Settings(), name, root=root, out=out, policy=policy)
    show.labels(name, result, gaps, chosen=describe_choices(policy))
    show.warnings(find_idle_choices(DATASETS[name], result.table, policy))


def read_policy(overrides: list[str]) -> LabelPolicy:
    """The policy that `--set FIELD=VALUE` names, on the default; raises CxrError that names the wrong field."""
    try:
        return LabelPolicy.model_validate(parse_overrides(overrides, example="unstated=unknown"))
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        fields = ", ".join(f"{field}={'|'.join(values)}" for field, values in _values().items())
        raise CxrError(f"--set does not fit ({wrong}). Fields: {fields}.") from error


def describe_choices(policy: LabelPolicy) -> list[str]:
    """`unstated=unknown (default as_source)`: one line for each choice that is not the default."""
    chosen = policy.model_dump().items()
    defaults = DEFAULT_POLICY.model_dump()
    return [f"{field}={value} (default {defaults[field]})" for field, value in chosen if value != defaults[field]]


def find_idle_choices(dataset: Dataset, table: pl.DataFrame, policy: LabelPolicy) -> list[str]:
    """One line for each choice that changes nothing in the label table of this source."""
    idle = []
    if policy.reader_votes != DEFAULT_POLICY.reader_votes and dataset.readers == 1:
        idle.append(f"reader_votes changes nothing: {dataset.title} has one voice for each image")
    if policy.labelled_by != DEFAULT_POLICY.labelled_by and table["labelled_by"].null_count() == table.height:
        idle.append(f"labelled_by changes nothing: {dataset.title} does not say who read each image")
    return idle


def policy_lines() -> list[str]:
    """Each field: its values and the default, and below it what they do and why the default is so."""
    lines = []
    for field, values in _values().items():
        described = LabelPolicy.model_fields[field]
        lines.append(f"  {field:20} {', '.join(values)}; default {described.default}")
        lines += wrap(str(described.description), _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)
    return lines


def _values() -> dict[str, tuple[str, ...]]:
    return {field: get_args(described.annotation) for field, described in LabelPolicy.model_fields.items()}
