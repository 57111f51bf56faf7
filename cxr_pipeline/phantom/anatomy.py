"""The normal frontal chest as a field of attenuation: thorax, lungs, heart, bones, vessels. No findings, no detector.

`side` is +1 for the right half of the picture, which is the patient's left (the heart's apex points there), and -1 for
the other. `u = side * x` is the distance from the midline.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from cxr_pipeline.phantom.drawing import Field, Grid, disc, ridge, soft_step, texture

LEFT, RIGHT = 1, -1
SIDES = (RIGHT, LEFT)
EDGE = 0.03  # half-width of the soft edge of an organ, units
HEART_TILT = 0.45  # how far the heart leans towards its apex: shift in x per unit of y
NORMAL_HEART_LIMIT = 0.49  # a cardiothoracic ratio above 0.5 is Cardiomegaly (Danzer 1919), so none is drawn near it


@dataclass(frozen=True)
class Thorax:
    """The shape of one chest, in units of half the picture's height. `key` seeds what stays the same in a patient."""

    is_male: bool
    half_width: float  # of the inner thorax, at the base
    apex: float  # y of the top of the lungs
    base: float  # y of the costophrenic angles
    dome: float  # height of the diaphragm's domes above them
    heart_ratio: float  # heart width / inner width of the thorax (cardiothoracic ratio)
    air: float  # attenuation that the lungs take away
    rib_offset: float
    rib_spacing: float
    key: int
    lift_right: float = 0.0  # elevation of each half of the diaphragm (volume loss)
    lift_left: float = 0.0

    def lift(self, side: int) -> float:
        return self.lift_left if side == LEFT else self.lift_right

    def lateral_edge(self, y: Field) -> Field:
        """Distance from the midline of the outer edge of a lung at height `y`."""
        t = np.clip((y - self.apex) / (self.base - self.apex), 0, 1)
        return 0.29 + (self.half_width * (0.84 + 0.16 * t) - 0.29) * np.sqrt(1 - (1 - t) ** 3)

    def medial_edge(self, y: Field) -> Field:
        """Distance from the midline of the inner edge of a lung at height `y`."""
        t = np.clip((y - self.apex) / (0.3 * (self.base - self.apex)), 0, 1)
        return 0.29 - 0.16 * np.sqrt(1 - (1 - t) ** 2)

    def diaphragm(self, u: Field, side: int) -> Field:
        """y of the diaphragm at the distance `u` from the midline; the right dome stands higher."""
        level = self.base - self.lift(side) - (0.03 if side == RIGHT else 0.0)
        return level - self.dome * (1 - np.square((u - 0.34) / 0.40))

    def floor(self, side: int) -> float:
        """y of the top of a dome of the diaphragm."""
        return float(self.diaphragm(np.array(0.34, dtype=np.float32), side))

    @property
    def heart(self) -> tuple[float, float, float, float]:
        """Centre x, centre y, half width, half height of the heart's outline."""
        half = self.heart_ratio * self.half_width
        half_height = 0.28 + 0.40 * (self.heart_ratio - 0.44)
        return half - 0.20 - 0.25 * (self.heart_ratio - 0.44), self.base - 0.27, half, half_height


def draw_thorax(rng: np.random.Generator) -> Thorax:
    """The chest of one normal adult."""
    return Thorax(
        is_male=bool(rng.random() < 0.55),
        half_width=rng.normal(0.72, 0.025),
        apex=rng.normal(-0.80, 0.025),
        base=rng.normal(0.52, 0.03),
        dome=rng.normal(0.17, 0.015),
        heart_ratio=min(rng.normal(0.43, 0.02), NORMAL_HEART_LIMIT),
        air=rng.normal(0.62, 0.015),
        rib_offset=rng.uniform(0, 0.16),
        rib_spacing=rng.uniform(0.15, 0.17),
        key=int(rng.integers(2**62)),
    )


def breathe(rng: np.random.Generator, thorax: Thorax, *, is_ap: bool) -> Thorax:
    """The chest at one exposure: depth of inspiration; AP (bedside) is shallower and magnifies the heart."""
    base = thorax.base + rng.normal(0, 0.02) - (0.05 if is_ap else 0.0)
    ratio = min(thorax.heart_ratio + (0.025 if is_ap else 0.0), NORMAL_HEART_LIMIT)
    return replace(thorax, base=base, heart_ratio=ratio)


def draw_lungs(grid: Grid, thorax: Thorax) -> dict[int, Field]:
    """Per side, how much of each pixel is lung that the heart does not hide, 0..1, float32 [height, width]."""
    free = 1 - 0.88 * heart_mask(grid, thorax)
    return {side: free * _lung(grid, thorax, side) for side in SIDES}


def heart_mask(grid: Grid, thorax: Thorax) -> Field:
    """How much of each pixel is heart, 0..1: an ellipse that leans towards the patient's left."""
    x, y, half_width, half_height = thorax.heart
    down = (grid.y - y) / half_height
    # The lean widens an ellipse; this half-axis gives the outline exactly the width that the ratio asks for.
    axis = float(np.sqrt(half_width**2 - (HEART_TILT * half_height) ** 2))
    across = (grid.x - x - HEART_TILT * (grid.y - y)) / axis
    return soft_step(1 - np.hypot(across, down), 0.10)


def attenuation(grid: Grid, thorax: Thorax, lungs: dict[int, Field]) -> Field:
    """The whole normal chest but for its vessels, float32 [height, width]; air outside the body is about 0."""
    # The aorta, like the heart, takes the place of lung rather than lying upon it.
    hollow = (lungs[RIGHT] + lungs[LEFT]) * (1 - 0.5 * disc(grid, (0.12, -0.36), 0.10, EDGE))
    field = _soft_tissue(grid, thorax) - thorax.air * hollow + 0.07 * heart_mask(grid, thorax)
    field += _mediastinum(grid) + _bones(grid, thorax)
    bubble = disc(grid, (0.36, thorax.floor(LEFT) + 0.10), 0.07, 0.05)
    return np.maximum(field - 0.14 * bubble, 0)


def vessel_tree(grid: Grid, thorax: Thorax) -> Field:
    """Lung vessels that branch from the hila and fade towards the pleura, 0..1; the same tree for the same `key`."""
    rng = np.random.default_rng([thorax.key, 0])
    canvas = np.zeros(grid.shape, np.uint8)
    for side in SIDES:
        for angle in np.linspace(-1.25, 1.2, 8):
            _draw_branch(rng, grid, canvas, (side * 0.17, -0.06), float(angle) + rng.normal(0, 0.1))
    return cv2.GaussianBlur(canvas, (3, 3), 0.6).astype(np.float32) / 255


def haze(rng: np.random.Generator, grid: Grid) -> Field:
    """Slow unevenness of soft tissue, mean about 0, so that no two exposures are flat in the same way."""
    return 0.03 * texture(rng, grid.shape, 0.35)


def _lung(grid: Grid, thorax: Thorax, side: int) -> Field:
    u = side * grid.x
    walls = soft_step(thorax.lateral_edge(grid.y) - u, EDGE) * soft_step(u - thorax.medial_edge(grid.y), EDGE)
    return walls * soft_step(thorax.diaphragm(u, side) - grid.y, EDGE) * soft_step(grid.y - thorax.apex, EDGE)


def _draw_branch(
    rng: np.random.Generator, grid: Grid, canvas: np.ndarray, start: tuple[float, float], angle: float
) -> None:
    side = 1 if start[0] > 0 else -1
    length, x, y = 0.15, *start
    for brightness, width in ((220, 0.024), (170, 0.018), (120, 0.012), (80, 0.009)):
        for fork in (0.28, -0.22):
            turned = angle + fork * rng.uniform(0.4, 1.4)
            tip = x + side * length * float(np.cos(turned)), y + length * float(np.sin(turned))
            ends = [tuple(round(v * 16) for v in grid.to_pixels(*point)) for point in ((x, y), tip)]
            thickness = max(1, round(width * grid.shape[0] / 2))
            cv2.line(canvas, ends[0], ends[1], brightness, thickness, cv2.LINE_AA, 4)
        (x, y), angle = tip, turned + 0.15


def _soft_tissue(grid: Grid, thorax: Thorax) -> Field:
    shoulder = 0.24 + 0.95 * soft_step(grid.y + 0.86, 0.14) - 0.22 * soft_step(grid.y + 0.10, 0.60)
    field = 1.02 * soft_step(shoulder - np.abs(grid.x), 0.08) * (1 + 0.12 * grid.y)
    if not thorax.is_male:
        for side in SIDES:
            breast = np.hypot(grid.x - np.float32(side * 0.43), (grid.y - np.float32(0.30)) / np.float32(0.85))
            field += 0.14 * soft_step(0.29 - breast, 0.07) * soft_step(grid.y - 0.1, 0.35)
    return field


def _mediastinum(grid: Grid) -> Field:
    across = np.abs(grid.x)
    field = 0.16 * soft_step(0.135 - across, 0.04) * soft_step(grid.y + 0.62, 0.15)
    field -= 0.17 * ridge(grid.x, 0.045) * soft_step(-0.22 - grid.y, 0.08)  # trachea
    for side in SIDES:
        field += 0.17 * ridge(np.hypot(grid.x - np.float32(side * 0.17), (grid.y + 0.06) / 1.4), 0.075)  # hilum
    return field


def _bones(grid: Grid, thorax: Thorax) -> Field:
    u = np.abs(grid.x)
    cage = soft_step(thorax.half_width + 0.05 - u, 0.05) * soft_step(thorax.base + 0.16 - grid.y, 0.12)
    cage = cage * soft_step(grid.y + 0.95, 0.1)
    posterior = _stripes(grid.y - (0.08 * u + 0.62 * u**2.4), thorax.rib_offset, thorax.rib_spacing)
    anterior = _stripes(grid.y + 0.55 * u, thorax.rib_offset + 0.05, thorax.rib_spacing) * soft_step(u - 0.3, 0.1)
    spine = ridge(grid.x, 0.085) * (0.20 + 0.05 * np.sin(26 * (grid.y + thorax.rib_offset)))
    clavicle = ridge(grid.y + 0.62 + 0.20 * u - 0.03 * np.sin(6 * u), 0.028) * soft_step(u - 0.09, 0.04)
    scapula = soft_step(0.16 - np.hypot(u - 0.86, (grid.y + 0.32) / 1.8), 0.06)
    return (0.10 * posterior + 0.04 * anterior) * cage + spine + 0.15 * clavicle + 0.08 * scapula


def _stripes(height: Field, offset: float, spacing: float) -> Field:
    """All ribs at once: a bar with a brighter cortex at both edges, repeated every `spacing`."""
    phase = (height - np.float32(offset)) * np.float32(1 / spacing)
    distance = np.abs(phase - np.rint(phase)) * np.float32(spacing)
    return soft_step(0.034 - distance, 0.012) * (0.75 + 0.5 * soft_step(distance - 0.02, 0.012))
