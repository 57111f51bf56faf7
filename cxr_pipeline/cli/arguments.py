"""Arguments that several groups of commands take. What is done with them does not live here."""

from pathlib import Path
from typing import Annotated

import typer

from cxr_pipeline.datasets import DATASETS


def source_name(name: str) -> str:
    """`name`, if it is that of a source; wrong usage otherwise."""
    if name not in DATASETS:
        raise typer.BadParameter(f"{name!r} is not a source: choose from {', '.join(DATASETS)}")
    return name


Source = Annotated[str, typer.Argument(help=f"Source: {', '.join(DATASETS)}", metavar="NAME", callback=source_name)]
Root = Annotated[Path | None, typer.Option(help="Folder of the source; default `CXR_<NAME>_ROOT`")]
