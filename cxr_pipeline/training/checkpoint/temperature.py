"""One number that makes probabilities honest, fitted on the validation images. Which epoch is kept is not here."""

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit

from cxr_pipeline.pathologies import NEGATIVE, POSITIVE

COLDEST, HOTTEST = 1 / 20, 20.0


def fit_temperature(labels: np.ndarray, logits: np.ndarray) -> float | None:
    """T that makes sigmoid(logits / T) most likely, over the observed cells of all classes together.

    `labels` [n, 14] holds 1, 0, -1 and NaN, of which the last two are not observed; `logits` are [n, 14]. Temperature
    scaling of Guo et al. 2017, https://arxiv.org/abs/1706.04599, with a sigmoid per class in place of the softmax:
    no ranking changes. The focal loss leaves probabilities too near one half, which gives T below 1.

    None when no T between COLDEST and HOTTEST is best: no cell is observed, the labels are separated without an error
    or follow the opposite of the logits.
    """
    observed = (labels == POSITIVE) | (labels == NEGATIVE)
    z, y = logits[observed].astype(np.float64), labels[observed] == POSITIVE

    def slope(sharpness: float) -> float:
        """Of the negative log likelihood, which is convex in 1 / T: it rises, and is 0 at the best."""
        return float(((expit(sharpness * z) - y) * z).sum())

    if not slope(1 / HOTTEST) < 0 < slope(1 / COLDEST):
        return None
    return 1 / brentq(slope, 1 / HOTTEST, 1 / COLDEST, xtol=1e-9)


def calibrate(logits: np.ndarray, temperature: float | None) -> np.ndarray:
    """float32 probabilities of the same shape; None is no calibration."""
    return expit(logits.astype(np.float64) / (temperature or 1.0)).astype(np.float32)


def to_logits(probabilities: np.ndarray) -> np.ndarray:
    """float64 logits of float32 probabilities, finite: 0 and 1, where a sigmoid was rounded, become the next number."""
    smallest, largest = np.finfo(np.float32).tiny, np.nextafter(np.float32(1), np.float32(0))
    return logit(np.clip(probabilities, smallest, largest).astype(np.float64))
