"""What is odd about a label table: words without a meaning, classes nobody has, shares unlike the published."""

from pathlib import Path

import polars as pl

from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.datasets.files.strict_csv import read_csv
from cxr_pipeline.datasets.quality import Verdict
from cxr_pipeline.labels.mapping import read_mapping
from cxr_pipeline.labels.summary import count_labels
from cxr_pipeline.pathologies import PATHOLOGIES

# Counts of positive, uncertain and null cells in the full public release under the mappings and the default policy of
# this project, with the images they are of.
_PUBLISHED = Path(__file__).parent / "published.csv"
_COUNTS = ("positives", "uncertains", "unknowns", "images")
_NAMED = 3  # classes in a message

MIN_REPORT_F1 = {"micro": 0.91, "macro": 0.88}  # below, a change of lexicon or rules has cost too much

# A part of a release differs by chance, and a changed mapping by a little: a share must pass both limits to be unlike.
MAX_STANDARD_ERRORS = 5.0
MAX_RELATIVE_DEVIATION = 0.2  # of a prevalence, as classes are 0.2 to 40 % of the images
MAX_UNKNOWN_DEVIATION = 0.05  # between shares of null, not in proportion to them: many published ones are 0


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


def judge_unknown(dataset: str, table: pl.DataFrame) -> Verdict:
    """Whether each class that the source has a word for is known of some image, and of about as many as published.

    Phantoms are not compared with a release. For the published share of null see `compare_unknown`.
    """
    if table.is_empty():
        return Verdict(True, {"release": "not used here"})
    counts, published = count_labels(table), read_published(dataset)
    has_word = pl.col("pathology").is_in(_classes_with_a_word(dataset))
    silent = counts.filter(has_word, unknown=table.height)["pathology"].to_list()
    compared = compare_unknown(table, published.clear() if table["is_phantom"].any() else published)
    unlike = compared.filter("is_unlike")["pathology"].to_list()
    shares = [f"{name} {count / table.height:.1%}" for name, count in counts.select("pathology", "unknown").rows()]
    facts = {"classes_wholly_null": silent, "classes_unlike": unlike, "shares_of_null": shares}
    return Verdict(not silent and not unlike, {name: ", ".join(words) for name, words in facts.items()})


def judge_labeler(scores: pl.DataFrame) -> Verdict:
    """Whether the report labeler reaches MIN_REPORT_F1 on the reports of the official test list."""
    test = scores.filter(pl.col("reports") == "test", pl.col("pathology").is_in(list(MIN_REPORT_F1)))
    found = dict(test.select("pathology", "f1").iter_rows())
    low = [name for name, floor in MIN_REPORT_F1.items() if found.get(name) is not None and found[name] < floor]
    facts = {f"{name}_f1": round(value, 3) for name, value in found.items() if value is not None}
    return Verdict(not low, {**facts, "below_the_floor": ", ".join(low)})


def read_published(dataset: str) -> pl.DataFrame:
    """`pathology, positives, uncertains, unknowns, images` of the release; empty where none is public."""
    rows = read_csv(_PUBLISHED, ("dataset", "pathology", *_COUNTS)).filter(pl.col("dataset") == dataset)
    return rows.select("pathology", pl.col(_COUNTS).cast(pl.Int64))


def describe_edits(dataset: Dataset, root: Path, table: pl.DataFrame) -> list[str]:
    """A line where `table`, made by the default policy, has all images of the release and other labels than that.

    Counts are those of the labels that the paper published: of its training part, and without labels of other readers
    or of more words, which have counts of their own.
    """
    published = read_published(dataset.name)
    images = published["images"].max()
    rows = table if table.height == images else table.filter(pl.col("official_split") == "train")
    is_other = table["is_phantom"].any() or rows.height != images or not _is_as_described(rows, published)
    return [] if is_other else _name_edits(dataset, root, rows, published)


def _is_as_described(rows: pl.DataFrame, published: pl.DataFrame) -> bool:
    """Whether `rows` know the classes with a published count and no others, from those who labelled for the paper.

    Of the sources only PadChest says who did: physicians and its network, both.
    """
    known = {name for name in PATHOLOGIES if rows[name].null_count() < rows.height}
    voices = set(rows["labelled_by"].cast(pl.String).unique())
    return known == set(published["pathology"]) and voices in ({None}, {"physician", "program"})


def _name_edits(dataset: Dataset, root: Path, rows: pl.DataFrame, published: pl.DataFrame) -> list[str]:
    counts = published.join(count_labels(rows), on="pathology", maintain_order="left")
    kinds = {"positive": "positives", "uncertain": "uncertains", "null": "unknowns"}
    found = {"positive": "positive", "uncertain": "uncertain", "null": "unknown"}
    unlike = [
        f"{row['pathology']} {row[found[kind]]:,} {kind} ({row[expected]:,} published)"
        for row in counts.iter_rows(named=True)
        for kind, expected in kinds.items()
        if row[found[kind]] != row[expected]
    ]
    if not unlike:
        return []
    files = ", ".join(path.name for path in list(dataset.find_metadata(root).files.values())[:_NAMED])
    more = f" and {len(unlike) - _NAMED} more" if len(unlike) > _NAMED else ""
    return [
        f"{files}: all images, with other labels than published: {', '.join(unlike[:_NAMED])}{more}. Were cells filled "
        "in, or uncertain ones replaced (U-Ones, U-Zeros)? Get the published file"
    ]


def compare_prevalence(table: pl.DataFrame, published: pl.DataFrame) -> pl.DataFrame:
    """`pathology, share, published_share, is_unlike` of positives, for the classes with a published count.

    `is_unlike`: more than MAX_RELATIVE_DEVIATION and more than MAX_STANDARD_ERRORS of a binomial share away.
    """
    limit = MAX_RELATIVE_DEVIATION * pl.col("published_share")
    return _compare(table, published, pl.col("positive"), pl.col("positives"), limit)


def compare_unknown(table: pl.DataFrame, published: pl.DataFrame) -> pl.DataFrame:
    """`pathology, share, published_share, is_unlike` of null cells, for the classes with a published count.

    `is_unlike`: more than MAX_UNKNOWN_DEVIATION and more than MAX_STANDARD_ERRORS of a binomial share away.
    """
    return _compare(table, published, pl.col("unknown"), pl.col("unknowns"), pl.lit(MAX_UNKNOWN_DEVIATION))


def _compare(
    table: pl.DataFrame, published: pl.DataFrame, found: pl.Expr, expected: pl.Expr, limit: pl.Expr
) -> pl.DataFrame:
    """The share of `found` among the images of `table` beside that of `expected`; `limit` is of their difference."""
    images = max(table.height, 1)
    counts = count_labels(table).join(published, on="pathology")
    shares = counts.select("pathology", share=found / images, published_share=expected / pl.col("images"))
    share = pl.col("published_share")
    deviation, error = (pl.col("share") - share).abs(), (share * (1 - share) / images).sqrt()
    return shares.with_columns(is_unlike=(deviation > limit) & (deviation > MAX_STANDARD_ERRORS * error))


def _classes_with_a_word(dataset: str) -> list[str]:
    """Without those that only a wider word speaks of, or a further file of the source: these may well be null."""
    return read_mapping(dataset).filter(rule="direct")["pathology"].cast(pl.String).to_list()
