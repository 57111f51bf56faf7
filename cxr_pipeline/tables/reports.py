"""Tables of `labels/report...` and `labels/imported...`: what reports say and who says so; no text."""

import dataframely as dy

from cxr_pipeline.pathologies import NEGATIVE, PATHOLOGIES, POSITIVE, UNCERTAIN
from cxr_pipeline.tables.labels import FourteenCells


class ReportEvidenceTable(dy.Schema):
    """One row per mention of a finding in a report: what is said of it, and which words decided. No report text."""

    study_id = dy.String(nullable=False, min_length=1, description="As in the image table")
    pathology = dy.Enum(PATHOLOGIES, nullable=False, description="The class that the mention speaks of")
    state = dy.Int8(
        nullable=True,
        is_in=[POSITIVE, NEGATIVE, UNCERTAIN],
        description="1 there, 0 denied, -1 doubtful; null: named, but not said of this study",
    )
    start = dy.Int32(nullable=False, min=0, description="First character of the mention in its section's text")
    end = dy.Int32(nullable=False, min=0, description="Character after its last")
    cue = dy.String(nullable=True, description="The lexicon's words that denied or doubted it; null when none did")
    section = dy.String(nullable=False, description="Section of the report")
    lexicon_hash = dy.String(nullable=False, description="SHA-256 of lexicon and labeler version")


class _StudyTable(dy.Schema):
    study_id = dy.String(primary_key=True, min_length=1, description="As given")


class ReportLabelTable(_StudyTable, FourteenCells):
    """One row per study: what its report says of each class. Silence is null here; what it means is decided later."""


class ImportedStateTable(dy.Schema):
    """One row per source, study and class: what a labeler other than ours says of a report. No report text."""

    source = dy.String(primary_key=True, min_length=1, description="Who says so: `chexbert`, the name of an LLM, ...")
    study_id = dy.String(primary_key=True, min_length=1, description="As in the image table")
    pathology = dy.Enum(PATHOLOGIES, primary_key=True, description="The class")
    state = dy.Int8(
        nullable=True,
        is_in=[POSITIVE, NEGATIVE, UNCERTAIN],
        description="1 positive, 0 denied, -1 uncertain; null: read and not mentioned",
    )
    is_used = dy.Bool(nullable=False, description="Whether it takes the place of what our report labeler says")
    file_digest = dy.String(nullable=False, description="SHA-256 of the imported file, hexadecimal")


class AgreementTable(dy.Schema):
    """How far our report labeler and another agree, per class: positive against the rest, over what both know."""

    reports = dy.String(primary_key=True, description="The source whose reports were read")
    theirs = dy.String(primary_key=True, description="Who is compared with our report labeler")
    pathology = dy.Enum(PATHOLOGIES, primary_key=True, description="The class")
    both_positive = dy.Int64(nullable=False, min=0, description="Studies that both call positive")
    ours_only = dy.Int64(nullable=False, min=0, description="Studies that only our labeler calls positive")
    theirs_only = dy.Int64(nullable=False, min=0, description="Studies that only the other calls positive")
    both_negative = dy.Int64(nullable=False, min=0, description="Studies that neither calls positive")
    n = dy.Int64(nullable=False, min=0, description="Studies of which both know the class")
    kappa = dy.Float64(nullable=True, min=-1.0, max=1.0, description="Cohen's kappa; null where it is undefined")


class ReportScoreTable(dy.Schema):
    """How well the report labeler agrees with experts, per class, with 95 % intervals over studies."""

    reports = dy.String(primary_key=True, description="Which reports: test, test with new text, development")
    pathology = dy.String(primary_key=True, description="Class, `micro` or `macro`")
    support = dy.Int64(nullable=False, min=0, description="Studies that the experts call positive")
    precision = dy.Float64(nullable=True, description="Null where nothing was called positive")
    precision_low = dy.Float64(nullable=True, description="2.5th percentile of the bootstrap")
    precision_high = dy.Float64(nullable=True, description="97.5th percentile of the bootstrap")
    recall = dy.Float64(nullable=True, description="Null without a positive")
    recall_low = dy.Float64(nullable=True, description="2.5th percentile of the bootstrap")
    recall_high = dy.Float64(nullable=True, description="97.5th percentile of the bootstrap")
    f1 = dy.Float64(nullable=True, description="Harmonic mean of precision and recall")
    f1_low = dy.Float64(nullable=True, description="2.5th percentile of the bootstrap")
    f1_high = dy.Float64(nullable=True, description="97.5th percentile of the bootstrap")
