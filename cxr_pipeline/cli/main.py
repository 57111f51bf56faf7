"""The commands of `cxr` and their exit codes: 0 done, 1 a CxrError (printed without a traceback), 2 wrong usage, 75
(EX_TEMPFAIL) stopped by a signal after its state was saved: the same command goes on."""

import sys
from typing import Annotated

import typer

from cxr_pipeline.cli import export, images, labels, predict, reports, show, split, steps, train
from cxr_pipeline.cli.arguments import Root, Source
from cxr_pipeline.cli.explained import explained_by
from cxr_pipeline.cli.messages import print_error, print_note
from cxr_pipeline.errors import CxrError, Interrupted
from cxr_pipeline.settings import Settings
from cxr_pipeline.storage.faults import tell_fault
from cxr_pipeline.training.run.program import REQUEUE

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="""From raw chest X-ray collections to one evaluated checkpoint.

Start with `cxr demo`. With your own data: name each folder in `CXR_<SOURCE>_ROOT` (or in `.env`), look with
`cxr sources`, then `cxr labels`, `cxr images`, `cxr split`, `cxr train`, `cxr evaluate` - or press "Materialize all"
in `cxr ui`, which does the same and remembers it.""",
)

sources_app = typer.Typer()
app.add_typer(sources_app, name="sources")
app.add_typer(images.app, name="images")
app.add_typer(reports.app, name="reports")
app.add_typer(split.app, name="split")


def main() -> None:
    """Entry point: a failure that the user can mend is one message on stderr and exit code 1."""
    try:
        app()
    except Interrupted as stopped:
        print_note(str(stopped))
        sys.exit(REQUEUE)
    except CxrError as error:
        print_error(str(error))
        sys.exit(1)
    except Exception as error:
        told = tell_fault(error)  # of what was not written by `storage`: Dagster's, MLflow's and SQLite's files
        if told is None:
            raise
        print_error(str(told))
        sys.exit(1)


@app.command()
def demo(
    patients: Annotated[int, typer.Option(min=20, help="Phantom patients per source")] = 500,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs; default the demo preset's")] = None,
) -> None:
    """Render phantoms and materialize the whole graph, down to the report.

    Phantoms are rendered pictures, not radiographs of people. With `CXR_NIH_ROOT=<dir>` the real NIH files in that
    folder take the place of the NIH phantoms. Running it again repeats nothing that is up to date.
    """
    from cxr_pipeline.cli.demo import run_demo

    if not run_demo(Settings(), patients=patients, epochs=epochs):
        raise typer.Exit(1)


@app.command()
def ui() -> None:
    """Start Dagster and MLflow on 127.0.0.1 and print both addresses. Ctrl-C ends both."""
    from cxr_pipeline.cli.servers import serve

    serve(Settings())


@sources_app.callback(invoke_without_command=True)
def sources(context: typer.Context) -> None:
    """The sources: who publishes them, where they are expected here, what was found. Alone: a list."""
    if context.invoked_subcommand is None:
        show.sources(Settings())


@sources_app.command("info")
def source_info(name: Source, root: Root = None) -> None:
    """Terms, files and counts of one source, and which layout was recognised in its folder, and why."""
    show.source_info(Settings(), name, root)


@sources_app.command("status")
def source_status() -> None:
    """Of every source: found, missing or complete, images, bytes, layout, and what to do next.

    Lists every image file: a minute for all seven collections.
    """
    show.source_status(Settings())


@sources_app.command("unpack")
def source_unpack(name: Source, root: Root = None) -> None:
    """Unpack the pictures of a source that comes in parts of one archive (ReXGradient); goes on where it was killed.

    `raw/<source>` and `cxr images` do so by themselves where the parts are there and the pictures are not.
    """
    show.unpacked(steps.unpack(Settings(), name, root=root))


app.command("labels", cls=explained_by(labels.explain))(labels.labels)


app.command("train", cls=explained_by(train.explain))(train.train)


@app.command()
def evaluate() -> None:
    """Predict, measure, explain and report the current checkpoint on validation and test."""
    show.evaluation(*steps.evaluate(Settings()))


app.command("predict")(predict.predict)
app.command("export")(export.export)
