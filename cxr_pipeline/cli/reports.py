"""`cxr reports`: what the report labeler reads in a text, for a person (colours) and for a file of reports."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from cxr_pipeline.cli import steps
from cxr_pipeline.datasets.files.strict_csv import read_csv, read_header
from cxr_pipeline.errors import SourceFormatError, TableError
from cxr_pipeline.labels.reports.agreement import COUNTS
from cxr_pipeline.labels.reports.imports import compare_imported, keep_source, read_parquet, read_states
from cxr_pipeline.labels.reports.labeler import Explanation, explain, label_reports
from cxr_pipeline.pathologies import NEGATIVE, POSITIVE, UNCERTAIN
from cxr_pipeline.settings import Settings
from cxr_pipeline.storage.files import write_atomically
from cxr_pipeline.storage.lake import validate_table, write_table
from cxr_pipeline.tables.reports import ReportLabelTable

Language = Annotated[str, typer.Option(help="Lexicon: en, or es for stems as PadChest publishes them")]

app = typer.Typer(no_args_is_help=True)

_HEADER_SHOWN = 500  # characters
_STYLES = {POSITIVE: "bold red", NEGATIVE: "green", UNCERTAIN: "yellow", None: "dim"}
_WORDS = {POSITIVE: "positive", NEGATIVE: "negative", UNCERTAIN: "uncertain", None: "not said of this study"}


@app.callback()
def reports() -> None:
    """Label radiology reports. The text stays on this machine and in what you ask for."""


@app.command("explain", context_settings={"ignore_unknown_options": True})  # a list begins with a dash
def explain_text(
    text: Annotated[str, typer.Argument(help="A report or a sentence, in quotes; \\n begins a new line")],
    language: Language = "en",
) -> None:
    """Show why: sections, mentions with the words that decided, and the state of each class.

    Example: `cxr reports explain "- No effusion\\n- Possible pneumonia"`
    """
    text = text.replace("\\n", "\n")
    found = explain(text, language)
    Console().print(colour_text(text, found))
    Console().print(mention_table(text, found))
    unread = [section.name for section in found.sections if not section.is_read]
    if unread:
        Console().print(f"not read: {', '.join(unread)}", style="dim")


@app.command("label")
def label_file(
    path: Annotated[Path, typer.Argument(help="CSV: study_id, text, and section if any", metavar="IN.csv")],
    out: Annotated[Path, typer.Option(help="File to write, .csv or .parquet: study_id and the 14 states")],
    text_column: Annotated[str, typer.Option(help="Column of the reports")] = "text",
    id_column: Annotated[
        str, typer.Option(help="Column of the studies; rows of one study are one report")
    ] = "study_id",
    processes: Annotated[int, typer.Option(min=1, help="Processes to share the work")] = 1,
    language: Language = "en",
) -> None:
    """Label anyone's reports: 1 positive, 0 denied, -1 uncertain, null (in CSV an empty cell) not mentioned.

    Example: `cxr reports label reports.csv --out states.csv --text-column report --id-column accession`
    """
    write = choose_writer(out)
    rows = read_reports(path, text_column, id_column)
    states = label_reports(rows, language=language, processes=processes).states
    write(out, states)
    Console().print(f"{states.height:,} studies -> {out}", soft_wrap=True)
    Console().print(state_counts(states))


@app.command("compare")
def compare_files(
    path: Annotated[
        Path,
        typer.Argument(help="Parquet with the columns study_id, class, state and source", metavar="IMPORTED.parquet"),
    ],
    against: Annotated[
        Path | None,
        typer.Option(help="Parquet written by `cxr reports label`; default what the lake says of ReXGradient"),
    ] = None,
    source: Annotated[str | None, typer.Option(help="Compare this source of the file only")] = None,
) -> None:
    """Compare what another labeler found (CheXbert, an LLM) with ours: a table per source of the file.

    State is 1, 0, -1 or null: read, and not mentioned. A study that it did not read has no row.
    Example: `cxr reports compare chexbert.parquet --against ours.parquet`
    """
    states = keep_source(path, read_states(path), source)
    ours = read_labelled(against) if against else steps.report_states(Settings())
    agreement = compare_imported("given", states, ours)
    for (theirs,), rows in agreement.group_by("theirs", maintain_order=True):
        read = states.filter(source=theirs)["study_id"].unique()
        strangers = int((~read.is_in(ours["study_id"].implode())).sum())
        Console().print(f"{theirs}: {len(read):,} studies, {strangers:,} of them not among ours and left out")
        if rows["n"].sum():
            Console().print(agreement_table(rows))


def choose_writer(out: Path) -> Callable[[Path, pl.DataFrame], object]:
    """What writes the states to a file of that name; raises TableError for a suffix other than .csv and .parquet."""
    if out.suffix.lower() not in _WRITERS:
        raise TableError(f"--out is {out}: expected a name that ends in {' or '.join(_WRITERS)}. Choose one of them.")
    return _WRITERS[out.suffix.lower()]


def read_reports(path: Path, text_column: str, id_column: str) -> pl.DataFrame:
    """`study_id text` of a CSV, and `section` where it has such a column in any case: an indication is no finding.

    Raises SourceFormatError when a column is missing, when two could be the section, and as `read_csv` does.
    """
    header = read_header(path)
    sections = [name for name in header if name.strip().lower() == "section" and name not in (text_column, id_column)]
    missing = [name for name in (id_column, text_column) if name not in header]
    if missing or len(sections) > 1 or text_column == id_column:
        raise SourceFormatError(
            f"{path} has the columns {', '.join(header)[:_HEADER_SHOWN]}. Expected {id_column} for the study, another, "
            f"{text_column}, for the report, and at most one named section. Name yours: --id-column and --text-column."
        )
    names = {id_column: "study_id", text_column: "text"} | dict.fromkeys(sections, "section")
    return read_csv(path, list(names)).rename(names)


def colour_text(text: str, found: Explanation) -> Text:
    """The text with each mention in the colour of its state and each deciding cue underlined."""
    shown = Text(text)
    for mention in found.mentions:
        shown.stylize(_STYLES[mention.state], mention.start, mention.end)
        if mention.cue:
            shown.stylize("underline", mention.cue_start, mention.cue_end)
    return shown


def mention_table(text: str, found: Explanation) -> Table:
    """One row per mention, then one per class that has a state."""
    table = Table("section", "class", "mention", "state", "because of", box=None)
    for mention in found.mentions:
        words = text[mention.start : mention.end]
        state = Text(_WORDS[mention.state], _STYLES[mention.state])
        table.add_row(mention.section, mention.pathology, words, state, mention.cue)
    for pathology, value in found.states.items():
        if value is not None:
            table.add_row("report", pathology, "", Text(_WORDS[value], _STYLES[value]), "")
    return table


def read_labelled(path: Path) -> pl.DataFrame:
    """What `cxr reports label` wrote; raises SourceFormatError or TableError when it is something else."""
    return validate_table(read_parquet(path, ReportLabelTable.column_names()), ReportLabelTable)


def agreement_table(agreement: pl.DataFrame) -> Table:
    """One row per class of one pair of labelers."""
    wide = (Column("class", no_wrap=True), *(Column(name.replace("_", " "), justify="right") for name in COUNTS))
    table = Table(*wide, Column("n", justify="right"), Column("kappa", justify="right"), box=None)
    for name, *counts, kappa in agreement.select("pathology", *COUNTS, "n", "kappa").iter_rows():
        table.add_row(name, *(f"{count:,}" for count in counts), "n/a" if kappa is None else f"{kappa:.3f}")
    return table


def state_counts(states: pl.DataFrame) -> Table:
    """One row per class: how many studies are positive, denied, uncertain and without a mention."""
    table = Table("class", "positive", "denied", "uncertain", "not mentioned", box=None)
    for name in states.columns[1:]:
        counts = [int((states[name] == value).sum()) for value in (POSITIVE, NEGATIVE, UNCERTAIN)]
        table.add_row(name, *(f"{count:,}" for count in [*counts, states[name].null_count()]))
    return table


def _write_parquet(path: Path, states: pl.DataFrame) -> None:
    write_table(path, states, ReportLabelTable)


def _write_csv(path: Path, states: pl.DataFrame) -> None:
    table = validate_table(states, ReportLabelTable)
    write_atomically(path, lambda temporary: table.write_csv(temporary))


_WRITERS = {".csv": _write_csv, ".parquet": _write_parquet}
