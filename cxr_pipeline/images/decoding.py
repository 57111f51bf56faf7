"""Many image files, decoded in processes that may die: what each file gave, in order. Shards do not live here."""

import hashlib
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
import numpy.typing as npt

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.hashing import difference_hash
from cxr_pipeline.images.letterbox import letterbox
from cxr_pipeline.images.pixels import Radiograph, decode_radiograph, read_file

BATCH_FILES = 16  # a task of one process; also what is decoded again, file by file, after a crash


@dataclass(frozen=True)
class Decoded:
    """What became of one file: the columns of `tables.StoreIndex` that it decides, and its pixels if it has any."""

    source_bytes: int
    source_digest: str  # empty where the file could not be read
    quarantine: str | None = None
    pixels: npt.NDArray[np.uint8] | None = None  # [size, size]
    source_height: int | None = None
    source_width: int | None = None
    source_mode: str | None = None
    dhash: bytes | None = None
    mean: float | None = None
    spread: float | None = None


Decode = Callable[[Path, int], Decoded]


def decode_file(path: Path, size: int) -> Decoded:
    """Reads, digests and decodes one file; a file that cannot be used is returned with its reason, never raised."""
    try:
        data = read_file(path)
    except ImageError as error:
        return Decoded(0, "", error.reason)
    digest = hashlib.sha256(data).hexdigest()
    try:
        radiograph = decode_radiograph(data, size=size)
    except ImageError as error:
        return Decoded(len(data), digest, error.reason)
    return _measure(radiograph, len(data), digest)


def decode_files(
    paths: Sequence[Path], *, size: int, workers: int = 0, decode: Decode = decode_file
) -> Generator[Decoded, None, None]:
    """One `Decoded` for each of `paths`, in their order, whatever the number of processes (0: one per core).

    At most a few batches per process are held at once. Up to BATCH_FILES files are decoded in this process, where a
    crash of the decoder would end it; otherwise such a file comes back with the reason `decoder_crash`. Close the
    generator to stop the processes early.
    """
    if len(paths) <= BATCH_FILES:
        yield from _decode_batch(paths, size, decode)
        return
    waiting: deque[tuple[Sequence[Path], Future[list[Decoded]]]] = deque()
    with _Decoders(size, workers or os.cpu_count() or 1, decode) as decoders:
        for start in range(0, len(paths), BATCH_FILES):
            batch = paths[start : start + BATCH_FILES]
            waiting.append((batch, decoders.submit(batch)))
            if len(waiting) > 3 * decoders.workers:
                yield from decoders.result(*waiting.popleft())
        while waiting:
            yield from decoders.result(*waiting.popleft())


class _Decoders:
    """A process pool that goes on after a file has killed one of its processes.

    Processes are spawned: callers may hold threads, whose locks a fork would copy in a locked state.
    """

    def __init__(self, size: int, workers: int, decode: Decode) -> None:
        self.size, self.workers, self.decode = size, workers, decode
        self.pool = self._start(workers)

    def __enter__(self) -> "_Decoders":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.pool.shutdown(cancel_futures=True)

    def submit(self, batch: Sequence[Path]) -> Future[list[Decoded]]:
        try:
            return self.pool.submit(_decode_batch, batch, self.size, self.decode)
        except BrokenProcessPool:
            self.pool = self._start(self.workers)
            return self.pool.submit(_decode_batch, batch, self.size, self.decode)

    def result(self, batch: Sequence[Path], future: Future[list[Decoded]]) -> list[Decoded]:
        """The batch's files; every batch that was in flight when the pool broke is decoded again, file by file."""
        try:
            return future.result()
        except BrokenProcessPool:
            return self._decode_singly(batch)

    def _decode_singly(self, batch: Sequence[Path]) -> list[Decoded]:
        pool, decoded = self._start(1), []
        for path in batch:
            try:
                decoded.append(pool.submit(self.decode, path, self.size).result())
            except BrokenProcessPool:
                decoded.append(_crashed(path))
                pool = self._start(1)
        pool.shutdown()
        return decoded

    @staticmethod
    def _start(workers: int) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(workers, context, initializer=_start_process)


def _start_process() -> None:
    """One core per process; and it ends with its parent, even one killed with -9, which the pool alone does not see."""
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _decode_batch(paths: Sequence[Path], size: int, decode: Decode) -> list[Decoded]:
    return [decode(path, size) for path in paths]


def _crashed(path: Path) -> Decoded:
    try:
        data = read_file(path)
    except ImageError as error:
        return Decoded(0, "", error.reason)
    return Decoded(len(data), hashlib.sha256(data).hexdigest(), "decoder_crash")


def _measure(radiograph: Radiograph, source_bytes: int, digest: str) -> Decoded:
    pixels = radiograph.pixels
    box = letterbox(radiograph.source_height, radiograph.source_width, size=len(pixels))
    return Decoded(
        source_bytes=source_bytes,
        source_digest=digest,
        pixels=pixels,
        source_height=radiograph.source_height,
        source_width=radiograph.source_width,
        source_mode=radiograph.source_mode,
        dhash=difference_hash(box.content(pixels)),
        mean=float(pixels.mean()),
        spread=float(pixels.std()),
    )
