"""`cxr predict`: what a checkpoint says of image files, as a table for a person, or JSON or CSV for a program."""

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from cxr_pipeline.cli.messages import print_error, print_warning
from cxr_pipeline.cli.steps import checkpoint_folder
from cxr_pipeline.errors import CxrError
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.settings import Settings

if TYPE_CHECKING:
    from cxr_pipeline.evaluation.files import FileError, FilePrediction

Form = Literal["table", "json", "csv"]

_DECISIONS = {True: "positive", False: "negative", None: "no threshold"}
_LISTS = ("positive", "undecided", "overlays", "warnings")
_FAILURE = ("reason", "error")


def predict(
    images: Annotated[
        list[Path],
        typer.Argument(help="PNG, JPEG, DICOM, TIFF, BMP, WebP or JPEG 2000 files, or folders", metavar="IMAGE..."),
    ],
    checkpoint: Annotated[Path | None, typer.Option(help="Checkpoint folder; default the current one")] = None,
    form: Annotated[Form, typer.Option("--format", help="How to print")] = "table",
    explain: Annotated[
        bool, typer.Option("--explain", help="Write overlays of the positive classes, or else of the likeliest")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder of the overlays; default beside each image")] = None,
    frame: Annotated[int | None, typer.Option(min=1, help="Which one, from 1, of DICOM files with several")] = None,
) -> None:
    """Calibrated probabilities and decisions of a checkpoint. Research use only; not for diagnosis.

    An unreadable file is named on stderr, has its reason in JSON and CSV, and makes the exit code 1; the others are
    still predicted. A picture that its file calls lateral or not upright gets a warning.
    Example: `cxr predict scans/ chest.dcm --explain --out overlays`
    """
    if out and not explain:
        raise typer.BadParameter("--out is the folder of overlays: it needs --explain")
    failures: list[FileError] = []
    answers = _predict(checkpoint_folder(Settings(), checkpoint), images, explain=explain, out=out, frame=frame)
    _PRINTERS[form](_noted(answers, failures))
    for failure in failures:
        print_error(str(failure))
    if failures:
        raise typer.Exit(1)


def _predict(
    checkpoint: Path, paths: list[Path], *, explain: bool, out: Path | None, frame: int | None
) -> Iterator["FilePrediction | FileError"]:
    from cxr_pipeline.evaluation.classifier import Classifier
    from cxr_pipeline.evaluation.files import SUFFIXES, find_images, predict_files
    from cxr_pipeline.evaluation.overlays import OverlayWriter

    files = find_images(paths)
    if not files:
        raise CxrError(
            f"No image in {', '.join(map(str, paths))}: expected files that end in {', '.join(SUFFIXES)}, or DICOM "
            "files without a suffix. Name the files one by one if theirs is another."
        )
    overlays = OverlayWriter.into(out, files) if explain else None
    return predict_files(files, Classifier.load(checkpoint), overlays=overlays, frame=frame)


def _noted(
    answers: Iterable["FilePrediction | FileError"], failures: list["FileError"]
) -> Iterator["FilePrediction | FileError"]:
    """The answers, as they come; those that are no prediction go to `failures` too, and warnings to stderr."""
    from cxr_pipeline.evaluation.files import FilePrediction

    for answer in answers:
        if isinstance(answer, FilePrediction):
            for warning in answer.warnings:
                print_warning(f"{answer.path}: {warning}")
        else:
            failures.append(answer)
        yield answer


def _print_json(found: Iterable["FilePrediction | FileError"]) -> None:
    sys.stdout.write(json.dumps([one.as_row() for one in found], indent=2) + "\n")


def _print_csv(found: Iterable["FilePrediction | FileError"]) -> None:
    writer = csv.DictWriter(sys.stdout, ["path", *PATHOLOGIES, *_LISTS, *_FAILURE])
    writer.writeheader()
    for row in (one.as_row() for one in found):
        writer.writerow(row | {name: "|".join(row[name]) for name in _LISTS})


def _print_tables(found: Iterable["FilePrediction | FileError"]) -> None:
    from cxr_pipeline.evaluation.files import FilePrediction

    for one in found:
        if isinstance(one, FilePrediction):
            _print_table(one)


def _print_table(one: "FilePrediction") -> None:
    Console().print(str(one.path), highlight=False, markup=False, soft_wrap=True)
    table = Table("finding", "probability", "decision", box=None)
    for pathology, probability in sorted(one.probabilities.items(), key=lambda item: -item[1]):
        table.add_row(pathology, f"{probability:.3f}", _DECISIONS[one.decisions[pathology]])
    Console().print(table)
    for path in one.overlays:
        Console().print(f"overlay  {path}", highlight=False, markup=False, soft_wrap=True)


_PRINTERS = {"table": _print_tables, "json": _print_json, "csv": _print_csv}
