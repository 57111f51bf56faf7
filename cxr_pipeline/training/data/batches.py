"""The cohort as arrays, its pixels in request order, and batches that wait for the network. Nothing is normalised."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cxr_pipeline.errors import StoreError, TableError, TrainingError
from cxr_pipeline.images.store.shards import ImageStore
from cxr_pipeline.pathologies import PATHOLOGIES, UNCERTAIN
from cxr_pipeline.training.config import TrainConfig

Augment = Callable[[np.ndarray, np.ndarray], np.ndarray]  # pixels uint8 [b, h, w], seeds uint32 [b] -> pixels
Batch = tuple[np.ndarray, np.ndarray]  # rows int64 [b], pixels uint8 [b, h, w]
_Read = Callable[[np.ndarray, np.ndarray | None], Batch]


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
    studies: np.ndarray  # int64 [n]: images of one study have the same number
    picture_shares: np.ndarray  # float32 [n]: 1 / images that show the same picture

    def __len__(self) -> int:
        return len(self.image_ids)

    def take(self, rows: np.ndarray) -> "Cohort":
        """The given rows (positions or a boolean mask), in that order."""
        return Cohort(**{name: column[rows] for name, column in vars(self).items()})

    def train_on(self, sources: Sequence[str]) -> "Cohort":
        """The view of a run on some sources: without the train and val images of the others; all of them when empty.

        A source without training images is external, and its val images are left out too: they would choose the epoch,
        the temperature and the thresholds by which it is measured.

        Raises TrainingError when the cohort has no image of one of them.
        """
        self.check_sources("train_on", sources)
        datasets = self.datasets.astype(str)
        is_named = np.isin(datasets, list(sources) or datasets)
        is_trained_on = np.isin(datasets, datasets[is_named & (self.splits == "train")])
        return self.take(is_trained_on | (self.splits == "test"))

    def check_sources(self, field: str, sources: Iterable[str]) -> None:
        """Raises TrainingError when the setting `field` names a source that the cohort has no image of: it is misspelt,
        and would do nothing."""
        absent = sorted(set(sources) - set(self.datasets))
        if absent:
            raise TrainingError(
                f"{field} names {', '.join(absent)}, of which the cohort has no image: expected some of "
                f"{', '.join(sorted(set(self.datasets)))}."
            )

    def select(self, split: str) -> "Cohort":
        """The images of one split, in file order."""
        return self.take(self.splits == split)


def read_cohort(path: Path) -> Cohort:
    """The cohort Parquet at `path`; raises TableError when it is absent, unreadable or lacks a column."""
    if not path.is_file():
        raise TableError(f"No cohort at {path}: materialize the asset split/cohort first.")
    columns = ["image_id", "patient_id", "dataset", "split", "is_phantom", "study_id", "weight"]
    columns += [*PATHOLOGIES, "reader_share"]
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
        studies=table["study_id"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64),
        picture_shares=_numbers(table["weight"]),
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

    @property
    def sources(self) -> list[str]:
        """The datasets whose stores are read, sorted."""
        return [store.folder.name for store in self._stores]

    def count_shrunk(self) -> int:
        """How many of the images were larger than they are stored, as `ImageStore.count_shrunk` has it."""
        own = (self._position[self._store == number] for number in range(len(self._stores)))
        return sum(store.count_shrunk(rows) for store, rows in zip(self._stores, own, strict=True))

    def read(self, rows: np.ndarray) -> np.ndarray:
        """uint8 [n, size, size]: the pixels of these rows of the cohort, in the order asked for."""
        pixels = np.empty((len(rows), self.size, self.size), dtype=np.uint8)
        for number in np.unique(self._store[rows]):
            own = self._store[rows] == number
            pixels[own] = self._stores[number].read(self._position[rows[own]])
        return pixels


SOFT_UNCERTAIN = 0.7  # the middle of the interval 0.55-0.85 of Pham et al. 2021, arXiv 1911.06475, section 3.2.2


def targets(labels: np.ndarray, shares: np.ndarray, config: TrainConfig) -> tuple[np.ndarray, np.ndarray]:
    """(float32 [n, 14] targets in 0..1, bool [n, 14] mask of the cells to learn from).

    Unknown cells are never learnt from. Uncertain ones count as 1, as 0, as SOFT_UNCERTAIN or not at all, per class,
    as `config` says. Where the votes of several readers were kept, their share is the target, whatever the label.
    """
    policies = {1.0: config.uncertain_as_one, 0.0: config.uncertain_as_zero, SOFT_UNCERTAIN: config.uncertain_as_soft}
    meaning = np.full(len(PATHOLOGIES), np.nan, dtype=np.float32)
    for value, names in policies.items():
        meaning[np.isin(PATHOLOGIES, names)] = value
    values = np.where(labels == UNCERTAIN, meaning, labels)
    values = np.where(np.isnan(labels) | np.isnan(shares), values, shares)
    mask = ~np.isnan(values)
    smoothed = values * (1 - config.label_smoothing) + config.label_smoothing / 2
    return np.where(mask, smoothed, np.float32(0)).astype(np.float32), mask


def cell_weights(cohort: Cohort, mask: np.ndarray, config: TrainConfig) -> np.ndarray:
    """float32 [n, 14]: what each cell weighs in the loss, by class, source and image; 0 where `mask` is false."""
    of_class = np.array([config.class_weights.get(name, 1.0) for name in PATHOLOGIES])
    of_source = np.array([config.source_weights.get(name, 1.0) for name in cohort.datasets])
    of_image = _image_shares(cohort, config.weigh)
    return (mask * of_class * (of_source * of_image)[:, None]).astype(np.float32)


def _image_shares(cohort: Cohort, unit: str) -> np.ndarray:
    """[n]: which part of an image, a picture or a study, each of which weighs one, the images are."""
    if unit == "studies":
        _, studies, sizes = np.unique(cohort.studies, return_inverse=True, return_counts=True)
        return 1 / sizes[studies]
    return cohort.picture_shares if unit == "pictures" else np.ones(len(cohort))


class Loader:
    """Reads and augments batches ahead of the network, in threads or processes that live until `close`.

    Threads read a memory map twelve times faster than processes hand it over (measured), which is what a CPU wants. But
    they share one interpreter with the program: on an H100 at 224 pixels they held up the launching of kernels by a
    quarter. Processes are spawned, since a fork would copy locks that other threads hold; `augment` must be picklable.
    """

    def __init__(
        self, images: CohortImages, augment: Augment | None = None, *, workers: int = 1, processes: bool = False
    ) -> None:
        self.images = images
        self.workers = workers
        self._read: _Read = partial(_read, images, augment)
        self._pool: Executor = ThreadPoolExecutor(workers, thread_name_prefix="batches")
        if processes:
            self._read = _read_in_process
            spawn = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(workers, spawn, initializer=_start_process, initargs=(images, augment))

    def batches(self, order: np.ndarray, *, batch_size: int, seeds: np.ndarray | None = None) -> Iterator[Batch]:
        """The images in `order` [n], batch by batch; the last may be smaller. Without seeds they are as stored.

        Each is augmented by its own of the `seeds` uint32 [n], so neither workers nor batch size change a pixel.
        Raises StoreError as `CohortImages.read` does, and TrainingError when a loader process ends.
        """
        ahead: deque[Future[Batch]] = deque()
        try:
            for start in range(0, len(order), batch_size):
                part = slice(start, start + batch_size)
                ahead.append(self._pool.submit(self._read, order[part], None if seeds is None else seeds[part]))
                if len(ahead) > self.workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        except BrokenProcessPool as error:
            raise TrainingError(
                f"A loader process ended ({error}), perhaps for want of memory: lower `loader_workers`, or set "
                "`loader` to `threads`."
            ) from error
        finally:
            for future in ahead:
                future.cancel()

    def close(self) -> None:
        """Ends the threads or processes."""
        self._pool.shutdown(cancel_futures=True)


def _read(images: CohortImages, augment: Augment | None, rows: np.ndarray, seeds: np.ndarray | None) -> Batch:
    pixels = images.read(rows)
    return rows, pixels if augment is None or seeds is None else augment(pixels, seeds)


_READ: list[_Read] = []  # of a loader process: its images, opened once


def _start_process(images: CohortImages, augment: Augment | None) -> None:
    """One core; and it ends with its parent, even one killed with -9, which the pool alone does not see.

    A Ctrl-C, `timeout` or Slurm's warning reaches all of a group: the parent saves, and needs its loaders until then.
    """
    import cv2

    os.setpgrp()
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    cv2.setNumThreads(1)
    _READ.append(partial(_read, images, augment))
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _read_in_process(rows: np.ndarray, seeds: np.ndarray | None) -> Batch:
    return _READ[0](rows, seeds)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _text(column: pa.ChunkedArray) -> np.ndarray:
    """Polars writes enums as dictionaries: cast before they become Python strings."""
    return column.cast(pa.large_string()).to_numpy().astype(object)


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """float32 with NaN for null."""
    return column.cast(pa.float32()).to_numpy()
