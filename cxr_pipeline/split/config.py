"""What a user may set for the split."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from cxr_pipeline.datasets import DATASETS


class SplitConfig(BaseModel):
    """How patients are placed. In a lake that has a split, changes hold for arriving patients: the others stay."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    assignment: Literal["balanced", "hash"] = Field(
        "balanced",
        description="balanced: every class as frequent in each split, kept in split/assignment; hash: of the patient "
        "key alone, which needs no memory",
    )
    val_fraction: float = Field(0.1, gt=0, lt=0.5, description="Share of patients that choose epochs and thresholds")
    test_fraction: float = Field(0.1, gt=0, lt=0.5, description="Share of patients held out, where nothing is official")
    salt: str = Field("cxr", description="Mixed into the hash of each patient")
    external: list[str] = Field([], description="Sources that are wholly test")
    hashed: list[str] = Field(
        [],
        description="Sources whose published training and validation parts are set aside and placed like any patient; "
        "their published test part stays test",
    )

    @field_validator("external", "hashed", mode="before")
    @classmethod
    def _split_words(cls, value: Any) -> Any:
        """`external=nih,vindr` on a command line."""
        return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _names_are_sources(self) -> "SplitConfig":
        unknown = sorted({*self.external, *self.hashed} - set(DATASETS))
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: not among the sources {', '.join(DATASETS)}")
        both = sorted(set(self.external) & set(self.hashed))
        if both:
            raise ValueError(f"{', '.join(both)}: both external and hashed; name each source once")
        return self
