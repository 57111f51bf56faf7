"""`cxr train`: a checkpoint from a preset, with every field of the recipe explained in its help."""

from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from cxr_pipeline.cli import show, steps
from cxr_pipeline.settings import Settings

_HEADING = ("Fields. With --set a list is A,B, weights are Mass=2,Hernia=1.5, and nothing is null.",)
_INDENT = " " * 6  # of a line that explains the one above it


class ExplainsFields(TyperCommand):
    """Its help ends with the presets and with every field."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        formatter.write("\n".join(["Presets", *preset_lines(), "", *_HEADING, *field_lines()]) + "\n")


def train(
    preset: Annotated[str | None, typer.Option(help="Recipe, see below; default `CXR_PRESET`")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Override one field")] = None,
) -> None:
    """Train a checkpoint on the cohort, on this machine. The same recipe on the same data is not trained twice.

    Example: `cxr train --preset baseline --set epochs=10 --set lr=1e-4`
    """
    show.checkpoint(steps.train(Settings(), preset_name=preset, overrides=set_ or []))


def preset_lines() -> list[str]:
    """Each preset: what it is for, and below it the fields that it sets."""
    from cxr_pipeline.training.config import TrainConfig
    from cxr_pipeline.training.fields import in_words
    from cxr_pipeline.training.presets import PRESETS

    lines, defaults = [], TrainConfig()
    for name, preset in PRESETS.items():
        own = [f"{field}={in_words(value)}" for field, value in preset.config if value != getattr(defaults, field)]
        lines += [f"  {name:20} {preset.purpose}", f"{_INDENT}sets {' '.join(own) or 'nothing'}"]
    return lines


def field_lines() -> list[str]:
    """Each field: type, limits and default, and below it one line of meaning."""
    from cxr_pipeline.training.fields import describe_fields

    lines = []
    for field in describe_fields().values():
        lines += [f"  {field.name:23} {field.expected}; default {field.default}", f"{_INDENT}{field.meaning}"]
    return lines
