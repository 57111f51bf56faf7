"""Everything that a user may set for one evaluation job; how the network sees a picture is in its checkpoint."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from cxr_pipeline.pathologies import SPLITS
from cxr_pipeline.training.run.program import read_model


class EvaluateConfig(BaseModel):
    """One evaluation job. Flat, so that it is also a Dagster launchpad form."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: Literal["predict", "explain"] = Field("predict", description="predict: probabilities; explain: heatmaps")
    splits: list[str] = Field(["val", "test"], min_length=1, description="Splits to predict; heatmaps are of test only")
    batch_size: int = Field(64, ge=1, le=4096, description="Images through the network at a time")
    per_class: int = Field(2, ge=1, le=20, description="Heatmaps per class and kind")
    show_sources: list[str] = Field(
        [], description="Datasets whose pixels may be written into pictures; rendered phantoms always may"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: the GPU where there is one")
    threads: int = Field(0, ge=0, le=1024, description="CPU threads of the network; 0 is torch's own choice")
    loader_threads: int = Field(2, ge=1, le=64, description="Threads that read the next batches")

    @field_validator("splits")
    @classmethod
    def _are_splits(cls, names: list[str]) -> list[str]:
        unknown = sorted(set(names) - set(SPLITS))
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: not among the splits {', '.join(SPLITS)}")
        return names

    @classmethod
    def read(cls, path: Path) -> "EvaluateConfig":
        """The `config.json` at `path`; raises JobError when it is absent or does not fit."""
        return read_model(path, cls)
