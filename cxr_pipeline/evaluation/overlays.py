"""Overlays of single predictions: where the network saw a class, written beside the image or into a folder."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from cxr_pipeline.errors import CxrError, StorageError
from cxr_pipeline.evaluation.classifier import Answer, Classifier
from cxr_pipeline.evaluation.explain import overlay
from cxr_pipeline.images.decode.pixels import read_radiograph
from cxr_pipeline.storage.files import write_atomically

OVERLAY_SUFFIX = ".overlay.png"
SHOWN_SIDE = 512  # pixels: a person sees little in the picture that a network gets

_CAPTION_ROWS, _FONT, _FONT_SCALE = 28, cv2.FONT_HERSHEY_SIMPLEX, 0.5


@dataclass(frozen=True)
class OverlayWriter:
    """Writes overlays into `folder`, as the images lie under `root`; beside each image where there is no folder."""

    folder: Path | None = None
    root: Path = Path()

    @classmethod
    def into(cls, folder: Path | None, images: Sequence[Path]) -> "OverlayWriter":
        """A writer for `images`, at least one, whose common folder becomes `folder`: no two names clash."""
        if folder is None:
            return cls()
        return cls(folder, Path(os.path.commonpath([path.absolute().parent for path in images])))

    def write(self, image: Path, answer: Answer, classifier: Classifier) -> tuple[Path, ...]:
        """One overlay for each class to show, `<image name>.<class>.overlay.png`; raises CxrError when it cannot."""
        shown = classes_to_show(answer)
        picture = read_radiograph(image, size=SHOWN_SIDE, any_format=True).pixels
        written = []
        for name, heat in zip(shown, classifier.find_evidence(answer.pixels, shown), strict=True):
            path = self._folder_of(image) / f"{image.name}.{name}{OVERLAY_SUFFIX}"
            _write_picture(path, _caption(overlay(picture, heat), _describe(name, answer)))
            written.append(path)
        return tuple(written)

    def _folder_of(self, image: Path) -> Path:
        return self.folder / image.absolute().parent.relative_to(self.root) if self.folder else image.parent


def classes_to_show(answer: Answer) -> list[str]:
    """The classes decided positive, in order; where there are none, the one with the highest probability."""
    positive = [name for name, decision in answer.decisions.items() if decision]
    return positive or [max(answer.probabilities, key=lambda name: answer.probabilities[name])]


def _describe(name: str, answer: Answer) -> str:
    decision = {True: "positive", False: "negative", None: "no threshold"}[answer.decisions[name]]
    return f"{name} {answer.probabilities[name]:.3f} ({decision}). Research use only, not for diagnosis."


def _caption(picture: np.ndarray, text: str) -> np.ndarray:
    """uint8 BGR [h + _CAPTION_ROWS, w, 3]: a picture that leaves its folder still says what it is."""
    strip = np.zeros((_CAPTION_ROWS, picture.shape[1], 3), dtype=np.uint8)
    cv2.putText(strip, text, (8, _CAPTION_ROWS - 9), _FONT, _FONT_SCALE, (255, 255, 255), 1, cv2.LINE_AA)
    return np.vstack([picture, strip])


def _write_picture(path: Path, picture: np.ndarray) -> None:
    _, encoded = cv2.imencode(".png", picture)
    try:
        write_atomically(path, lambda temporary: temporary.write_bytes(encoded.tobytes()))
    except (OSError, StorageError) as error:
        why = error.__cause__ or error
        raise CxrError(f"{path} cannot be written ({why}): name another folder with --out.") from error
