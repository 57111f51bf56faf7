"""Which pictures are worth a look and what the network saw in them, as PNG files. The heatmap itself is `gradcam`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from cxr_pipeline.evaluation.scored import ScoredImages
from cxr_pipeline.pathologies import NEGATIVE, PATHOLOGIES, POSITIVE
from cxr_pipeline.storage.files import write_atomically, write_json
from cxr_pipeline.training.data.batches import Cohort

Kind = Literal["true_positive", "false_positive", "false_negative"]
INDEX = "explanations.json"
_SMALLEST_SIDE = 192  # pixels; smaller pictures are enlarged for the reader


@dataclass(frozen=True)
class Pick:
    """One picture to show: `row` of the scored images, and why."""

    row: int
    pathology: str
    kind: Kind
    probability: float
    label: int

    @property
    def class_index(self) -> int:
        return PATHOLOGIES.index(self.pathology)


def showable(cohort: Cohort, show_sources: list[str]) -> np.ndarray:
    """bool [n]: whether an image's pixels may go into a picture. Phantoms may; people's only where the user says so."""
    return cohort.is_phantom | np.isin(cohort.datasets.astype(str), show_sources)


def pick_images(scored: ScoredImages, thresholds: dict[str, float | None], *, per_class: int) -> list[Pick]:
    """Up to `per_class` pictures of each class and kind: the surest right answers and the worst errors.

    A true positive is a positive at or above the threshold, highest probability first; a false positive a negative
    at or above it, highest first; a false negative a positive below it, lowest first. Equal probabilities are
    ordered by image id. Unknown and uncertain labels, and classes without a threshold, give none.
    """
    by_id = np.argsort(scored.cohort.image_ids.astype(str), kind="stable")
    picks = []
    for i, pathology in enumerate(PATHOLOGIES):
        threshold = thresholds.get(pathology)
        if threshold is None:
            continue
        label, probability = scored.cohort.labels[:, i], scored.probabilities[:, i].astype(np.float64)
        called = probability >= threshold
        kinds: dict[Kind, tuple[np.ndarray, np.ndarray]] = {
            "true_positive": ((label == POSITIVE) & called, -probability),
            "false_positive": ((label == NEGATIVE) & called, -probability),
            "false_negative": ((label == POSITIVE) & ~called, probability),
        }
        for kind, (fitting, order) in kinds.items():
            rows = by_id[fitting[by_id]]
            rows = rows[np.argsort(order[rows], kind="stable")][:per_class]
            picks += [Pick(int(r), pathology, kind, float(probability[r]), int(label[r])) for r in rows]
    return picks


def overlay(pixels: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """uint8 BGR picture beside its overlay [h, 2w, 3], from grey uint8 [h, w] and heat in 0..1 of any size."""
    side = max(_SMALLEST_SIDE, *pixels.shape)
    grey = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_LINEAR)
    warm = cv2.resize(heat.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)
    plain = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    colours = cv2.applyColorMap((warm.clip(0, 1) * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    opacity = 0.65 * warm[..., None].clip(0, 1)
    return np.hstack([plain, np.rint(plain * (1 - opacity) + colours * opacity).astype(np.uint8)])


def write_explanations(
    folder: Path, scored: ScoredImages, picks: list[Pick], pixels: np.ndarray, heat: Sequence[np.ndarray]
) -> list[dict]:
    """Writes one PNG per pick and `explanations.json`, and returns what the JSON holds.

    `pixels` uint8 [picks, h, w] and `heat`, float32 maps of any size, are in the order of `picks`. PNG files that no
    pick names any more are deleted. File names carry no image or patient id.
    """
    entries = []
    for number, pick in enumerate(picks):
        name = f"{pick.pathology}_{pick.kind}_{_rank(picks, number)}.png"
        _write_png(folder / name, overlay(pixels[number], heat[number]))
        entries.append(_entry(scored.cohort, pick) | {"file": name})
    for stale in {path.name for path in folder.glob("*.png")} - {entry["file"] for entry in entries}:
        (folder / stale).unlink()
    write_json(folder / INDEX, entries)
    return entries


def _rank(picks: list[Pick], number: int) -> int:
    """1 for the first pick of its class and kind."""
    pick = picks[number]
    return sum(p.pathology == pick.pathology and p.kind == pick.kind for p in picks[: number + 1])


def _entry(cohort: Cohort, pick: Pick) -> dict:
    values = asdict(pick)
    row = values.pop("row")
    return values | {
        "image_id": str(cohort.image_ids[row]),
        "source": str(cohort.datasets[row]),
        "is_phantom": bool(cohort.is_phantom[row]),
    }


def _write_png(path: Path, picture: np.ndarray) -> None:
    _, encoded = cv2.imencode(".png", picture)
    write_atomically(path, lambda temporary: temporary.write_bytes(encoded.tobytes()))
