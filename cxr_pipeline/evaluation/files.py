"""Predictions for image files that are in no cohort. Decoding and resizing are those of the image store."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxr_pipeline.errors import ImageError
from cxr_pipeline.evaluation.classifier import Classifier
from cxr_pipeline.evaluation.overlays import OVERLAY_SUFFIX, OverlayWriter
from cxr_pipeline.images.decode.dicom.preamble import is_dicom
from cxr_pipeline.images.decode.hints import find_hints
from cxr_pipeline.images.decode.pictures import SUFFIXES as OTHER_SUFFIXES
from cxr_pipeline.images.decode.pixels import is_broken_link, read_file
from cxr_pipeline.pathologies import PATHOLOGIES

SUFFIXES = (".png", ".jpg", ".jpeg", ".dcm", ".dicom", *OTHER_SUFFIXES)
_DICOM_HEAD = 132  # bytes up to the end of the magic word


@dataclass(frozen=True)
class FilePrediction:
    """One image: class -> calibrated probability, class -> decision (None: no threshold), the overlays written.

    `warnings` say what makes the numbers doubtful: a lateral view, a picture that is not upright.
    """

    path: Path
    probabilities: dict[str, float]
    decisions: dict[str, bool | None]
    overlays: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def positive(self) -> list[str]:
        return [name for name, decision in self.decisions.items() if decision]

    @property
    def undecided(self) -> list[str]:
        """Classes without a threshold."""
        return [name for name, decision in self.decisions.items() if decision is None]

    def as_row(self) -> dict[str, Any]:
        """A flat record: `path`, one number per class, the lists `positive`, `undecided`, `overlays` and `warnings`,
        and, empty here, `reason` and `error`, which say why there is no prediction.
        """
        rounded = {name: round(value, 6) for name, value in self.probabilities.items()}
        lists = {"positive": self.positive, "undecided": self.undecided, "overlays": list(map(str, self.overlays))}
        doubts = {"warnings": list(self.warnings), "reason": None, "error": None}
        return {"path": str(self.path), **rounded, **lists, **doubts}


class FileError(ImageError):
    """Why there is no prediction for the file at `path`; the message names it."""

    def __init__(self, path: Path, error: ImageError) -> None:
        super().__init__(error.reason, f"{path}: {error}")
        self.path, self.found = path, f"{error}"

    def as_row(self) -> dict[str, Any]:
        """The fields of `FilePrediction.as_row`, without numbers: the `reason`, and the `error` in words."""
        nothing: dict[str, Any] = dict.fromkeys(PATHOLOGIES)
        lists: dict[str, list[str]] = {"positive": [], "undecided": [], "overlays": [], "warnings": []}
        return {"path": str(self.path), **nothing, **lists, "reason": self.reason, "error": self.found}


def find_images(paths: Sequence[Path]) -> list[Path]:
    """The files among `paths` and the images under its folders, sorted within each folder, each file once.

    Images are files of SUFFIXES, links of these names that lead nowhere, which are then told, and what has no suffix
    and the magic word of DICOM. Overlays that an earlier call wrote are not.
    """
    found: list[Path] = []
    for path in paths:
        found += sorted(p for p in path.rglob("*") if _is_image(p)) if path.is_dir() else [path]
    return list(dict.fromkeys(found))


def predict_files(
    paths: Sequence[Path],
    classifier: Classifier,
    *,
    overlays: OverlayWriter | None = None,
    frame: int | None = None,
) -> Iterator[FilePrediction | FileError]:
    """For each file its prediction, or an error that names it; overlays are written where a writer is given."""
    for path in paths:
        try:
            data = read_file(path)
            answer = classifier.classify(data, frame=frame)
        except ImageError as error:
            yield FileError(path, error)
            continue
        written = overlays.write(path, answer, classifier) if overlays else ()
        hints = find_hints(data, height=answer.source_height, width=answer.source_width)
        yield FilePrediction(path, answer.probabilities, answer.decisions, written, hints)


def _is_image(path: Path) -> bool:
    if path.name.endswith(OVERLAY_SUFFIX):
        return False
    if not path.is_file():
        return path.suffix.lower() in SUFFIXES and is_broken_link(path)
    return path.suffix.lower() in SUFFIXES or (not _has_suffix(path) and _starts_as_dicom(path))


def _has_suffix(path: Path) -> bool:
    """Names of DICOM files are often UIDs, `1.2.840.10008`: what follows their last dot is a number."""
    return bool(path.suffix) and not path.suffix[1:].isdigit()


def _starts_as_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return is_dicom(file.read(_DICOM_HEAD))
    except OSError:
        return False
