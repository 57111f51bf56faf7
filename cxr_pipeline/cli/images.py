"""`cxr images`: the image store of a source, how it looks, and what is the matter with any image file."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer.core import TyperGroup

from cxr_pipeline.cli import show, steps
from cxr_pipeline.cli.arguments import Root, Source
from cxr_pipeline.settings import Settings

if TYPE_CHECKING:
    from cxr_pipeline.images.doctor import Diagnosis

Verify = Annotated[bool, typer.Option("--verify", help="Read all files, also those that look unchanged to `stat`")]

_LISTED = 12  # files that are explained one by one; of more, only the unusable ones, by reason
_EXAMPLES = 3  # files named of each reason


class PrepareByDefault(TyperGroup):
    """A first word that is no command belongs to `prepare`: `cxr images nih` is `cxr images prepare nih`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["prepare", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=PrepareByDefault, no_args_is_help=True)


@app.callback()
def images() -> None:
    """Decode the images of a source into its store, look at it, ask what is wrong with a file.

    `cxr images NAME` is `cxr images prepare NAME`.
    """


@app.command()
def prepare(name: Source, root: Root = None, verify: Verify = False) -> None:
    """Decode the frontal images of one source into the image store; only what is new or changed."""
    show.images(steps.images(Settings(), name, root=root, verify=verify))


@app.command()
def sheet(name: Source, root: Root = None) -> None:
    """Draw contact sheets and histograms of a prepared store and print where they are.

    Asking for it here draws the pictures of every source, also of those whose terms keep them out of the asset
    pages: they are for your eyes then.
    """
    show.looks(steps.looks(Settings(), name, root=root))


@app.command()
def doctor(
    paths: Annotated[list[Path], typer.Argument(help="Image files, or folders of them", metavar="PATH...")],
    size: Annotated[int | None, typer.Option(min=32, max=2048, help="Side of the stored image; default ours")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON document")] = False,
) -> None:
    """Explain image files: what they are, whether they would be used, and if not, why and what to do.

    The exit code is 0 when all of them are usable, else 1. Example: `cxr images doctor /data/nih/images_001`
    """
    from cxr_pipeline.images.doctor import diagnose_files, find_files

    found = find_files(paths)
    with steps.progress_bar("files") as advance:
        diagnoses = diagnose_files(found.images, size=size or steps.image_size(Settings()), on_progress=advance)
    if as_json:
        sys.stdout.write(json.dumps(_document(diagnoses, found.others), indent=2) + "\n")
    else:
        _print(diagnoses, found.others)
    if not diagnoses or not all(diagnosis.is_usable for diagnosis in diagnoses):
        raise typer.Exit(1)


def _document(diagnoses: Sequence["Diagnosis"], others: dict[str, int]) -> dict[str, Any]:
    from cxr_pipeline.images.doctor import group_by_reason

    return {
        "files": len(diagnoses),
        "usable": sum(diagnosis.is_usable for diagnosis in diagnoses),
        "reasons": {reason: len(files) for reason, files in group_by_reason(diagnoses).items()},
        "not_looked_at": others,
        "diagnoses": [diagnosis.as_row() for diagnosis in diagnoses],
    }


def _print(diagnoses: Sequence["Diagnosis"], others: dict[str, int]) -> None:
    if len(diagnoses) <= _LISTED:
        for diagnosis in diagnoses:
            _print_diagnosis(diagnosis)
    else:
        _print_reasons(diagnoses)
    usable = sum(diagnosis.is_usable for diagnosis in diagnoses)
    _say(f"{usable:,} of {len(diagnoses):,} image files are usable")
    if others:
        _say("not looked at: " + ", ".join(f"{count:,} {suffix}" for suffix, count in others.items()))


def _print_diagnosis(diagnosis: "Diagnosis") -> None:
    _say(str(diagnosis.path))
    advice = {"what to do": diagnosis.advice} if diagnosis.advice else {}
    for name, value in {"verdict": diagnosis.verdict, **advice, **diagnosis.facts}.items():
        _say(f"  {name:16} {value}")
    _say("")


def _print_reasons(diagnoses: Sequence["Diagnosis"]) -> None:
    from cxr_pipeline.images.doctor import group_by_reason

    table = Table("reason", "files", "for example", "why, and what to do", box=None)
    for reason, files in group_by_reason(diagnoses).items():
        examples = "\n".join(str(file.path) for file in files[:_EXAMPLES])
        table.add_row(reason, f"{len(files):,}", escape(examples), escape(files[0].advice))
    if table.rows:
        Console().print(table)


def _say(line: str) -> None:
    Console().print(line, soft_wrap=True, highlight=False, markup=False)
