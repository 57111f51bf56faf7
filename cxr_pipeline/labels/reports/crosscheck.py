"""A source's own labels against what our reader finds in its reports: a check of the reader, never a label."""

import polars as pl

from cxr_pipeline.datasets.quality import Verdict
from cxr_pipeline.labels.reports.agreement import compare_states, count_silence, pooled_kappa
from cxr_pipeline.labels.reports.labeler import label_reports
from cxr_pipeline.pathologies import PATHOLOGIES, POSITIVE, UNCERTAIN

MIN_KAPPA = 0.92  # of all classes together; below, a change of lexicon or rules has cost too much
LANGUAGES = {"padchest": "es"}  # source with labels and reports -> the lexicon that reads them


def crosscheck_labels(dataset: str, reports: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """`reports theirs` and the columns of `compare_states`: one part per kind of labeller that the source names.

    `reports`: `study_id section text`. `labels`: LabelTable, of which the images of a study say the same. What the
    reader finds doubtful counts as there, since the labellers of PadChest could not doubt: they coded 87 % of 3,717
    such classes (studies labelled by a program, 2026-11-23). What a report does not mention counts as not there.
    """
    states = label_reports(reports, language=LANGUAGES[dataset]).states
    said = count_silence(states.with_columns(pl.col(PATHOLOGIES).replace({UNCERTAIN: POSITIVE})))
    studies = labels.unique("study_id", maintain_order=True)
    parts = {str(kind): rows for (kind,), rows in studies.group_by("labelled_by", maintain_order=True)}
    tables = [
        compare_states(said, rows).select(pl.lit(dataset).alias("reports"), pl.lit(kind).alias("theirs"), pl.all())
        for kind, rows in sorted(parts.items())
    ]
    return pl.concat(tables)


def judge_crosscheck(agreement: pl.DataFrame) -> Verdict:
    """Whether the reader reaches MIN_KAPPA; what no reader finds anywhere (phantoms' reports) is not judged."""
    kappa = pooled_kappa(agreement)
    has_read = bool(agreement.select(pl.sum("both_positive") + pl.sum("ours_only")).item())
    return Verdict(
        kappa is None or kappa >= MIN_KAPPA or not has_read,
        {"kappa": "n/a" if kappa is None else round(kappa, 3), "floor": MIN_KAPPA},
    )
