"""OpenI as the gold for the report labeler: its reports beside what experts indexed. How to score is elsewhere."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from cxr_pipeline.datasets.openi.source import OPENI, read_findings, read_reports
from cxr_pipeline.errors import TableError
from cxr_pipeline.labels.harmonize import label_table
from cxr_pipeline.labels.reports.scores import flagged_share, score_states
from cxr_pipeline.pathologies import PATHOLOGIES, POSITIVE

_TEST_LIST = Path(__file__).parent / "openi_test.csv"
_READ_SECTIONS = ("findings", "impression")
_NORMAL = "normal"
_ENLARGED = "Cardiac Shadow/enlarged"


@dataclass(frozen=True)
class ReportGold:
    """`reports`: `study_id section text`. `labels`: one row per report that experts indexed and that has a text:
    `study_id`, the 14 classes (null: not to be scored), `is_test`, `is_new_text`, `is_normal`.
    """

    reports: pl.DataFrame
    labels: pl.DataFrame


def read_gold(root: Path) -> ReportGold:
    """The gold at the folder of OpenI; raises as its readers do, and TableError when no report is left.

    The labels are the harmonized ones of the images (all of a report's images have the same), with one exception that
    scoring needs: `Cardiac Shadow/enlarged`, null there, is what coders wrote for "enlarged heart" and counts as
    Cardiomegaly. Test reports are those of the list that the authors of NegBio published (Peng 2018), which never
    served to choose a word or a rule; a test text is new where no report outside of the list has the same one.
    """
    reports = read_reports(root).collect()
    images = label_table(OPENI, root).table
    findings = read_findings(root).collect()
    indexed = images.filter(~pl.all_horizontal(pl.col(PATHOLOGIES).is_null())).unique("study_id", maintain_order=True)
    enlarged = pl.col("image_id").is_in(_having(findings, _ENLARGED).implode())
    texts = _texts(reports)
    labels = indexed.select(
        "study_id",
        *[pl.col(name) for name in PATHOLOGIES if name != "Cardiomegaly"],
        pl.when(enlarged).then(pl.lit(POSITIVE, pl.Int8)).otherwise("Cardiomegaly").alias("Cardiomegaly"),
        is_normal=pl.col("image_id").is_in(_having(findings, _NORMAL).implode()),
        is_test=pl.col("study_id").is_in(_test_studies().implode()),
    ).join(texts, on="study_id", maintain_order="left")
    if labels.is_empty():
        raise TableError(f"{root} has no report that is both indexed and written: expected the whole OpenI release.")
    known = texts.filter(~pl.col("study_id").is_in(_test_studies().implode()))["text"]
    is_new_text = pl.col("is_test") & ~pl.col("text").is_in(known.implode())
    return ReportGold(reports, labels.with_columns(is_new_text=is_new_text).drop("text"))


def score_gold(gold: ReportGold, states: pl.DataFrame, *, seed: int = 0) -> pl.DataFrame:
    """`reports` (which part) and the columns of `score_states`, for each part of the gold that is there."""
    tables = [
        score_states(states, labels, generator=np.random.default_rng(seed)).select(
            pl.lit(part).alias("reports"), pl.all()
        )
        for part, labels in _parts(gold).items()
    ]
    return pl.concat(tables)


def flag_normal(gold: ReportGold, states: pl.DataFrame) -> dict[str, float]:
    """Part of the gold -> share of the reports called normal by experts in which `states` has any positive."""
    normal = {part: labels.filter("is_normal")["study_id"] for part, labels in _parts(gold).items()}
    return {part: flagged_share(states, studies) for part, studies in normal.items() if len(studies)}


def _parts(gold: ReportGold) -> dict[str, pl.DataFrame]:
    parts = {
        "test": gold.labels.filter("is_test"),
        "test, new text": gold.labels.filter("is_new_text"),
        "development": gold.labels.filter(~pl.col("is_test")),
    }
    return {part: labels for part, labels in parts.items() if labels.height}


def _having(findings: pl.DataFrame, finding: str) -> pl.Series:
    return findings.filter(pl.col("finding").str.to_lowercase() == finding.lower())["image_id"]


def _test_studies() -> pl.Series:
    """The list has the names of the XML files, `CXR1000`."""
    uids = _TEST_LIST.read_text(encoding="utf-8").split()[1:]
    return pl.Series([f"openi/{uid.removeprefix('CXR')}" for uid in uids], dtype=pl.String)


def _texts(reports: pl.DataFrame) -> pl.DataFrame:
    """`study_id text` of the reports that say something: findings and impression in one."""
    read = reports.filter(pl.col("section").is_in(_READ_SECTIONS)).sort("study_id", "section", maintain_order=True)
    return read.group_by("study_id", maintain_order=True).agg(pl.col("text").str.join("\n"))
