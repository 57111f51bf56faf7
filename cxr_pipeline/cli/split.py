"""`cxr split`: makes the cohort, and says why an image is where it is."""

from typing import Annotated

import typer
from rich.console import Console

from cxr_pipeline.cli import show, steps
from cxr_pipeline.pipeline.split import explain_split
from cxr_pipeline.settings import Settings
from cxr_pipeline.split.explain import Explanation
from cxr_pipeline.split.history import changed_settings
from cxr_pipeline.storage.lake import Lake

app = typer.Typer()


@app.callback(invoke_without_command=True)
def split(
    context: typer.Context,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Override one setting")] = None,
    start_over: Annotated[
        bool, typer.Option("--start-over", help="Forget who was placed where; train again after it")
    ] = False,
) -> None:
    """Merge all sources into the cohort: each patient in one of train, val and test.

    Patients that have a split keep it. Example: `cxr split --set external=padchest,vindr --set val_fraction=0.05`
    """
    if context.invoked_subcommand is None:
        settings, config = Settings(), steps.read_split_config(set_ or [])
        made = steps.split(settings, config, start_over=start_over)
        show.cohort(made, changed=changed_settings(Lake(settings.lake_root), config))


@app.command("explain")
def explain(
    image_id: Annotated[str, typer.Argument(help="As in the cohort: `<dataset>/<name>`", metavar="IMAGE_ID")],
) -> None:
    """Show why an image is in its split: published part, group, copies, assignment and moves.

    Other patients are counted and not named. Example: `cxr split explain nih/00000001_000`
    """
    for line in describe(explain_split(Lake(Settings().lake_root), image_id)):
        Console().print(line, highlight=False, markup=False, soft_wrap=True)


def describe(found: Explanation) -> list[str]:
    """The explanation as lines: the answer first."""
    facts = [f"{name:15} {text}" for name, text in found.facts.items()]
    copies = [f"{'copy':15} {line}" for line in found.copies]
    moves = [f"{'moved':15} {line}" for line in found.moves]
    return [f"{found.image_id} is in {found.split}: {found.reason}", *facts, *copies, *moves]
