"""`cxr train`: a checkpoint from a preset, with every field of the recipe explained in its help."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxr_pipeline.cli import show, steps
from cxr_pipeline.cli.messages import print_note, print_warning
from cxr_pipeline.cli.overrides import parse_overrides
from cxr_pipeline.launch.job import Job
from cxr_pipeline.launch.local import run_job
from cxr_pipeline.pipeline.jobs import OnEvent
from cxr_pipeline.pipeline.training import Checkpoint, train_checkpoint
from cxr_pipeline.settings import Settings
from cxr_pipeline.storage.lake import Lake

if TYPE_CHECKING:
    from cxr_pipeline.training.config import TrainConfig

_HEADING = (
    "Fields, for --set and --config. With --set a list is A,B, weights are Mass=2,Hernia=1.5, and nothing is null."
)
_INDENT = " " * 6  # of a line that explains the one above it


def explain() -> list[str]:
    """The presets, then every field."""
    return ["Presets", *preset_lines(), "", _HEADING, *field_lines()]


def train(
    preset: Annotated[str | None, typer.Option(help="Recipe, see below; default `CXR_PRESET`")] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML or JSON file of fields, over the preset")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Override one field, also of the file")
    ] = None,
) -> None:
    """Train a checkpoint on the cohort, on this machine. The same recipe on the same data is not trained twice.

    `--config` also takes the `config.json` of a job folder or of a checkpoint.
    Example: `cxr train --preset baseline --set epochs=10 --set lr=1e-4`
    """
    settings = Settings()
    recipe = read_train_config(preset or settings.preset, config, set_ or [])
    show.checkpoint(train_here(settings, recipe))


def read_train_config(preset: str, file: Path | None, overrides: list[str]) -> "TrainConfig":
    """The preset, over it the settings of `file`, and over both what `--set FIELD=VALUE` names."""
    from cxr_pipeline.cli.config_file import read_config_file
    from cxr_pipeline.training.presets import Layer, layered

    of_file = [Layer(str(file), read_config_file(file))] if file else []
    return layered(preset, *of_file, Layer("--set", parse_overrides(overrides, example="epochs=10")))


def train_here(settings: Settings, config: "TrainConfig") -> Checkpoint:
    """Trains on this machine, with a progress bar over epochs."""
    with steps.progress_bar("training") as advance:

        def launch(job: Job, on_event: OnEvent) -> dict[str, Any]:
            def follow(event: dict[str, Any]) -> None:
                on_event(event)
                if event["event"] == "epoch":
                    advance(event["epoch"], event["epochs"])
                elif event["event"] in ("continued", "begun_anew"):
                    print_note(event["note"])
                elif event["event"] == "warning":
                    print_warning(event["text"])

            return run_job(job, on_event=follow)

        lake, tracker = Lake(settings.lake_root), steps.tracker_of(settings)
        return train_checkpoint(lake, config, launch=launch, tracker=tracker, tags={"launched_by": "cxr train"})[0]


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
        idle = "" if field.decides else "; starts no other job"
        lines += [f"  {field.name:23} {field.expected}; default {field.default}{idle}", f"{_INDENT}{field.meaning}"]
    return lines
