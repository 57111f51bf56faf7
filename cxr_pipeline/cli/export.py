"""`cxr export`: a checkpoint in a form that other programs read. What is in the file: `training.export`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cxr_pipeline.cli.steps import checkpoint_folder
from cxr_pipeline.settings import Settings


def export(
    onnx: Annotated[Path, typer.Option(help="ONNX file to write", metavar="OUT.onnx")],
    checkpoint: Annotated[Path | None, typer.Argument(help="Checkpoint folder; default the current one")] = None,
) -> None:
    """Write a checkpoint as one ONNX file: letterboxed grey pixels in, logits and calibrated probabilities out.

    Needs `pip install cxr-pipeline[onnx]`. Example: `cxr export --onnx chest.onnx`
    """
    from cxr_pipeline.training.checkpoint.export import export_onnx

    export_onnx(checkpoint_folder(Settings(), checkpoint), onnx)
    Console().print(f"{onnx}  {onnx.stat().st_size / 1e6:.1f} MB", highlight=False, markup=False, soft_wrap=True)
