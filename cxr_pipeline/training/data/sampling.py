"""Which training images an epoch shows, and in which order: a pure function of cohort, config and epoch."""

import numpy as np

from cxr_pipeline.pathologies import POSITIVE
from cxr_pipeline.training.config import TrainConfig


def epoch_order(datasets: np.ndarray, labels: np.ndarray, config: TrainConfig, *, epoch: int) -> np.ndarray:
    """int64 [m]: rows of the training images, `datasets` [n] and `labels` [n, 14], in the order of `epoch` (from 1).

    The same for the same seed, whatever happened before. `plain` shows each image once.
    """
    rng = np.random.default_rng((config.seed, epoch))
    if config.sampler == "source":
        return rng.permutation(_by_source(datasets, config.sampler_temperature, rng))
    if config.sampler == "class":
        return rng.permutation(_by_class(labels, config.sampler_frequency, rng))
    return rng.permutation(len(datasets))


def epoch_seeds(count: int, config: TrainConfig, *, epoch: int) -> np.ndarray:
    """uint32 [count]: what augments the image at each place of `epoch_order`.

    Of the place and not of the image, whose copies in an epoch are to look different.
    """
    return np.random.SeedSequence((config.seed, epoch)).generate_state(count)


def repeat_factors(labels: np.ndarray, frequency: float) -> np.ndarray:
    """float64 [n]: how often an image is shown: sqrt(frequency / share of its rarest finding), at least once.

    Repeat-factor sampling, Gupta et al. 2019, https://arxiv.org/abs/1908.03195, section 5.2; the share of a class is
    of the images whose label of it is known.
    """
    positive = labels == POSITIVE
    share = positive.sum(axis=0) / np.maximum((~np.isnan(labels)).sum(axis=0), 1)
    factor = np.sqrt(frequency / np.maximum(share, 1e-12))
    return np.where(positive, factor, 1.0).max(axis=1, initial=1.0)


def _by_source(datasets: np.ndarray, temperature: float, rng: np.random.Generator) -> np.ndarray:
    """As many images as before, shared among the sources by size^(1 / temperature); copies only where they run out."""
    names, sizes = np.unique(datasets, return_counts=True)
    shares = sizes ** (1 / temperature)
    wanted = np.rint(len(datasets) * shares / shares.sum()).astype(int)
    return np.concatenate(
        [_drawn(np.flatnonzero(datasets == name), count, rng) for name, count in zip(names, wanted, strict=True)]
    )


def _drawn(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    whole, rest = divmod(count, len(rows))
    return np.concatenate([*[rows] * whole, rng.permutation(rows)[:rest]])


def _by_class(labels: np.ndarray, frequency: float, rng: np.random.Generator) -> np.ndarray:
    """Each image as often as its factor says; the fraction is drawn anew each epoch."""
    factors = repeat_factors(labels, frequency)
    times = np.floor(factors) + (rng.random(len(factors)) < factors % 1)
    return np.repeat(np.arange(len(labels)), times.astype(int))
