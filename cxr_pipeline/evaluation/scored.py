"""The evaluated images: what the sources say of them beside what the checkpoint says. No metric lives here."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cxr_pipeline.errors import TableError
from cxr_pipeline.pathologies import NEGATIVE, PATHOLOGIES, POSITIVE
from cxr_pipeline.training.data.batches import Cohort, read_cohort

SPLIT_ORDER = ("test", "val", "train")


@dataclass(frozen=True)
class ScoredImages:
    """n images of a cohort, in its order, and float32 [n, 14] probabilities in the order of PATHOLOGIES."""

    cohort: Cohort
    probabilities: np.ndarray

    def __len__(self) -> int:
        return len(self.cohort)

    def split_names(self) -> tuple[str, ...]:
        """The splits that are there, test first."""
        return tuple(split for split in SPLIT_ORDER if (self.cohort.splits == split).any())

    def source_names(self, split: str) -> list[str]:
        return sorted(set(self.cohort.datasets[self.cohort.splits == split]))

    def take(self, rows: np.ndarray) -> "ScoredImages":
        """The given rows (positions or a boolean mask), in that order."""
        return ScoredImages(self.cohort.take(rows), self.probabilities[rows])

    def select(self, split: str, source: str | None = None) -> "ScoredImages":
        """The images of one split, and of one source when it is named."""
        keep = self.cohort.splits == split
        return self.take(keep if source is None else keep & (self.cohort.datasets == source))


def known_labels(labels: np.ndarray) -> np.ndarray:
    """bool, of the same shape: neither unknown (NaN) nor uncertain (-1)."""
    return (labels == POSITIVE) | (labels == NEGATIVE)


def read_scored(cohort: Path, predictions: Path) -> ScoredImages:
    """Joins `predictions.parquet` to the cohort by image; raises TableError when they do not fit."""
    images, scores = read_cohort(cohort), _read_predictions(predictions)
    predicted = scores["image_id"].cast(pa.large_string()).to_pylist()
    row = {image_id: i for i, image_id in enumerate(images.image_ids)}
    missing = [image_id for image_id in predicted if image_id not in row]
    if missing:
        raise TableError(
            f"{predictions}: {len(missing)} of {len(predicted)} images are not in the cohort {cohort}, {missing[0]} "
            "among them. Materialize evaluation/predictions again for this cohort."
        )
    rows = np.array([row[image_id] for image_id in predicted], dtype=np.int64)
    probabilities = np.stack([scores[name].to_numpy() for name in PATHOLOGIES], axis=1)
    order = np.argsort(rows)
    return ScoredImages(images.take(rows[order]), probabilities[order])


def _read_predictions(path: Path) -> pa.Table:
    if not path.is_file():
        raise TableError(f"No predictions at {path}: materialize the asset evaluation/predictions first.")
    try:
        table = pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        raise TableError(f"{path} is not a readable Parquet file ({error}): predict again.") from error
    missing = {"image_id", *PATHOLOGIES} - set(table.column_names)
    if missing:
        raise TableError(f"{path} lacks the columns {', '.join(sorted(missing))}: predict again.")
    return table
