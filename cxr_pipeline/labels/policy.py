"""The choices that a label table rests on where the sources leave room, each with its reason."""

from typing import Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field


class LabelPolicy(BaseModel):
    """How silence, several readers and "no finding" are understood; shown beside every label table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reader_votes: Literal["majority", "any", "soft"] = Field(
        "majority",
        description="Several readers of one image (VinDr: 3). majority: more than half make a positive, fewer an "
        "uncertain cell, none a negative. any: one suffices, which multiplies VinDr's positives by 1.3 to 3. soft: as "
        "majority, and training learns from the share of readers. Default majority: the consensus test set is "
        "stricter than any single reader (Nguyen et al. 2022)",
    )
    unstated: Literal["as_source", "negative", "unknown"] = Field(
        "as_source",
        description="What silence about a class means. as_source: negative where the makers of the labels say so "
        "(chexpert-labeler issues 9, 29, 44: no mention, treat as negative), unknown elsewhere. unknown leaves "
        "CheXpert a tenth of its Pneumonia negatives; negative turns the gaps of every source into negatives. Cells "
        "keep the evidence `absence` either way, so an evaluation can leave them out",
    )
    derived_negatives: Literal["none", "no_finding"] = Field(
        "none",
        description="Whether `No Finding` denies classes that the source has no word for (CheXpert: Hernia). It is "
        "sound, but a class with negatives and no positive in a source teaches the network to recognise the source: "
        "none by default",
    )
    labelled_by: Literal["anyone", "physician"] = Field(
        "anyone",
        description="Whose labels count where a source says who read each image (PadChest: physicians 39,053, a "
        "network that learned from them 121,808). physician: labels of a program become unknown, so that their images "
        "leave the cohort. Default anyone: three quarters of PadChest would be lost, and the column labelled_by tells "
        "them apart",
    )


DEFAULT_POLICY = LabelPolicy()


def describe_policy(policy: LabelPolicy) -> pl.DataFrame:
    """`choice, value, reason`: one row per field, for a person to read beside a label table."""
    rows = [(name, getattr(policy, name), field.description) for name, field in LabelPolicy.model_fields.items()]
    return pl.DataFrame(rows, schema=["choice", "value", "reason"], orient="row")
