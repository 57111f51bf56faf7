"""Every table of the pipeline, declared once: columns, types, keys, rules, meaning.

From these classes come the validation at the door of each step, the blocking Dagster checks, the column schema in
the UI and `docs/tables.md` (`make docs`). What fills the tables does not live here.
"""

from inspect import getdoc

import dataframely as dy
import polars as pl

from cxr_pipeline.pathologies import EVIDENCE, NEGATIVE, PATHOLOGIES, POSITIVE, SPLITS, UNCERTAIN

VIEWS = ("PA", "AP", "LATERAL", "UNKNOWN")
FRONTAL_VIEWS = ("PA", "AP")
SEXES = ("F", "M")
MAPPING_RULES = ("direct", "parent", "ambiguous", "normal", "outside", "mutes", "voids", "stated")
OFFICIAL_SPLITS = ("train", "train_val", "val", "test")


def _cell(pathology: str) -> dy.Int8:
    return dy.Int8(
        nullable=True,
        is_in=[POSITIVE, NEGATIVE, UNCERTAIN],
        description=f"{pathology}: 1 positive, 0 negative, -1 uncertain in the source, null unknown",
    )


def _probability(pathology: str) -> dy.Float32:
    return dy.Float32(nullable=False, min=0.0, max=1.0, description=f"Predicted probability of {pathology}")


class ImageTable(dy.Schema):
    """One row per published image, as its source describes it."""

    image_id = dy.String(primary_key=True, min_length=1, description="`<dataset>/<name>`, unique across sources")
    patient_id = dy.String(nullable=False, min_length=1, description="`<dataset>/<patient>`: the unit of splitting")
    study_id = dy.String(nullable=False, min_length=1, description="`<dataset>/<study>`: images read together")
    dataset = dy.String(nullable=False, min_length=1, description="Name of the source")
    view = dy.Enum(VIEWS, nullable=False, description="Projection as the source states it")
    age_years = dy.Float32(nullable=True, min=0.0, max=120.0, description="Age at the study; null when not credible")
    sex = dy.Enum(SEXES, nullable=True, description="Sex as the source states it")
    official_split = dy.Enum(OFFICIAL_SPLITS, nullable=True, description="The part that the publisher put it in")
    is_phantom = dy.Bool(nullable=False, description="A rendered phantom, not a radiograph of a person")


class RawTable(ImageTable):
    """The inventory of one source: its images and whether each pixel file is there."""

    path = dy.String(nullable=False, min_length=1, description="File, relative to the source's folder")
    is_present = dy.Bool(nullable=False, description="Whether the pixel file was found")
    file_bytes = dy.Int64(nullable=True, min=0, description="Size of the pixel file; null when it is not there")


class FindingTable(dy.Schema):
    """One row per finding that a source states, in the words of the source."""

    image_id = dy.String(primary_key=True, min_length=1, description="As in the image table")
    finding = dy.String(primary_key=True, min_length=1, description="The source's own term, stripped")
    reader = dy.String(primary_key=True, description="Who said so; empty where the source has one voice")
    value = dy.Int8(nullable=False, is_in=[POSITIVE, NEGATIVE, UNCERTAIN], description="What is said of it")


class MappingTable(dy.Schema):
    """What each word of a source means in the fourteen classes; one CSV per source, for a radiologist to review.

    One row per word and class: a word may speak of several.
    """

    finding = dy.String(nullable=False, min_length=1, description="The source's own term")
    pathology = dy.Enum(PATHOLOGIES, nullable=True, description="The class it speaks of; null when none")
    rule = dy.Enum(
        MAPPING_RULES,
        nullable=False,
        description="direct: same meaning; parent: broader; ambiguous: doubtful; normal: denies all; outside: none; "
        "mutes: silence about the rest means nothing; voids: the image has no labels; stated: same meaning, but "
        "silence says nothing, as only some images were asked",
    )
    reason = dy.String(nullable=True, description="Why, with the source")

    @dy.rule()
    def one_row_per_word_and_class(cls) -> pl.Expr:
        """A word stands once for each class."""
        return pl.struct("finding", "pathology").is_unique()


class LabelTable(ImageTable):
    """One row per published image with the fourteen harmonized labels and the evidence for each."""

    Atelectasis = _cell("Atelectasis")
    Cardiomegaly = _cell("Cardiomegaly")
    Consolidation = _cell("Consolidation")
    Edema = _cell("Edema")
    Effusion = _cell("Effusion")
    Emphysema = _cell("Emphysema")
    Fibrosis = _cell("Fibrosis")
    Hernia = _cell("Hernia")
    Infiltration = _cell("Infiltration")
    Mass = _cell("Mass")
    Nodule = _cell("Nodule")
    Pleural_Thickening = _cell("Pleural_Thickening")
    Pneumonia = _cell("Pneumonia")
    Pneumothorax = _cell("Pneumothorax")
    evidence = dy.Struct(
        {p: dy.Enum(EVIDENCE, nullable=False) for p in PATHOLOGIES},
        nullable=False,
        description="Where each label comes from: " + ", ".join(EVIDENCE),
    )

    reader_share = dy.Struct(
        {p: dy.Float32(nullable=True, min=0.0, max=1.0) for p in PATHOLOGIES},
        nullable=True,
        description="Of the readers asked, those who see the class; filled by the policy `soft` where the label rests "
        "on their votes",
    )

    @dy.rule()
    def unknown_has_no_value(cls) -> pl.Expr:
        """A cell is null exactly where its evidence is `ambiguous` or `unobserved`."""
        unknown = [
            pl.col("evidence").struct.field(p).is_in(["ambiguous", "unobserved"]) == pl.col(p).is_null()
            for p in PATHOLOGIES
        ]
        return pl.all_horizontal(unknown)


class AdjudicatedTable(dy.Schema):
    """One row per NIH image whose four findings radiologists agreed on; for evaluation, beside the labels."""

    image_id = dy.String(primary_key=True, min_length=1, description="As in the image table")
    set_id = dy.Enum(["val", "test"], nullable=False, description="The part that its publisher put it in")
    Pneumothorax = dy.Int8(nullable=False, is_in=[POSITIVE, NEGATIVE], description="1 or 0")
    Nodule_or_mass = dy.Int8(nullable=False, is_in=[POSITIVE, NEGATIVE], description="1 or 0")
    Airspace_opacity = dy.Int8(nullable=False, is_in=[POSITIVE, NEGATIVE], description="1 or 0")
    Fracture = dy.Int8(nullable=False, is_in=[POSITIVE, NEGATIVE], description="1 or 0")


class BoxTable(dy.Schema):
    """One row per box that a reader drew, in pixels of the published image."""

    image_id = dy.String(nullable=False, min_length=1, description="As in the image table")
    finding = dy.String(nullable=False, min_length=1, description="The source's own term")
    pathology = dy.Enum(PATHOLOGIES, nullable=True, description="The class of the same meaning; null when none")
    reader = dy.String(nullable=False, description="Who drew it; empty where the source has one voice")
    x = dy.Float32(nullable=False, min=0.0, description="Left edge, pixels from the left")
    y = dy.Float32(nullable=False, min=0.0, description="Upper edge, pixels from the top")
    width = dy.Float32(nullable=False, min=0.0, description="Pixels")
    height = dy.Float32(nullable=False, min=0.0, description="Pixels")


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


class ReportLabelTable(dy.Schema):
    """One row per study: what its report says of each class. Silence is null here; what it means is decided later."""

    study_id = dy.String(primary_key=True, min_length=1, description="As given")
    Atelectasis = _cell("Atelectasis")
    Cardiomegaly = _cell("Cardiomegaly")
    Consolidation = _cell("Consolidation")
    Edema = _cell("Edema")
    Effusion = _cell("Effusion")
    Emphysema = _cell("Emphysema")
    Fibrosis = _cell("Fibrosis")
    Hernia = _cell("Hernia")
    Infiltration = _cell("Infiltration")
    Mass = _cell("Mass")
    Nodule = _cell("Nodule")
    Pleural_Thickening = _cell("Pleural_Thickening")
    Pneumonia = _cell("Pneumonia")
    Pneumothorax = _cell("Pneumothorax")


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


class StoreIndex(dy.Schema):
    """One row per image file that was read: where its pixels are, or why it is in quarantine."""

    image_id = dy.String(primary_key=True, min_length=1, description="As in the image table")
    shard = dy.String(nullable=True, description="Shard file within the store; null in quarantine")
    row = dy.Int32(nullable=True, min=0, description="Row within the shard; null in quarantine")
    source_path = dy.String(nullable=False, min_length=1, description="File, relative to the source's folder")
    source_bytes = dy.Int64(nullable=False, min=0, description="Size of the source file")
    source_digest = dy.String(nullable=False, description="SHA-256 of the source file, hexadecimal")
    source_height = dy.Int32(nullable=True, min=1, description="Height of the original, pixels")
    source_width = dy.Int32(nullable=True, min=1, description="Width of the original, pixels")
    source_mode = dy.String(nullable=True, description="Pixel form of the original: `L8`, `RGBA8`, `L16`, ...")
    dhash = dy.Binary(nullable=True, description="16x16 difference hash, 256 bits, most significant bit first")
    mean = dy.Float32(nullable=True, min=0.0, max=255.0, description="Mean grey value of the stored pixels")
    spread = dy.Float32(nullable=True, min=0.0, description="Standard deviation of the stored pixels")
    quarantine = dy.String(nullable=True, description="Why the file cannot be used; null when it can")

    @dy.rule()
    def stored_or_quarantined(cls) -> pl.Expr:
        stored = pl.all_horizontal(pl.col("shard", "row", "dhash", "mean", "spread").is_not_null())
        return stored == pl.col("quarantine").is_null()


class CohortTable(LabelTable):
    """All sources merged: one row per usable image, with its split and where its pixels are."""

    split = dy.Enum(SPLITS, nullable=False, description="train, val or test; one per group")
    group = dy.String(nullable=False, min_length=1, description="Smallest patient key among patients kept together")
    shard = dy.String(nullable=False, description="Shard file within `images/<dataset>`")
    row = dy.Int32(nullable=False, min=0, description="Row within the shard")

    @dy.rule()
    def one_split_per_patient(cls) -> pl.Expr:
        return (pl.col("split").n_unique() == 1).over("patient_id")

    @dy.rule()
    def one_split_per_group(cls) -> pl.Expr:
        return (pl.col("split").n_unique() == 1).over("group")

    @dy.rule()
    def official_test_stays_test(cls) -> pl.Expr:
        return (pl.col("official_split").fill_null("train") != "test") | (pl.col("split") == "test")


class PredictionTable(dy.Schema):
    """One row per evaluated image: the probability of each class."""

    image_id = dy.String(primary_key=True, min_length=1, description="As in the cohort")
    split = dy.Enum(SPLITS, nullable=False, description="Split of the image")
    Atelectasis = _probability("Atelectasis")
    Cardiomegaly = _probability("Cardiomegaly")
    Consolidation = _probability("Consolidation")
    Edema = _probability("Edema")
    Effusion = _probability("Effusion")
    Emphysema = _probability("Emphysema")
    Fibrosis = _probability("Fibrosis")
    Hernia = _probability("Hernia")
    Infiltration = _probability("Infiltration")
    Mass = _probability("Mass")
    Nodule = _probability("Nodule")
    Pleural_Thickening = _probability("Pleural_Thickening")
    Pneumonia = _probability("Pneumonia")
    Pneumothorax = _probability("Pneumothorax")


class MetricTable(dy.Schema):
    """One row per number of the evaluation, with its 95 % interval. A null value means "n/a", never 0.5."""

    split = dy.Enum(SPLITS, primary_key=True, description="Which split was measured")
    source = dy.String(primary_key=True, description="Dataset, or `all`")
    subgroup = dy.String(primary_key=True, description="`all`, or a named part of the patients")
    pathology = dy.String(primary_key=True, description="Class, or `macro` for the mean over classes with a value")
    metric = dy.String(primary_key=True, description="auroc, average_precision, f1, precision, recall, ...")
    value = dy.Float64(nullable=True, description="Point estimate; null is n/a")
    low = dy.Float64(nullable=True, description="2.5th percentile over patient-level bootstrap samples")
    high = dy.Float64(nullable=True, description="97.5th percentile over patient-level bootstrap samples")
    n = dy.Int64(nullable=False, min=0, description="Images with a known label")
    positives = dy.Int64(nullable=False, min=0, description="Of these, positive")


TABLES: tuple[type[dy.Schema], ...] = (
    RawTable,
    FindingTable,
    MappingTable,
    LabelTable,
    BoxTable,
    AdjudicatedTable,
    ReportEvidenceTable,
    ReportLabelTable,
    ReportScoreTable,
    StoreIndex,
    CohortTable,
    PredictionTable,
    MetricTable,
)


def describe_tables() -> str:
    """Every table as Markdown: the text of `docs/tables.md`."""
    return "\n".join(["# Tables", "", "Written by `make docs` from `cxr_pipeline/tables.py`.", *map(_describe, TABLES)])


def _describe(table: type[dy.Schema]) -> str:
    rows = [
        f"| `{name}` | {type(column).__name__} "
        f"| {'key' if column.primary_key else 'nullable' if column.nullable else ''} | {column.description} |"
        for name, column in table.columns().items()
    ]
    return "\n".join(
        [
            "",
            f"## {table.__name__}",
            "",
            getdoc(table) or "",
            "",
            "| column | type | | meaning |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )
