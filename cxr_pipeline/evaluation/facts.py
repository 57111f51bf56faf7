"""What a checkpoint says of itself, read from its JSON alone: the report needs no torch. No weights are loaded here."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from cxr_pipeline.errors import CheckpointError
from cxr_pipeline.storage.files import file_digest
from cxr_pipeline.training.config import TrainConfig


class CheckpointFacts(BaseModel):
    """The fields of `checkpoint/config.json` that metrics and the report use; see docs/architecture.md."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    train: TrainConfig
    thresholds: dict[str, float | None]
    cohort_digest: str
    code_version: str
    best_epoch: int
    val_macro_auroc: float | None
    sources: list[str]
    weights_sha256: str

    @classmethod
    def read(cls, checkpoint: Path) -> "CheckpointFacts":
        """Of the folder `checkpoint`; raises CheckpointError when its config is absent or does not fit."""
        path = checkpoint / "config.json"
        if not path.is_file():
            raise CheckpointError(f"No config.json in {checkpoint}: expected a checkpoint folder. Train first.")
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise CheckpointError(f"{path} is not a checkpoint's configuration: {error}. Train again.") from error


def identify(checkpoint: Path, *, cohort_digest: str) -> dict[str, str]:
    """Whose numbers these are: what every file that is made of this checkpoint and cohort notes as its origin.

    The config counts beside the weights: it holds the temperature and the thresholds.
    """
    return {
        "training/checkpoint": CheckpointFacts.read(checkpoint).weights_sha256,
        "training/checkpoint/config": file_digest(checkpoint / "config.json"),
        "split/cohort": cohort_digest,
    }
