"""Tables of `labels/`: what a source states, what its words mean, the fourteen classes. Reports: `reports.py`."""

import dataframely as dy
import polars as pl

from cxr_pipeline.pathologies import EVIDENCE, NEGATIVE, PATHOLOGIES, POSITIVE, UNCERTAIN
from cxr_pipeline.tables.raw import ImageTable

MAPPING_RULES = ("direct", "parent", "ambiguous", "normal", "outside", "mutes", "voids", "stated")
PLACEMENTS = ("as_published", "scaled", "unknown")


def _cell(pathology: str) -> dy.Int8:
    return dy.Int8(
        nullable=True,
        is_in=[POSITIVE, NEGATIVE, UNCERTAIN],
        description=f"{pathology}: 1 positive, 0 negative, -1 uncertain in the source, null unknown",
    )


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


class FourteenCells(dy.Schema):
    """The fourteen classes: what a table holds that says something of each of them."""

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


class LabelTable(ImageTable, FourteenCells):
    """One row per published image with the fourteen harmonized labels and the evidence for each."""

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
    """One row per box that a reader drew, in pixels of the picture file that is here; as published where none is."""

    image_id = dy.String(nullable=False, min_length=1, description="As in the image table")
    finding = dy.String(nullable=False, min_length=1, description="The source's own term")
    pathology = dy.Enum(PATHOLOGIES, nullable=True, description="The class of the same meaning; null when none")
    reader = dy.String(nullable=False, description="Who drew it; empty where the source has one voice")
    x = dy.Float32(nullable=True, min=0.0, description="Left edge, pixels from the left; null when unknown")
    y = dy.Float32(nullable=True, min=0.0, description="Upper edge, pixels from the top; null when unknown")
    width = dy.Float32(nullable=True, min=0.0, description="Pixels; null when unknown")
    height = dy.Float32(nullable=True, min=0.0, description="Pixels; null when unknown")
    placement = dy.Enum(
        PLACEMENTS,
        nullable=False,
        description="Pixels as published, scaled to a resized picture, or unknown: no size to scale by",
    )

    @dy.rule()
    def edges_are_null_where_the_place_is_unknown(cls) -> pl.Expr:
        """Four edges or none."""
        return pl.all_horizontal(
            pl.col(edge).is_null() == (pl.col("placement") == "unknown") for edge in ("x", "y", "width", "height")
        )
