"""How four findings change the shape of the chest before it is drawn: volume, heart, diaphragm. Draws nothing."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from cxr_pipeline.phantom.anatomy import Thorax


def lose_volume(rng: np.random.Generator, thorax: Thorax) -> Thorax:
    """Atelectasis: the diaphragm rises on one side."""
    lift = rng.uniform(0.10, 0.18)
    if rng.random() < 0.5:
        return replace(thorax, lift_left=thorax.lift_left + lift)
    return replace(thorax, lift_right=thorax.lift_right + lift)


def enlarge_heart(rng: np.random.Generator, thorax: Thorax) -> Thorax:
    """Cardiomegaly: a cardiothoracic ratio above 0.5 (Danzer 1919)."""
    return replace(thorax, heart_ratio=rng.uniform(0.57, 0.68))


def overinflate(rng: np.random.Generator, thorax: Thorax) -> Thorax:
    """Emphysema: long, dark lungs, a low flat diaphragm, a narrow heart unless it is enlarged."""
    grown = rng.uniform(0.10, 0.17)
    ratio = thorax.heart_ratio if thorax.heart_ratio > 0.5 else thorax.heart_ratio - 0.04
    return replace(thorax, base=thorax.base + grown, dome=0.04, heart_ratio=ratio, air=thorax.air + 0.09)


def stiffen(rng: np.random.Generator, thorax: Thorax) -> Thorax:
    """Fibrosis: both lungs shrink a little."""
    lift = rng.uniform(0.03, 0.07)
    return replace(thorax, lift_left=thorax.lift_left + lift, lift_right=thorax.lift_right + lift)


RESHAPERS: dict[str, Callable[[np.random.Generator, Thorax], Thorax]] = {
    "Atelectasis": lose_volume,
    "Cardiomegaly": enlarge_heart,
    "Emphysema": overinflate,
    "Fibrosis": stiffen,
}
