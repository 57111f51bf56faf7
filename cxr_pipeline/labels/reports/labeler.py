"""The report labeler: from the text of radiology reports to the state of each class, with the evidence for it.

A pure function of text, lexicon and version. Report text stays in what is returned: it is never logged and never part
of an error. How well the labeler reads is measured by `report_scores.py`.
"""

import hashlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import numpy as np
import polars as pl

from cxr_pipeline.errors import TableError
from cxr_pipeline.labels.reports.lexicon import read_lexicon
from cxr_pipeline.labels.reports.reader import Mention, Reading, find_sections, read_report, read_texts
from cxr_pipeline.labels.reports.states import STRENGTH, spread_states
from cxr_pipeline.labels.reports.text import BODY, Section
from cxr_pipeline.pathologies import PATHOLOGIES

LABELER_VERSION = "4"  # to be raised when the same lexicon comes to read the same text otherwise

_FEWEST_TEXTS = 25_000  # a process for fewer takes longer to start than it saves
_FINDINGS_SECTIONS = ("findings", BODY)
_FEWEST_WORDS = 2
_FOUND: dict[str, pl.DataType | type[pl.DataType]] = {
    "row": pl.UInt32,
    "pathology": pl.Enum(PATHOLOGIES),
    "state": pl.Int8,
    "start": pl.Int32,
    "end": pl.Int32,
    "cue": pl.String,
    "section": pl.String,
}
_STATEMENT: dict[str, pl.DataType | type[pl.DataType]] = {
    "pathology": pl.String,
    "state": pl.Int8,
    "start": pl.Int32,
    "end": pl.Int32,
    "cue": pl.String,
    "cue_start": pl.Int32,
    "cue_end": pl.Int32,
}
_EVIDENCE = ["study_id", "pathology", "state", "start", "end", "cue", "section"]


@dataclass(frozen=True)
class ReportLabels:
    """What reports say of the fourteen classes, and where they say it.

    `states`: one row per study in order of first appearance: `study_id` and one Int8 column per class, 1 positive,
    0 denied, -1 uncertain, null where no section that counts says anything of it.
    `evidence`: one row per mention: `study_id pathology state start end cue section`. `start` and `end` are character
    offsets into the text that was given; `state` is null where the finding is named but not said of this study.
    """

    states: pl.DataFrame
    evidence: pl.DataFrame


@dataclass(frozen=True)
class Explanation:
    """One report taken apart, for a person to see why."""

    sections: list[Section]
    mentions: list[Mention]
    states: dict[str, int | None]  # class -> state, in the order of PATHOLOGIES


def label_reports(reports: pl.DataFrame, *, language: str = "en", processes: int = 1) -> ReportLabels:
    """The labels of `reports`: `study_id text`, and `section` where the source parts its reports; rows in any order.

    Equal texts are read once. Raises TableError when a column is missing or is not text.
    """
    texts = _as_texts(reports)
    distinct = texts.select("section", "text").unique(maintain_order=True).with_row_index("text_row")
    found = _read_all(distinct, language, processes)
    evidence = (
        texts.join(distinct, on=["section", "text"], nulls_equal=True, maintain_order="left")
        .select("study_row", "study_id", "text_row")
        .join(found.rename({"section": "heading"}), left_on="text_row", right_on="row", maintain_order="left_right")
        .rename({"heading": "section"})
    )
    return ReportLabels(_combine(texts, evidence), evidence.select(_EVIDENCE))


def explain(text: str, language: str = "en") -> Explanation:
    """The sections of a report, its mentions in order of position, and the states that follow."""
    lexicon = read_lexicon(language)
    mentions = sorted(read_report(text, lexicon), key=lambda mention: (mention.start, mention.end))
    said = {name: [m.state for m in mentions if m.pathology == name and m.state is not None] for name in PATHOLOGIES}
    states = {name: max(values, key=STRENGTH.__getitem__, default=None) for name, values in said.items()}
    return Explanation(find_sections(text, lexicon), mentions, states)


def described_studies(reports: pl.DataFrame) -> pl.DataFrame:
    """`study_id is_described`: whether findings were written down at all, so that silence means "not there".

    That takes two words in a findings section, or outside of any section (label mapping, section 7).
    """
    words = pl.col("text").str.count_matches(r"\w+")
    is_findings = pl.col("section").is_in(_FINDINGS_SECTIONS)
    described = pl.when(is_findings).then(words).otherwise(0) >= _FEWEST_WORDS
    return _as_texts(reports).group_by("study_id", maintain_order=True).agg(is_described=described.any())


def lexicon_hash(language: str = "en") -> str:
    """SHA-256 of the lexicon's bytes and the labeler's version: what a labelling depends on besides the text."""
    return hashlib.sha256(f"{LABELER_VERSION}:{read_lexicon(language).digest}".encode()).hexdigest()


def _as_texts(reports: pl.DataFrame) -> pl.DataFrame:
    """`study_row study_id section text`; without nulls, `section` in lower case."""
    columns = reports.columns if "section" in reports.columns else [*reports.columns, "section"]
    filled = reports if "section" in reports.columns else reports.with_columns(section=pl.lit(BODY))
    wrong = [name for name in ("study_id", "section", "text") if filled.schema.get(name) != pl.String]
    if wrong:
        raise TableError(
            f"Reports have the columns {', '.join(columns)}; {', '.join(wrong)} missing or not text. Expected "
            "study_id and text, and section where there is one, as strings."
        )
    nameless = filled["study_id"].null_count()
    if nameless:
        raise TableError(f"{nameless} reports have no study_id. Expected one for each: complete the column.")
    return filled.select(
        (pl.col("study_id").rank("dense") - 1).cast(pl.UInt32).alias("study_row"),
        "study_id",
        pl.col("section").fill_null(BODY).str.strip_chars().str.to_lowercase(),
        pl.col("text").fill_null(""),
    )


def _read_all(distinct: pl.DataFrame, language: str, processes: int) -> pl.DataFrame:
    """Every mention in the texts of `distinct`, in order of text; `row` is the position of the text."""
    read_lexicon(language)  # what is wrong with it is said here, not in a worker
    pairs = list(zip(distinct["section"], distinct["text"], strict=True))
    share = max(-(-len(pairs) // processes), _FEWEST_TEXTS)
    chunks = [pairs[at : at + share] for at in range(0, len(pairs), share)]
    read = _read_chunks(chunks, language)
    frames = [_as_mentions(reading).with_columns(pl.col("row") + at * share) for at, reading in enumerate(read)]
    return pl.concat(frames) if frames else pl.DataFrame(schema=_FOUND)


def _read_chunks(chunks: list[list[tuple[str, str]]], language: str) -> list[Reading]:
    """One process for each chunk: the fewer there are, the fewer sentences are read twice."""
    read = partial(read_texts, language=language)
    if len(chunks) <= 1:
        return [read(chunk) for chunk in chunks]
    # Not forked: polars has threads, and a forked child may inherit their locks.
    with ProcessPoolExecutor(len(chunks) - 1, mp_context=get_context("spawn")) as pool:
        elsewhere = pool.map(read, chunks[1:])
        return [read(chunks[0]), *elsewhere]


def _as_mentions(reading: Reading) -> pl.DataFrame:
    """The statements of each sentence at each of its places; columns as `_FOUND`."""
    places = pl.DataFrame(
        {
            "row": np.frombuffer(reading.rows, np.int32),
            "offset": np.frombuffer(reading.offsets, np.int32),
            "sentence": np.frombuffer(reading.sentences, np.int32),
            "section": pl.Series(reading.sections, dtype=pl.String),
        }
    )
    said = pl.DataFrame(reading.statements, schema=_STATEMENT, orient="row").with_columns(
        sentence=np.frombuffer(reading.said_in, np.int32)
    )
    return (
        places.join(said, on="sentence", maintain_order="left_right")
        .with_columns(pl.col("start", "end") + pl.col("offset"))
        .select(pl.col(name).cast(kind) for name, kind in _FOUND.items())
    )


def _combine(texts: pl.DataFrame, evidence: pl.DataFrame) -> pl.DataFrame:
    """One row per study: the strongest state of each class."""
    studies = texts.select("study_row", "study_id").unique(maintain_order=True)
    return spread_states(evidence, studies, by="study_row").drop("study_row")
