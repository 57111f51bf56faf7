"""The cohort as arrays, its pixels in request order, and batches that wait for the network. Nothing is normalised."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cxr_pipeline.errors import StoreError, TableError
from cxr_pipeline.images.store import ImageStore
from cxr_pipeline.pathologies import PATHOLOGIES, UNCERTAIN
from cxr_pipeline.training.config import TrainConfig

Augment = Callable[[np.ndarray, int], np.ndarray]


@dataclass(frozen=True)
class Cohort:
    """Columns of the cohort Parquet, one entry per image, in file order."""

    image_ids: np.ndarray  # str objects [n]
    patient_ids: np.ndarray  # str objects [n]; never to a log
    datasets: np.ndarray  # str objects [n]
    splits: np.ndarray  # str objects [n]: train, val or test
    labels: np.ndarray  # float32 [n, 14]: 1, 0, -1 uncertain, NaN unknown
    shares: np.ndarray  # float32 [n, 14]: which part of the readers sees the class; NaN where no votes were kept
    is_phantom: np.ndarray  # bool [n]

    def __len__(self) -> int:
        return len(self.image_ids)

    def take(self, rows: np.ndarray) -> "Cohort":
        """The given rows (positions or a boolean mask), in that order."""
        return Cohort(**{name: column[rows] for name, column in vars(self).items()})

    def select(self, split: str) -> "Cohort":
        """The images of one split, in file order."""
        return self.take(self.splits == split)


def read_cohort(path: Path) -> Cohort:
    """The cohort Parquet at `path`; raises TableError when it is absent, unreadable or lacks a column."""
    if not path.is_file():
        raise TableError(f"No cohort at {path}: materialize the asset split/cohort first.")
    columns = ["image_id", "patient_id", "dataset", "split", "is_phantom", *PATHOLOGIES, "reader_share"]
    try:
        table = pq.ParquetFile(path).read(columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise TableError(f"{path} is not a readable Parquet file ({error}): make split/cohort again.") from error
    missing = sorted(set(columns) - set(table.column_names))
    if missing:
        raise TableError(f"{path} lacks the columns {', '.join(missing)}: make split/cohort again.")
    return Cohort(
        image_ids=_text(table["image_id"]),
        patient_ids=_text(table["patient_id"]),
        datasets=_text(table["dataset"]),
        splits=_text(table["split"]),
        labels=np.stack([_numbers(table[name]) for name in PATHOLOGIES], axis=1),
        shares=np.stack([_numbers(pc.struct_field(table["reader_share"], name)) for name in PATHOLOGIES], axis=1),
        is_phantom=table["is_phantom"].to_numpy().astype(bool),
    )


class CohortImages:
    """The pixels of a cohort's images, read in batches across the stores `<images_root>/<dataset>`.

    Raises StoreError when a store is absent, lacks an image, or when the stores differ in size. Safe to read from
    several threads.
    """

    def __init__(self, cohort: Cohort, images_root: Path) -> None:
        names = sorted(set(cohort.datasets))
        self._stores = [ImageStore(images_root / name) for name in names]
        sizes = {name: store.size for name, store in zip(names, self._stores, strict=True)}
        if len(set(sizes.values())) != 1:
            raise StoreError(f"Stores under {images_root} have the sizes {sizes}: expected one; prepare them alike.")
        self.size: int = self._stores[0].size
        self._store = np.searchsorted(np.array(names, dtype=object), cohort.datasets)
        self._position = np.empty(len(cohort), dtype=np.int64)
        for number, store in enumerate(self._stores):
            own = self._store == number
            self._position[own] = store.locate(cohort.image_ids[own].tolist())

    def __len__(self) -> int:
        return len(self._position)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """uint8 [n, size, size]: the pixels of these rows of the cohort, in the order asked for."""
        pixels = np.empty((len(rows), self.size, self.size), dtype=np.uint8)
        for number in np.unique(self._store[rows]):
            own = self._store[rows] == number
            pixels[own] = self._stores[number].read(self._position[rows[own]])
        return pixels


def targets(labels: np.ndarray, shares: np.ndarray, config: TrainConfig) -> tuple[np.ndarray, np.ndarray]:
    """(float32 [n, 14] targets in 0..1, bool [n, 14] mask of the cells to learn from).

    Unknown cells are never learnt from. Uncertain ones count as 1, as 0 or not at all, per class, as `config` says.
    Where the votes of several readers were kept, their share is the target, whatever the label.
    """
    ones, zeros = (np.isin(PATHOLOGIES, names) for names in (config.uncertain_as_one, config.uncertain_as_zero))
    uncertain = labels == UNCERTAIN
    values = np.where(uncertain, ones, labels).astype(np.float32)
    voted = ~np.isnan(shares)
    mask = ~np.isnan(labels) & (~uncertain | ones | zeros | voted)
    return np.where(mask, np.where(voted, shares, values), np.float32(0)), mask


def shuffled(n: int, *, seed: int, epoch: int) -> np.ndarray:
    """int64 [n]: the order of `epoch`, the same for the same seed whatever happened before."""
    return np.random.default_rng((seed, epoch)).permutation(n)


def batches(
    images: CohortImages,
    order: np.ndarray,
    *,
    batch_size: int,
    augment: Augment | None = None,
    seed: Sequence[int] = (0,),
    threads: int = 1,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(rows int64 [b], pixels uint8 [b, size, size]) in `order`; the last batch may be smaller.

    Threads read and augment the next batches while the network runs: worker processes are twelve times slower on a
    memory map (measured). Each batch is augmented with its own seed, so the number of threads changes no pixel.
    """
    cuts = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    seeds = np.random.SeedSequence(seed).generate_state(max(len(cuts), 1))

    def load(number: int) -> tuple[np.ndarray, np.ndarray]:
        pixels = images.read(cuts[number])
        return cuts[number], pixels if augment is None else augment(pixels, int(seeds[number]))

    with ThreadPoolExecutor(threads, thread_name_prefix="batches") as pool:
        ahead: deque[Future[tuple[np.ndarray, np.ndarray]]] = deque()
        for number in range(len(cuts)):
            ahead.append(pool.submit(load, number))
            if len(ahead) > threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _text(column: pa.ChunkedArray) -> np.ndarray:
    """Polars writes enums as dictionaries: cast before they become Python strings."""
    return column.cast(pa.large_string()).to_numpy().astype(object)


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """float32 with NaN for null."""
    return column.cast(pa.float32()).to_numpy()
