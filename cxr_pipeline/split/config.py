"""What a user may set for the split."""

from pydantic import BaseModel, ConfigDict, Field


class SplitConfig(BaseModel):
    """Fractions and salt of the patient hash. Changing any of them is a new split: old results do not compare."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    val_fraction: float = Field(0.1, gt=0, lt=0.5, description="Share of patients that choose epochs and thresholds")
    test_fraction: float = Field(0.1, gt=0, lt=0.5, description="Share of patients held out, where nothing is official")
    salt: str = Field("cxr", description="Mixed into the hash of each patient")
    external: list[str] = Field([], description="Sources that are wholly test")
