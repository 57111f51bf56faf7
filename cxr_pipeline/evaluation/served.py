"""The checkpoint as MLflow serves it: an MLflow model names this module as its loader. MLflow itself is not here."""

import base64
import binascii
from pathlib import Path
from typing import Any

from cxr_pipeline.errors import ImageError
from cxr_pipeline.evaluation.classifier import Classifier
from cxr_pipeline.images.decode.dicom.preamble import is_dicom
from cxr_pipeline.images.decode.jpeg import is_jpeg
from cxr_pipeline.images.decode.pictures import is_picture
from cxr_pipeline.images.decode.pixels import read_file
from cxr_pipeline.images.decode.png import is_png

IMAGE_COLUMN = "image"


def read_image(text: str) -> bytes:
    """The image file that `text` is in base64, else the one whose path it is.

    Only what decodes to the beginning of an image file counts as base64. Raises ImageError.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return read_file(Path(text))
    is_image = is_png(data) or is_jpeg(data) or is_dicom(data) or is_picture(data)
    return data if is_image else read_file(Path(text))


class ServedCheckpoint:
    """What MLflow calls: `predict` takes and gives a pandas DataFrame."""

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """One row of calibrated probabilities, a column per class, for each row's `image`: a path or base64.

        Raises ImageError that names the row, and nothing of the file, when one cannot be read.
        """
        rows = [self._classify(number, text) for number, text in enumerate(model_input[IMAGE_COLUMN])]
        return type(model_input)(rows, columns=self.classifier.config.labels)

    def _classify(self, number: int, text: str) -> dict[str, float]:
        try:
            return self.classifier.classify(read_image(text)).probabilities
        except ImageError as error:
            raise ImageError(error.reason, f"Row {number} of the input ({error.reason}): {error}") from error


def _load_pyfunc(data_path: str) -> ServedCheckpoint:
    """The entry point that MLflow looks for in a loader module."""
    return ServedCheckpoint(Classifier.load(Path(data_path)))
