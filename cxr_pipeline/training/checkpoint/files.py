"""A checkpoint folder: `model.safetensors` and `config.json`, all that prediction needs. Nothing is unpickled."""

from pathlib import Path
from typing import Any, Literal

import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors import SafetensorError
from torch import nn

from cxr_pipeline.errors import CheckpointError
from cxr_pipeline.storage.files import file_digest, write_atomically, write_text
from cxr_pipeline.training.config import TrainConfig
from cxr_pipeline.training.network.backbone import build_network

WEIGHTS, CONFIG = "model.safetensors", "config.json"


class Transform(BaseModel):
    """From a decoded radiograph to the network's input, for programs that know nothing of this package.

    The picture is scaled to a long side of `size` pixels, aspect kept, and centred in a black square (`letterbox`);
    its grey values, 0..255, are divided by 255; then `mean` is subtracted and the rest divided by `std`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(ge=1, description="Side of the input, pixels")
    channels: Literal[1] = Field(default=1, description="Grey")
    fit: Literal["letterbox"] = Field(default="letterbox", description="How a picture becomes a square")
    mean: float = Field(description="Grey value that becomes 0 at the network's input, of 0..1")
    std: float = Field(gt=0, description="Grey values per unit of the network's input, of 0..1")


class CheckpointConfig(BaseModel):
    """What a checkpoint says of itself; prediction and evaluation read every setting from here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: list[str] = Field(description="Class of each output, in order")
    train: TrainConfig = Field(description="The whole training configuration")
    thresholds: dict[str, float | None] = Field(description="Positive from this probability on; null: no choice")
    mean: float = Field(description="Grey value that becomes 0 at the network's input, of 0..1")
    std: float = Field(gt=0, description="Grey values per unit of the network's input, of 0..1")
    transform: Transform = Field(
        default_factory=lambda known: _transform(known), description="The three above, for other programs"
    )
    temperature: float | None = Field(
        default=None, gt=0, description="Logits are divided by it for calibrated probabilities; null: not fitted"
    )
    licences: list[str] = Field(default=[], description="Terms of the sources and starting weights: `name: licence`")
    cohort_digest: str = Field(description="SHA-256 of the cohort file trained on")
    code_version: str = Field(description="Version of cxr_pipeline")
    best_epoch: int = Field(ge=1, description="The epoch these weights come from, from 1")
    val_macro_auroc: float | None = Field(description="At the best epoch; null where no class can be measured")
    sources: list[str] = Field(description="Datasets trained on, sorted")
    is_phantom: bool = Field(description="Whether any training image is a rendered phantom")
    weights_sha256: str = Field(default="", description="SHA-256 of model.safetensors; filled in on saving")

    @model_validator(mode="after")
    def _says_one_thing(self) -> "CheckpointConfig":
        expected = _transform({"train": self.train, "mean": self.mean, "std": self.std})
        if self.transform != expected:
            raise ValueError(f"transform is {self.transform}, but train, mean and std say {expected}")
        return self


def save_checkpoint(folder: Path, network: nn.Module, config: CheckpointConfig) -> CheckpointConfig:
    """Writes both files atomically, the config last, and returns it with the digest of the weights.

    Raises StorageError where the disk is full or must not be written; the old checkpoint then stays.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    data = safetensors.torch.save(tensors)  # a full disk is then met by our own write, which can tell of it
    write_atomically(folder / WEIGHTS, lambda temporary: temporary.write_bytes(data))
    signed = config.model_copy(update={"weights_sha256": file_digest(folder / WEIGHTS)})
    write_text(folder / CONFIG, signed.model_dump_json(indent=2) + "\n")
    return signed


def load_checkpoint(folder: Path, *, device: str | torch.device = "cpu") -> tuple[nn.Module, CheckpointConfig]:
    """The network in evaluation mode on `device`, and the config it was saved with.

    Raises CheckpointError when a file is missing or damaged, or when the weights do not fit the network.
    """
    config = read_config(folder)
    _check_digest(folder / WEIGHTS, config.weights_sha256)
    network = build_network(config.train, n_labels=len(config.labels), pretrained=False)
    try:
        network.load_state_dict(safetensors.torch.load_file(folder / WEIGHTS))
    except (RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"{folder / WEIGHTS} does not fit {config.train.backbone} with {len(config.labels)} outputs: {error}. "
            "Use the cxr_pipeline and timm versions that wrote it, or train again."
        ) from error
    return network.to(device).eval(), config


def read_config(folder: Path) -> CheckpointConfig:
    """The config of the checkpoint in `folder`; raises CheckpointError when it is missing or damaged."""
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise CheckpointError(f"No {name} in {folder}: expected a checkpoint folder with {CONFIG} and {WEIGHTS}.")
    try:
        return CheckpointConfig.model_validate_json((folder / CONFIG).read_bytes())
    except ValidationError as error:
        raise CheckpointError(f"{folder / CONFIG} is not a checkpoint's: {error}. Train again.") from error


def _transform(known: dict[str, Any]) -> Transform:
    return Transform(size=known["train"].image_size, mean=known["mean"], std=known["std"])


def _check_digest(path: Path, expected: str) -> None:
    """safetensors loads a bit-flipped file in silence (measured), so the digest decides."""
    found = file_digest(path)
    if found != expected:
        raise CheckpointError(
            f"{path} has SHA-256 {found[:12]}, its {CONFIG} says {expected[:12]}: the file is damaged or from "
            "another run. Copy the checkpoint again, or train again."
        )
