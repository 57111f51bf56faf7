"""The parts of a cohort that a run learns from and validates on: images, and what is to be learnt from them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from cxr_pipeline.errors import TrainingError
from cxr_pipeline.training.config import TrainConfig
from cxr_pipeline.training.data.augment import augmentation
from cxr_pipeline.training.data.batches import Cohort, CohortImages, Loader, cell_weights, targets
from cxr_pipeline.training.data.sizes import check_size
from cxr_pipeline.training.network.device import wants_gpu
from cxr_pipeline.training.run.program import JobInputs


@dataclass(frozen=True)
class Part:
    """The images of one split, with what is to be learnt from them: float32 targets and weights, both [n, 14].

    A weight is 0 where the label is unknown. `heads` int64 [n] numbers each image's source among those trained on.
    """

    cohort: Cohort
    loader: Loader
    targets: np.ndarray
    weights: np.ndarray
    heads: np.ndarray | None = None  # where each source has a head of its own

    @property
    def n_heads(self) -> int:
        """How many times the labels stand in the network's head."""
        return 1 if self.heads is None else int(self.heads.max()) + 1

    @property
    def knows(self) -> np.ndarray:
        """bool [heads, 14]: whether a head is shown any cell of the class that weighs something."""
        heads = np.zeros(len(self.weights)) if self.heads is None else self.heads
        return np.stack([(self.weights[heads == head] > 0).any(axis=0) for head in range(self.n_heads)])


@contextmanager
def open_part(cohort: Cohort, split: str, inputs: JobInputs, config: TrainConfig) -> Iterator[Part]:
    """The images of one split and what is to be learnt from them; training images come augmented.

    Raises TrainingError when no label of them is known or weighs anything, StoreError when `check_size` does.
    """
    own = cohort.select(split)
    values, weights = _cells_to_learn(own, split, config)
    is_trained = split == "train"
    processes = config.loader == "processes" or (config.loader == "auto" and wants_gpu(config.device))
    images = CohortImages(own, inputs.images)
    check_size(images, config.image_size)
    loader = Loader(
        images,
        augmentation(config) if is_trained else None,
        workers=config.loader_workers,
        processes=is_trained and processes,
    )
    try:
        heads = source_heads(own) if is_trained and config.head_per_source else None
        yield Part(own, loader, values, weights, heads)
    finally:
        loader.close()


def source_heads(trained: Cohort) -> np.ndarray:
    """int64 [n]: the head of each training image, which numbers the sources in the order of their names."""
    return np.unique(trained.datasets.astype(str), return_inverse=True)[1]


def _cells_to_learn(own: Cohort, split: str, config: TrainConfig) -> tuple[np.ndarray, np.ndarray]:
    """(targets, weights), both float32 [n, 14]."""
    values, mask = targets(own.labels, own.shares, config)
    if not mask.any():
        raise TrainingError(
            f"The cohort has {len(own)} {split} images and {int(mask.sum())} known labels among them: expected some. "
            "Add a source, or check the shares of the split; a source without training images validates nothing."
        )
    weights = cell_weights(own, mask, config)
    if not weights.any():
        raise TrainingError(
            f"The {int(mask.sum())} known labels of the {split} images of {', '.join(sorted(set(own.datasets)))} all "
            "weigh 0 by source_weights and class_weights: expected more for some. Raise these weights."
        )
    return values, weights
