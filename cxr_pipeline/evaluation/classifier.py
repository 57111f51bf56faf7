"""A checkpoint that answers for one picture at a time: a file, a request. Whole cohorts are predicted in `tasks`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from cxr_pipeline.evaluation.gradcam import heatmaps
from cxr_pipeline.evaluation.predict import device_of, network_input, predict
from cxr_pipeline.images.decode.pixels import decode_radiograph
from cxr_pipeline.training.checkpoint.files import CheckpointConfig, load_checkpoint
from cxr_pipeline.training.network.device import choose_device


@dataclass(frozen=True)
class Classifier:
    """A loaded checkpoint: `network` is in evaluation mode, on the GPU where there is one."""

    network: nn.Module
    config: CheckpointConfig

    @classmethod
    def load(cls, checkpoint: Path) -> "Classifier":
        """Of the folder `checkpoint`; raises CheckpointError when it cannot be used."""
        return cls(*load_checkpoint(checkpoint, device=choose_device("auto")))

    @property
    def size(self) -> int:
        """Side of the network's input, pixels."""
        return self.config.train.image_size

    def classify(self, data: bytes, *, frame: int | None = None) -> "Answer":
        """The answer for the bytes of an image file of any format that `decode_radiograph` knows.

        `frame` is that of `decode_radiograph`. Raises ImageError as that does.
        """
        radiograph = decode_radiograph(data, size=self.size, frame=frame, any_format=True)
        scores = predict(self.network, [radiograph.pixels[None]], self.config)[0]
        probabilities = dict(zip(self.config.labels, map(float, scores), strict=True))
        sides = radiograph.source_height, radiograph.source_width
        return Answer(radiograph.pixels, probabilities, self.config.thresholds, *sides)

    def find_evidence(self, pixels: np.ndarray, pathologies: list[str]) -> np.ndarray:
        """float32 [pathologies, size, size] heatmaps in 0..1 of one picture, uint8 [size, size]."""
        batch = network_input(pixels[None], self.network, self.config)
        classes = [self.config.labels.index(name) for name in pathologies]
        return heatmaps(
            self.network,
            batch.repeat(len(classes), 1, 1, 1),
            torch.tensor(classes, dtype=torch.int64, device=device_of(self.network)),
        )


@dataclass(frozen=True)
class Answer:
    """What a checkpoint says of one picture, uint8 [size, size]: class -> calibrated probability.

    The file's picture had `source_height` x `source_width` pixels; 0 where there was no file.
    """

    pixels: np.ndarray
    probabilities: dict[str, float]
    thresholds: dict[str, float | None]
    source_height: int = 0
    source_width: int = 0

    @property
    def decisions(self) -> dict[str, bool | None]:
        """class -> whether its probability reaches the threshold; None where validation could choose none."""
        chosen = {name: self.thresholds.get(name) for name in self.probabilities}
        return {name: None if t is None else self.probabilities[name] >= t for name, t in chosen.items()}
