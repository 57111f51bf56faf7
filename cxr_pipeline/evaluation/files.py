"""Predictions for image files that are in no cohort. Decoding and resizing are those of the image store."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cxr_pipeline.errors import ImageError
from cxr_pipeline.evaluation.predict import predict
from cxr_pipeline.images.pixels import read_radiograph
from cxr_pipeline.training.checkpoint import CheckpointConfig, load_checkpoint

SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class FilePrediction:
    """One image: class -> probability, and the classes that reach the checkpoint's threshold."""

    path: Path
    probabilities: dict[str, float]
    positive: list[str]

    def as_row(self) -> dict[str, Any]:
        """A flat record: `path`, one number per class, `positive`."""
        rounded = {name: round(value, 6) for name, value in self.probabilities.items()}
        return {"path": str(self.path), **rounded, "positive": self.positive}


def find_images(paths: Sequence[Path]) -> list[Path]:
    """The files among `paths`, and the PNG and JPEG files under its folders, sorted within each folder."""
    found: list[Path] = []
    for path in paths:
        found += sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
    return found


def predict_files(paths: Sequence[Path], checkpoint: Path) -> tuple[list[FilePrediction], list[ImageError]]:
    """Predictions of the checkpoint folder for each readable file, and an ImageError for each other one.

    Raises CheckpointError when the checkpoint cannot be used.
    """
    network, config = load_checkpoint(checkpoint)
    predictions, failures = [], []
    for path in paths:
        try:
            pixels = read_radiograph(path, size=config.train.image_size).pixels
        except ImageError as error:
            failures.append(ImageError(error.reason, f"{path}: {error}"))
        else:
            predictions.append(_describe(path, predict(network, [pixels[None]], config)[0], config))
    return predictions, failures


def _describe(path: Path, scores: np.ndarray, config: CheckpointConfig) -> FilePrediction:
    probabilities = dict(zip(config.labels, map(float, scores), strict=True))
    positive = [name for name, score in probabilities.items() if _reaches(score, config.thresholds.get(name))]
    return FilePrediction(path, probabilities, positive)


def _reaches(score: float, threshold: float | None) -> bool:
    return threshold is not None and score >= threshold
