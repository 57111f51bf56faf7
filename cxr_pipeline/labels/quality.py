"""What is odd about a label table: words without a meaning, classes nobody has, prevalences unlike the published."""

from pathlib import Path

import polars as pl

from cxr_pipeline.datasets.quality import Verdict
from cxr_pipeline.datasets.strict_csv import read_csv
from cxr_pipeline.labels.summary import count_labels

# Counts of positives in the full public release under the mappings of this project, with the images they are of.
_PUBLISHED = Path(__file__).parent / "published.csv"
_COLUMNS = ("dataset", "pathology", "positives", "images")

# A part of a release differs by chance, and a changed mapping by a little: both limits must be passed.
MIN_REPORT_F1 = {"micro": 0.91, "macro": 0.88}  # below, a change of lexicon or rules has cost too much

MAX_STANDARD_ERRORS = 5.0
MAX_RELATIVE_DEVIATION = 0.2


def judge_words(unmapped: pl.DataFrame) -> Verdict:
    """Whether every word of the source has a row in its mapping."""
    facts = {"words": unmapped.height, "images": int(unmapped["count"].sum())}
    return Verdict(unmapped.is_empty(), facts)


def judge_positives(table: pl.DataFrame) -> Verdict:
    """Whether every class that the table knows negatives of has positives too.

    A class with negatives alone teaches a network where a picture was taken, not what it shows.
    """
    counts = count_labels(table).filter(pl.col("negative") > 0)
    lonely = counts.filter(pl.col("positive") == 0)["pathology"].to_list()
    return Verdict(not lonely, {"classes_without_positives": ", ".join(lonely)})


def judge_prevalence(dataset: str, table: pl.DataFrame) -> Verdict:
    """Whether the share of positives of each class is that of the published release; see `compare_prevalence`."""
    if table.is_empty() or table["is_phantom"].any():
        return Verdict(True, {"release": "not used here" if table.is_empty() else "phantoms"})
    compared = compare_prevalence(table, read_published(dataset))
    unlike = compared.filter("is_unlike")["pathology"].to_list()
    return Verdict(not unlike, {"classes_compared": compared.height, "classes_unlike": ", ".join(unlike)})


def judge_labeler(scores: pl.DataFrame) -> Verdict:
    """Whether the report labeler reaches MIN_REPORT_F1 on the reports of the official test list."""
    test = scores.filter(pl.col("reports") == "test", pl.col("pathology").is_in(list(MIN_REPORT_F1)))
    found = dict(test.select("pathology", "f1").iter_rows())
    low = [name for name, floor in MIN_REPORT_F1.items() if found.get(name) is not None and found[name] < floor]
    facts = {f"{name}_f1": round(value, 3) for name, value in found.items() if value is not None}
    return Verdict(not low, {**facts, "below_the_floor": ", ".join(low)})


def read_published(dataset: str) -> pl.DataFrame:
    """`pathology, positives, images` of the published release; empty where no public count is known."""
    rows = read_csv(_PUBLISHED, _COLUMNS).filter(pl.col("dataset") == dataset)
    return rows.select("pathology", pl.col("positives", "images").cast(pl.Int64))


def compare_prevalence(table: pl.DataFrame, published: pl.DataFrame) -> pl.DataFrame:
    """`pathology, share, published_share, is_unlike` for the classes with a published count.

    `is_unlike`: more than MAX_RELATIVE_DEVIATION and more than MAX_STANDARD_ERRORS of a binomial share away.
    """
    expected = pl.col("published_share")
    deviation = (pl.col("share") - expected).abs()
    error = (expected * (1 - expected) / max(table.height, 1)).sqrt()
    return (
        count_labels(table)
        .join(published, on="pathology")
        .select(
            "pathology",
            share=pl.col("positive") / max(table.height, 1),
            published_share=pl.col("positives") / pl.col("images"),
        )
        .with_columns(
            is_unlike=(deviation > MAX_RELATIVE_DEVIATION * expected) & (deviation > MAX_STANDARD_ERRORS * error)
        )
    )
