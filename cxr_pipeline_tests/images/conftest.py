"""Small pictures that look enough like radiographs, and the folders of real ones."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def picture(seed: int, *, height: int = 64, width: int = 64) -> np.ndarray:
    """Smooth grey uint8 [height, width] over most of the range; another seed gives another picture."""
    coarse = np.random.default_rng(seed).random((9, 9)).astype(np.float32)
    smooth = cv2.GaussianBlur(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), (3, 3), 0)
    low, high = smooth.min(), smooth.max()
    return np.rint((smooth - low) / (high - low) * 250).astype(np.uint8)


def encode(pixels: np.ndarray, form: str = "PNG", *, mode: str | None = None) -> bytes:
    """File bytes of `pixels`, written by Pillow, after a conversion to `mode`."""
    image = Image.fromarray(pixels)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, form)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def nih_folder() -> Path:
    """Unmodified NIH ChestX-ray14 images, 1024 x 1024."""
    return _real("nih")


@pytest.fixture(scope="session")
def nih_224_folder() -> Path:
    """NIH images as 224 x 224 grey PNG."""
    return _real("nih-224")


def _real(name: str) -> Path:
    if not (SHARED / name).is_dir():
        pytest.skip(f"no real images at ../shared/data/{name}")
    return SHARED / name
