"""The image store: reads per codec, bytes against PNG, the whole step on all cores, a run that finds little to do.

Pixels are real NIH images at 384 x 384, the page cache is warm. CPU seconds count every process and thread; wall
seconds mean something on a quiet machine alone, and so does the efficiency of the step by the wall clock. The machine
decides the rates, the ratios compare. Run by `make bench`, or `python benchmarks/image_store.py`.
"""

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl

from cxr_pipeline.images.prepare.cluster import Cluster
from cxr_pipeline.images.prepare.digests import forget_digests
from cxr_pipeline.images.prepare.step import prepare_images
from cxr_pipeline.images.store.codecs import CODECS, encode
from cxr_pipeline.images.store.shards import ImageStore, StoreForm, write_shard

NIH = Path(__file__).parents[1].parent / "shared" / "data" / "nih"
SIZE, BATCH, RUNS = 384, 64, 5
COPIES = 8  # of each file, for a step that is longer than its start
CORES = len(os.sched_getaffinity(0))


def main() -> None:
    paths = sorted(NIH.glob("images_*/images/*.png"))
    if not paths:
        print(f"no real images at {NIH}: nothing to measure")
        return
    cv2.setNumThreads(1)
    originals = (cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths)
    images = np.stack([cv2.resize(each, (SIZE, SIZE), interpolation=cv2.INTER_AREA) for each in originals])
    print(f"{len(images)} NIH images, {SIZE} x {SIZE}, {CORES} cores")
    with tempfile.TemporaryDirectory() as folder:
        compare_codecs(Path(folder), images)
        measure_step(Path(folder), paths)


def compare_codecs(folder: Path, images: np.ndarray) -> None:
    """Bytes as a share of per-file PNG (OpenCV's default level), and batches of 64 in random order."""
    png = sum(len(cv2.imencode(".png", image)[1]) for image in images)
    order = np.concatenate([np.random.default_rng(seed).permutation(len(images)) for seed in range(8)])
    copy = np.empty_like(images[:BATCH])
    limit = per_image(lambda rows: copy_each(images, rows, copy[: len(rows)]), order)
    print(f"codec  KiB/image  of PNG   write us   read us  images/s/core   (plain copies: {1e6 / limit:,.0f} images/s)")
    for codec in CODECS:
        store = write_store(folder / codec, images, codec)
        size = (folder / codec / "a.arrow").stat().st_size
        write = (
            min(cpu_of(lambda codec=codec: [encode(image, codec) for image in images]) for _ in range(RUNS))
            / len(images)
            * 1e6
        )
        read = per_image(store.read, order)
        share = f"{size / len(images) / 1024:9.1f} {size / png:8.3f}"
        print(f"{codec:5s} {share} {write:10.0f} {read:9.1f} {1e6 / read:14,.0f}")


def measure_step(folder: Path, paths: list[Path]) -> None:
    """The whole step, from files to an index: one process against a local cluster of one process per core."""
    root = folder / "source"
    root.mkdir()
    table = add_files(root, [f"{copy}-{path.name}" for copy in range(COPIES) for path in paths], paths)
    alone, alone_wall = timed(lambda: prepare_alone(table, root, folder / "one"))
    idle, _ = timed(start_and_stop)
    walls: list[float] = []
    spread, _ = timed(lambda: walls.append(prepare_on_cluster(table, root, folder / "many")))
    print(f"whole step, {table.height} files     CPU s   wall s   images/s")
    print(f"  one process            {alone:8.2f} {alone_wall:8.2f} {table.height / alone_wall:10.0f}")
    print(f"  cluster of {CORES} processes {spread - idle:8.2f} {walls[0]:8.2f} {table.height / walls[0]:10.0f}")
    print(
        f"  efficiency: {alone / (spread - idle):.2f} by CPU, {alone_wall / walls[0] / CORES:.2f} of cores x one "
        f"process by the wall; starting and stopping the cluster takes {idle:.1f} CPU s"
    )
    more = pl.concat([table, add_files(root, [f"new-{number}.png" for number in range(table.height // 100)], paths)])
    for title, change in {
        "1 % new images (bar 3 %)": lambda: None,
        "nothing new": lambda: None,
        "nothing new, all read": lambda: forget_digests(folder / "one"),
    }.items():
        change()
        again, again_wall = timed(lambda: prepare_alone(more, root, folder / "one"))
        shares = f"{again / alone:.2%} of the first build's CPU, {again_wall / alone_wall:.2%} of its wall seconds"
        print(f"  {title:25s}{again:6.2f} {again_wall:8.2f}   {shares}")


def add_files(root: Path, names: list[str], paths: list[Path]) -> pl.DataFrame:
    """Links `names` to `paths`, over and over, and makes their image table."""
    for name, path in zip(names, cycle(paths), strict=False):
        (root / name).symlink_to(path)
    return pl.DataFrame({"image_id": [f"nih/{name}" for name in names], "path": names})


def prepare_alone(table: pl.DataFrame, root: Path, folder: Path) -> None:
    prepare_images(table, root, folder, form=StoreForm(SIZE), cluster=OneProcess())


class OneProcess(Cluster):
    """Computes here, one after the other."""

    def map(self, function: Callable[[Any], Any], items: Any, *, batch_size: int) -> Any:  # noqa: ARG002
        yield from map(function, items)


def exhaust(loaded: Iterator[Any]) -> None:
    for _ in loaded:
        pass


def write_store(folder: Path, images: np.ndarray, codec: Any) -> ImageStore:
    names = [str(number) for number in range(len(images))]
    frames = [encode(image, codec) for image in images]
    write_shard(folder / "a.arrow", names, frames, StoreForm(images.shape[1], codec), pixel_rules=1)
    index = pl.DataFrame({"image_id": names, "shard": ["a.arrow"] * len(names), "row": range(len(names))})
    index.with_columns(pl.col("row").cast(pl.Int32)).write_parquet(folder / "index.parquet")
    return ImageStore(folder)


def copy_each(images: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
    for image, row in zip(out, rows.tolist(), strict=True):
        image[:] = images[row]


def prepare_on_cluster(table: pl.DataFrame, root: Path, folder: Path) -> float:
    """Wall seconds, without the cluster's start."""
    with Cluster(workers=CORES) as cluster:
        list(cluster.map(abs, range(CORES), batch_size=1))
        started = time.perf_counter()
        prepare_images(table, root, folder, form=StoreForm(SIZE), cluster=cluster)
        return time.perf_counter() - started


def start_and_stop() -> None:
    with Cluster(workers=CORES) as cluster:
        list(cluster.map(import_decoders, range(CORES), batch_size=1))


def import_decoders(_: int) -> None:
    import cxr_pipeline.images.prepare.decoding  # noqa: F401


def per_image(read: Callable[[np.ndarray], Any], order: np.ndarray) -> float:
    """Microseconds of CPU for an image, the least of some runs over `order` in whole batches."""
    cuts = [order[start : start + BATCH] for start in range(0, len(order) - BATCH + 1, BATCH)]
    seconds = [cpu_of(lambda: exhaust(map(read, cuts))) for _ in range(RUNS)]
    return min(seconds) / (len(cuts) * BATCH) * 1e6


def cpu_of(call: Callable[[], Any]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


def timed(call: Callable[[], Any]) -> tuple[float, float]:
    """CPU seconds, those of processes that ended meanwhile included, and wall seconds."""
    wall, cpu = time.perf_counter(), cpu_seconds()
    call()
    return cpu_seconds() - cpu, time.perf_counter() - wall


def cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


if __name__ == "__main__":
    sys.exit(main())
