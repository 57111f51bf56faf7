"""A plain lateral view, so that layouts have one to leave out. Findings are hinted at, not modelled; no boxes."""

from collections.abc import Collection

import numpy as np

from cxr_pipeline.phantom.anatomy import Thorax
from cxr_pipeline.phantom.drawing import Field, Grid, disc, ridge, soft_step

OPACITIES = frozenset({"Atelectasis", "Consolidation", "Edema", "Infiltration", "Mass", "Nodule", "Pneumonia"})


def lateral_attenuation(rng: np.random.Generator, grid: Grid, thorax: Thorax, findings: Collection[str]) -> Field:
    """The chest from the side, sternum on the left of the picture, spine on the right; float32 [height, width]."""
    x, y = grid.x, grid.y
    floor = thorax.base - 0.10 + 0.35 * np.square(x - 0.1)
    narrow = np.square(np.clip(-0.25 - y, 0, 1))  # towards the apex
    lung = soft_step(x + 0.62 - 1.6 * narrow, 0.04) * soft_step(0.50 - 0.9 * narrow - x, 0.05)
    lung = lung * soft_step(floor - y, 0.03) * soft_step(y - thorax.apex, 0.06)
    field = 1.15 * soft_step(0.80 - np.abs(x), 0.08) * (1 + 0.10 * y) - (thorax.air + 0.05) * lung
    field += 0.22 * ridge(x - 0.44 + 0.10 * np.square(y), 0.09) * (1 + 0.3 * np.sin(26 * y))
    radius = 0.60 * thorax.heart_ratio + (0.10 if "Cardiomegaly" in findings else 0.0)
    field += 0.36 * disc(grid, (-0.26, thorax.base - 0.28), radius, 0.06)
    if "Effusion" in findings:
        field += 0.45 * soft_step(y - floor + 0.05 + 0.5 * np.clip(x - 0.15, 0, 1), 0.04) * lung
    for _ in OPACITIES.intersection(findings):
        centre = rng.uniform(-0.1, 0.3), rng.uniform(-0.3, 0.2)
        field += 0.3 * disc(grid, centre, rng.uniform(0.06, 0.2), 0.05) * lung
    return np.maximum(field, 0)
