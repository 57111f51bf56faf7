"""The contact sheet of the docs: one normal phantom and one of each finding, all of the same person."""

import cv2
import numpy as np
from numpy.typing import NDArray

from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.phantom.render import STYLES, render

COLUMNS = 5


def contact_sheet(*, size: int, seed: int = 8) -> NDArray[np.uint8]:
    """Three rows of five labelled tiles in the order normal, then PATHOLOGIES; uint8 [height, width]."""
    tiles = [_tile("Normal", (), size, seed)] + [_tile(name, (name,), size, seed) for name in PATHOLOGIES]
    rows = [np.hstack(tiles[start : start + COLUMNS]) for start in range(0, len(tiles), COLUMNS)]
    return np.vstack(rows)


def _tile(title: str, findings: tuple[str, ...], size: int, seed: int) -> NDArray[np.uint8]:
    phantom = render(np.random.default_rng(seed), findings, size=size, style=STYLES["nih"])
    caption = np.zeros((18, size), np.uint8)
    cv2.putText(caption, title, (3, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.38, 255, 1, cv2.LINE_AA)
    return np.vstack([caption, phantom.pixels])
