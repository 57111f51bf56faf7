"""What a user may set for the search for duplicates. How the numbers were found stands in `docs/duplicates.md`."""

from pydantic import BaseModel, ConfigDict, Field


class DuplicateConfig(BaseModel):
    """How far apart two stored images may look and still be candidates, and when a candidate is a duplicate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hash_bits: int = Field(8, ge=0, le=12, description="Candidates: bits of 256 in which difference hashes may differ")
    sketch_distance: float = Field(
        0.03,
        ge=0,
        le=0.05,
        description="Candidates of two patients with cut edges: distance of coarse sketches, which reads every stored "
        "image; 0 switches this off",
    )
    pixel_difference: float = Field(
        0.0015, gt=0, le=0.005, description="Duplicates: share of the pixels' variance that may remain unexplained"
    )


DEFAULT_SEARCH = DuplicateConfig()
