"""Everything that a user may set for one training run. Recipes are in `presets`; what the settings do is not here."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.training.program import read_model


class TrainConfig(BaseModel):
    """One training run. Flat, so that it is also a Dagster launchpad form and an MLflow parameter list."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backbone: str = Field(default="convnext_large.fb_in22k_ft_in1k_384", min_length=1, description="timm model name")
    pretrained: str = Field(
        default="hub",
        description="Starting weights: empty for random, `hub` for timm's own, a .safetensors file of the same "
        "backbone, or `local-dir:<folder>` as downloaded from the Hugging Face hub",
    )
    image_size: int = Field(default=384, ge=32, le=2048, multiple_of=32, description="Side of the input, pixels")
    epochs: int = Field(default=30, ge=1, le=1000, description="Most passes over the training images")
    batch_size: int = Field(default=32, ge=1, le=4096, description="Images per optimizer step")
    seed: int = Field(default=0, ge=0, lt=2**32, description="Of the initial weights, the order and the augmentation")

    lr: float = Field(default=5e-5, gt=0, le=1, description="AdamW learning rate after the warm-up")
    weight_decay: float = Field(default=0.05, ge=0, le=10, description="AdamW weight decay; never on norms and biases")
    warmup_epochs: float = Field(default=0, ge=0, le=100, description="Epochs in which it rises from 0")
    plateau_factor: float = Field(default=0.5, gt=0, lt=1, description="Times lr when validation stops improving")
    plateau_patience: int = Field(default=2, ge=0, description="Epochs without improvement before that")
    min_lr: float = Field(default=1e-7, ge=0, description="The learning rate falls no further")
    early_stop_patience: int = Field(default=6, ge=1, description="Epochs without improvement before training ends")
    focal_gamma: float = Field(default=2.0, ge=0, le=10, description="Focal weight (1-p)^gamma; 0: cross entropy")
    focal_alpha: float | None = Field(default=None, gt=0, lt=1, description="Focal weight of positives; null: none")

    # Irvin et al. 2019, arXiv 1901.07031, compare these policies; the split per class is that of jfhealthcare's
    # Chexpert code. Cardiomegaly is never a 1: CheXpert's labeller writes an uncertain one for every heart failure.
    uncertain_as_one: list[str] = Field(
        default=["Atelectasis", "Edema"],
        description="Classes where uncertain counts as positive in training",
    )
    uncertain_as_zero: list[str] = Field(
        default=["Cardiomegaly", "Consolidation", "Effusion"],
        description="Classes where uncertain counts as negative in training; in the rest it is left out",
    )

    rotation_degrees: float = Field(default=25.0, ge=0, le=180, description="Rotated by up to this, either way")
    shift: float = Field(default=0.05, ge=0, le=0.5, description="Shifted by up to this part of the side")
    scale: float = Field(default=0.1, ge=0, lt=1, description="Enlarged or shrunk by up to this part")
    dropout_holes: int = Field(default=4, ge=0, le=64, description="Most black squares put on a picture")
    dropout_size: float = Field(default=0.1, gt=0, le=1, description="Largest side of such a square, part of the side")
    brightness: float = Field(default=0.15, ge=0, le=1, description="Brightness changed by up to this part of white")
    contrast: float = Field(default=0.15, ge=0, lt=1, description="Contrast changed by up to this part")
    horizontal_flip: bool = Field(default=False, description="Mirror half of them: puts the heart on the right")

    precision: Literal["auto", "bf16", "fp32"] = Field(default="auto", description="auto: bf16 on a GPU that has it")
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="auto: the GPU where there is one")
    threads: int = Field(default=0, ge=0, le=1024, description="CPU threads of the network; 0 is torch's own choice")
    loader_threads: int = Field(default=2, ge=1, le=64, description="Threads that read and augment the next batches")

    @model_validator(mode="after")
    def _names_are_classes(self) -> "TrainConfig":
        named = [*self.uncertain_as_one, *self.uncertain_as_zero]
        unknown = sorted(set(named) - set(PATHOLOGIES))
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: not among the classes {', '.join(PATHOLOGIES)}")
        if len(set(named)) < len(named):
            raise ValueError("a class stands twice in uncertain_as_one and uncertain_as_zero: name it once")
        return self

    @classmethod
    def read(cls, path: Path) -> "TrainConfig":
        """The `config.json` at `path`; raises JobError when it is absent or does not fit."""
        return read_model(path, cls)
