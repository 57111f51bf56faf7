"""Whether two pictures show the same radiograph: what remains of one when it is laid over the other.

Which pairs are worth the comparison does not live here (`hash_search`, `sketches`).
"""

import cv2
import numpy as np
import numpy.typing as npt

Thumbnails = npt.NDArray[np.float32]  # [n, SIDE, SIDE], mean 0, standard deviation 1

SIDE = 64
_BLUR = 1.0  # standard deviation in pixels: JPEG noise goes, and a shift by a pixel stays nearly linear
_MARGIN = 3  # pixels left out at each edge, where a crop has taken what the other still shows
_WHITES = 1.0  # standard deviations above the mean: a gain clips what is brighter
_PAIRS_AT_ONCE = 256  # 24 MB of gradients
_RIDGE = 1e-3  # keeps the equations solvable for a picture without a gradient


def thumbnail(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Grey pixels [height, width] without letterbox bars as [SIDE, SIDE], blurred, mean 0, standard deviation 1."""
    small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    blurred = np.asarray(cv2.GaussianBlur(small, (0, 0), _BLUR), dtype=np.float32)
    return (blurred - blurred.mean()) / max(float(blurred.std()), 1e-3)


def pixel_differences(first: Thumbnails, second: Thumbnails) -> npt.NDArray[np.float32]:
    """Share [n], 0 to about 1, of the variance of each pair that is neither common to both nor explained by a
    change of gain and offset, clipped whites, and a small shift and stretch along each axis.

    One step of least-squares image registration (Lucas and Kanade 1981) about the mean of the two, so that the order
    of a pair does not matter. On NIH images (`benchmarks/duplicates.py`): at most 0.0007 between an image and its copy
    of another size, JPEG quality, gain or crop; at least 0.0080 between two exposures of one patient and 0.020
    between two patients. Phantoms, which have little texture, come as near as 0.0035.
    """
    parts = [
        _unexplained(first[start : start + _PAIRS_AT_ONCE], second[start : start + _PAIRS_AT_ONCE])
        for start in range(0, len(first), _PAIRS_AT_ONCE)
    ]
    return np.concatenate([np.empty(0, dtype=np.float32), *parts])


def _unexplained(first: Thumbnails, second: Thumbnails) -> npt.NDArray[np.float32]:
    inner = (slice(None), slice(_MARGIN, -_MARGIN), slice(_MARGIN, -_MARGIN))
    mean, residual = (first + second) / 2, (first - second)[inner].reshape(len(first), -1)
    down, across = np.gradient(mean, axis=1), np.gradient(mean, axis=2)
    y, x = np.meshgrid(*2 * [np.linspace(-1, 1, SIDE, dtype=np.float32)], indexing="ij")
    whites = np.maximum(mean - _WHITES, 0)
    changes = [np.ones_like(mean), mean, whites, across, across * x, down, down * y]
    basis = np.stack([change[inner].reshape(len(first), -1) for change in changes], axis=1)
    normal = basis @ basis.transpose(0, 2, 1) + _RIDGE * np.eye(len(changes), dtype=np.float32)
    slopes = basis @ residual[:, :, None]
    explained = (slopes * np.linalg.solve(normal, slopes)).sum(axis=(1, 2))
    left = (residual**2).sum(axis=1) - explained
    return np.maximum(left, 0) / (2 * residual.shape[1])
