"""Random changes of grey 8-bit pictures that leave their labels true. Normalisation is not here: the device does it."""

import os
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from cxr_pipeline.training.config import TrainConfig


def augmentation(config: TrainConfig) -> "Augmentation | None":
    """What `config` asks for; None where it asks for no change."""
    return Augmentation(config) if _transforms(_albumentations(), config) else None


@dataclass(frozen=True)
class Augmentation:
    """Changes pictures at random; the seed of an image alone decides what becomes of it.

    Safe to call from several threads: transforms hold their generator, so they are built per call (0.4 ms a batch, and
    0.05 ms an image to seed them). Albumentations stays behind this class: 2.0.8 is the last MIT release.
    """

    config: TrainConfig

    def __call__(self, pixels: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        """uint8 [n, h, w] for `pixels` uint8 [n, h, w] and `seeds` uint32 [n]."""
        library = _albumentations()
        pipeline = library.Compose(_transforms(library, self.config))
        changed = np.empty_like(pixels)
        for picture, seed, out in zip(pixels, seeds.tolist(), changed, strict=True):
            pipeline.set_random_seed(seed)
            out[:] = pipeline(image=picture)["image"]
        return changed


def _transforms(library: ModuleType, config: TrainConfig) -> list[Any]:
    return [*_geometry(library, config), *_photometry(library, config)]


def _geometry(library: ModuleType, config: TrainConfig) -> list[Any]:
    """One warp for rotation, shift and scale: each resampling more would blur. What comes in is black."""
    mirror = [library.HorizontalFlip(p=0.5)] if config.horizontal_flip else []
    if not (config.rotation_degrees or config.shift or config.scale):
        return mirror
    warp = library.Affine(
        rotate=(-config.rotation_degrees, config.rotation_degrees),
        translate_percent=(-config.shift, config.shift),
        scale=(1 - config.scale, 1 + config.scale),
        keep_ratio=True,  # one factor for both axes: a heart's width is read against the chest's
        fill=0,
        p=1.0,
    )
    return [*mirror, warp]


def _photometry(library: ModuleType, config: TrainConfig) -> list[Any]:
    tone = library.RandomBrightnessContrast(
        brightness_limit=config.brightness, contrast_limit=config.contrast, brightness_by_max=True, p=1.0
    )
    sides = (min(0.02, config.dropout_size), config.dropout_size)
    holes = library.CoarseDropout(
        num_holes_range=(1, max(config.dropout_holes, 1)),
        hole_height_range=sides,
        hole_width_range=sides,
        fill=0,
        p=0.5,
    )
    return [*([tone] if config.brightness or config.contrast else []), *([holes] if config.dropout_holes else [])]


def _albumentations() -> ModuleType:
    """It asks PyPI for a newer version when it is imported, unless this variable is set."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    import albumentations

    return albumentations
