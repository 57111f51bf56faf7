"""From a generator and a set of findings to the pixels of one phantom. No files, no labels, no patients."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from cxr_pipeline.errors import PhantomError
from cxr_pipeline.phantom.anatomy import (
    LEFT,
    RIGHT,
    Thorax,
    attenuation,
    breathe,
    draw_lungs,
    draw_thorax,
    haze,
    vessel_tree,
)
from cxr_pipeline.phantom.drawing import Box, Field, Grid, make_grid
from cxr_pipeline.phantom.findings import CHRONIC, FINDINGS, Scene
from cxr_pipeline.phantom.lateral import lateral_attenuation
from cxr_pipeline.phantom.reshape import RESHAPERS

RENDERER = 1  # raise it when the same request no longer gives the same bytes

VESSEL_ATTENUATION = 0.16
WINDOW = (0.12, 0.94)  # black and white of the display, as shares of the light that was stopped

# Streams of random numbers of one picture, so that no part's draws shift another's.
BREATH, POSE, DETECTOR, TISSUE, FIRST_FINDING = 0, 1, 2, 3, 10

View = Literal["PA", "AP", "LATERAL"]


@dataclass(frozen=True)
class Style:
    """How the pictures of one source differ from another's: detector, post-processing, marker, share of AP."""

    gain: float = 1.0
    gamma: float = 1.0
    noise: float = 0.02
    aspect: tuple[float, float] = (1.0, 1.0)  # least and greatest width / height
    marker: str = ""  # lead letter in the upper corner on the patient's left
    ap_share: float = 0.4


STYLES = {
    # NIH squashed every picture to a square; 40 % of its pictures are AP.
    "nih": Style(noise=0.018),
    # Indiana's are mostly upright PA, higher than wide.
    "openi": Style(gain=0.98, gamma=1.05, noise=0.02, aspect=(0.82, 1.02), marker="L", ap_share=0.1),
    # Those of 79 sites differ; seven of ten frontal views are AP, all were shrunk to a quarter.
    "rexgradient": Style(gain=1.02, gamma=0.95, noise=0.015, aspect=(0.8, 1.22), ap_share=0.7),
    # Stanford's are mostly bedside AP, wider than high, and histogram-stretched.
    "chexpert": Style(gain=1.08, gamma=0.85, noise=0.025, aspect=(1.0, 1.22), marker="L", ap_share=0.85),
    # Boston's histograms are equalised when they are written; 147,169 of 243,324 frontal views are bedside AP.
    "mimic": Style(gain=1.04, gamma=0.95, noise=0.02, aspect=(0.8, 1.2), marker="L", ap_share=0.6),
    # Alicante's are mostly upright PA, with 12 bits; I is for izquierda, left.
    "padchest": Style(gain=0.97, gamma=1.05, noise=0.02, aspect=(0.82, 1.18), marker="I", ap_share=0.17),
    # Hanoi's are upright PA pictures, higher than wide, of a harder contrast.
    "vindr": Style(gain=0.95, gamma=1.1, noise=0.016, aspect=(0.82, 1.0), marker="L", ap_share=0.0),
}


@dataclass(frozen=True)
class Phantom:
    """One rendered picture: `pixels` uint8 [height, width], 0 is black; `boxes` per finding, frontal views only."""

    pixels: NDArray[np.uint8]
    boxes: dict[str, list[Box]]


def render(
    rng: np.random.Generator,
    findings: Collection[str],
    *,
    size: int,
    style: Style,
    view: View = "PA",
    thorax: Thorax | None = None,
) -> Phantom:
    """Draws a chest, `size` pixels high, with these findings; without a `thorax` it draws a new person's.

    The same generator state gives the same chest, pose and noise whatever the findings are, because every part draws
    from a stream of its own. Raises PhantomError for an unknown finding.
    """
    unknown = sorted(set(findings) - set(FINDINGS))
    if unknown:
        raise PhantomError(f"No drawing for {', '.join(unknown)}. Expected some of {', '.join(FINDINGS)}.")
    body = thorax or draw_thorax(rng)
    key = int(rng.integers(2**62))
    grid = make_grid(size, round(size * rng.uniform(*style.aspect)))
    boxes: dict[str, list[Box]] = {}
    if view == "LATERAL":
        field = lateral_attenuation(_stream(key, BREATH), grid, body, findings)
    else:
        breathing = breathe(_stream(key, BREATH), body, is_ap=view == "AP")
        field, boxes = _frontal(key, grid, breathing, findings)
    turn = _draw_pose(_stream(key, POSE), grid)
    posed = np.asarray(cv2.warpAffine(field, turn, grid.shape[::-1], borderMode=cv2.BORDER_REPLICATE), np.float32)
    moved = {finding: _move_boxes(found, turn, grid.shape) for finding, found in boxes.items()}
    return Phantom(_expose(_stream(key, DETECTOR), posed, style), moved)


def _stream(key: int, number: int) -> np.random.Generator:
    return np.random.default_rng([key, number])


def _frontal(key: int, grid: Grid, thorax: Thorax, findings: Collection[str]) -> tuple[Field, dict[str, list[Box]]]:
    keys = {finding: thorax.key if finding in CHRONIC else key for finding in findings}
    streams = [(name, keys[name], FIRST_FINDING + i) for i, name in enumerate(FINDINGS) if name in keys]
    for name, seed, number in streams:
        if name in RESHAPERS:
            thorax = RESHAPERS[name](_stream(seed + 1, number), thorax)
    lungs = draw_lungs(grid, thorax)
    vessels = vessel_tree(grid, thorax) * (lungs[RIGHT] + lungs[LEFT])
    scene = Scene(grid, thorax, lungs, vessels, np.zeros(grid.shape, np.float32))
    boxes = {name: FINDINGS[name](_stream(seed, number), scene) for name, seed, number in streams}
    field = attenuation(grid, thorax, lungs) + haze(_stream(key, TISSUE), grid)
    return np.maximum(field + VESSEL_ATTENUATION * scene.vessels + scene.opacity, 0), boxes


def _draw_pose(rng: np.random.Generator, grid: Grid) -> NDArray[np.float64]:
    """A 2 x 3 matrix that turns by about 1.5 degrees, scales by about 3 % and shifts by about 1.5 % of the height."""
    height, width = grid.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.normal(0, 1.5), rng.normal(1.0, 0.03))
    shift = rng.normal(0, 0.015, (2, 1)) * height
    return np.asarray(turn, np.float64) + np.hstack([np.zeros((2, 2)), shift])


def _move_boxes(boxes: list[Box], turn: NDArray[np.float64], shape: tuple[int, int]) -> list[Box]:
    """The upright boxes around the moved ones, cut at the picture's border."""
    moved = []
    for x, y, width, height in boxes:
        corners = np.array([[x, y, 1], [x + width, y, 1], [x, y + height, 1], [x + width, y + height, 1]]) @ turn.T
        low = np.clip(np.floor(corners.min(axis=0)), 0, [shape[1] - 1, shape[0] - 1]).astype(int)
        high = np.clip(np.ceil(corners.max(axis=0)), low + 1, [shape[1], shape[0]]).astype(int)
        moved.append((int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])))
    return moved


def _expose(rng: np.random.Generator, field: Field, style: Style) -> NDArray[np.uint8]:
    """Beer-Lambert transmission, quantum noise (stronger where less light arrives), window and gamma.

    The window is fixed, not taken from the picture: else every dense finding would darken the rest of it.
    """
    gain = style.gain * rng.uniform(0.93, 1.08)
    light = np.exp(np.float32(-1.25 * gain) * field)
    grey = 1 - light + np.float32(style.noise) * rng.standard_normal(field.shape, dtype=np.float32) * (0.4 + light)
    window = np.clip((grey - WINDOW[0]) * np.float32(1 / (WINDOW[1] - WINDOW[0])), 0, 1)
    pixels = (window ** np.float32(style.gamma * np.exp(rng.normal(0, 0.06))) * 255 + 0.5).astype(np.uint8)
    return _mark(pixels, style.marker)


def _mark(pixels: NDArray[np.uint8], marker: str) -> NDArray[np.uint8]:
    height, width = pixels.shape
    where = (width - round(0.10 * height), round(0.12 * height))
    scale = height / 320
    thickness = max(1, round(2 * scale))
    cv2.putText(pixels, marker, where, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thickness, cv2.LINE_AA)
    return pixels
