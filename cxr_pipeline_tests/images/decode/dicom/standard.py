"""What the standard says is shown of stored values, in plain numpy: nothing of the package is called here.

PS3.3 C.7.5.1.1.2 (padding), C.11.1.1 (modality LUT, rescale), C.11.2.1.1 (VOI LUT), C.11.2.1.2 and .3 (windows).
What it leaves open is as our docs say: without a window 8 bits stay as they are and others lie between percentiles of
what is not padding, as where the window lies beside all values; padding is black.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Table:
    """Entries for the values from `first` on; white is `top`."""

    first: int
    entries: np.ndarray
    top: int

    def at(self, values):
        place = np.floor(values + 0.5) - self.first
        return self.entries[np.clip(place, 0, len(self.entries) - 1).astype(int)].astype(float)


@dataclass(frozen=True)
class Display:
    """The display part of a header, as numbers."""

    bits: int
    is_signed: bool
    is_inverse: bool = False
    slope: float = 1.0
    intercept: float = 0.0
    modality: Table | None = None
    voi: Table | None = None
    function: str = "LINEAR"
    centre: float | None = None
    width: float | None = None
    padding: tuple[int, int] | None = None


def shown_greys(display, stored):
    """Greys 0..255, float, of `stored` integers; None where they are no picture."""
    is_padding = np.zeros(stored.shape, bool)
    if display.padding:
        is_padding = (stored >= display.padding[0]) & (stored <= display.padding[1])
    values = display.modality.at(stored) if display.modality else stored * display.slope + display.intercept
    share = _through_voi(display, values)
    seen = values[~is_padding]
    if share is not None and _lies_beside(share[~is_padding]):
        share = _between_percentiles(values, seen)
    elif share is None and display.bits == 8 and not display.is_signed and not display.modality:
        share = stored / 255 if display.slope > 0 else 1 - stored / 255
    elif share is None:
        share = _between_percentiles(values, seen)
    greys = 255 * (1 - share if display.is_inverse else share)
    return np.where(is_padding, 0, greys)


def _through_voi(display, x):
    if display.voi:
        return np.minimum(display.voi.at(x) / display.voi.top, 1)
    c, w = display.centre, display.width
    if c is None or w is None:
        return None
    if display.function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (x - c) / w, -300, 300)))
    if display.function == "LINEAR_EXACT" or w < 1:
        return np.select([x <= c - w / 2, x > c + w / 2], [0, 1], (x - c) / w + 0.5)
    slope = 1 / (w - 1) if w > 1 else 0.0
    return np.select([x <= c - 0.5 - (w - 1) / 2, x > c - 0.5 + (w - 1) / 2], [0, 1], (x - (c - 0.5)) * slope + 0.5)


def _lies_beside(share):
    return (share > 8 / 256).mean() <= 0.005 or (share < 1 - 8 / 256).mean() <= 0.005


def _between_percentiles(values, seen):
    low, high = np.percentile(seen, (0.5, 99.5))
    return np.clip((values - low) / (high - low), 0, 1)
