"""Altered copies of a picture, as a radiograph comes back from another collection."""

from collections.abc import Callable

import cv2
import numpy as np

Picture = np.ndarray  # uint8 [height, width]


def resize(side: int) -> Callable[[Picture], Picture]:
    return lambda picture: cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)


def compress(quality: int) -> Callable[[Picture], Picture]:
    def change(picture: Picture) -> Picture:
        data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)

    return change


def brighten(gain: float) -> Callable[[Picture], Picture]:
    return lambda picture: np.clip(np.rint(picture * gain), 0, 255).astype(np.uint8)


def crop(top: float, bottom: float, left: float, right: float) -> Callable[[Picture], Picture]:
    """Cuts these shares of height and width off the four edges."""

    def change(picture: Picture) -> Picture:
        height, width = picture.shape
        rows = slice(round(height * top), height - round(height * bottom))
        return picture[rows, round(width * left) : width - round(width * right)]

    return change


COPIES: dict[str, Callable[[Picture], Picture]] = {
    **{f"resize to {side} px": resize(side) for side in (64, 128, 224, 512, 1024)},
    "JPEG quality 50": compress(50),
    "gain 0.9": brighten(0.9),
    "gain 1.1, whites clipped": brighten(1.1),
    "crop 2 %, centred": crop(0.01, 0.01, 0.01, 0.01),
    "crop 2 %, left edge": crop(0, 0, 0.02, 0),
    "crop 2 %, top edge": crop(0.02, 0, 0, 0),
    "crop 2 %, one corner": crop(0.02, 0, 0.02, 0),
    "crop 4 %, centred": crop(0.02, 0.02, 0.02, 0.02),
    "crop 8 %, centred": crop(0.04, 0.04, 0.04, 0.04),
}
