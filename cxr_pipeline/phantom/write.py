"""Writes a whole phantom collection into a folder, once, and marks the folder as phantoms."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2

from cxr_pipeline.datasets.files.folders import PHANTOM_MARKER
from cxr_pipeline.errors import PhantomError
from cxr_pipeline.phantom import chexpert, mimic, nih, openi, padchest, rexgradient, vindr
from cxr_pipeline.phantom.cohort import draw_patient
from cxr_pipeline.phantom.layout import Layout
from cxr_pipeline.phantom.render import RENDERER
from cxr_pipeline.storage.files import write_text

LAYOUTS: dict[str, Layout] = {
    "nih": nih.LAYOUT,
    "openi": openi.LAYOUT,
    "rexgradient": rexgradient.LAYOUT,
    "chexpert": chexpert.LAYOUT,
    "mimic": mimic.LAYOUT,
    "padchest": padchest.LAYOUT,
    "vindr": vindr.LAYOUT,
}
MAX_PATIENTS = 50_000  # beyond, patient numbers of CheXpert's train part would run into those of its valid part
PATIENTS_PER_TASK = 8
MIN_TASKS_FOR_PROCESSES = 8  # below this, starting processes takes longer than rendering

Progress = Callable[[int, int], None]
"""Called with the images written so far and the images in all."""


@dataclass(frozen=True)
class PhantomRequest:
    """Which collection to render: `size` is the height in pixels; the same request always gives the same bytes."""

    source: str
    patients: int
    seed: int
    size: int


def write_phantoms(
    request: PhantomRequest, root: Path, *, workers: int = 0, on_progress: Progress | None = None
) -> int:
    """Renders the collection into `root` in its source's layout; how many images it holds.

    Nothing is touched when `root` already holds exactly this request; phantoms of another request are replaced.
    `workers` processes share the work, 0 means one per core. Raises PhantomError for an unknown source, an
    impossible request, or a folder that holds anything but phantoms.
    """
    layout = _check(request)
    indices = range(request.patients)
    total = sum(layout.count_images(draw_patient(request.source, request.seed, index)) for index in indices)
    marker = root / PHANTOM_MARKER
    if marker.is_file() and marker.read_text(encoding="utf-8") == _marker_text(request, total, is_complete=True):
        return total
    _clear(root)
    # The marker comes first too: a run that was killed must never leave a folder that passes for real radiographs.
    _mark(root, layout, _marker_text(request, total, is_complete=False))
    rows: list[Any] = []
    for some in _write_images(request, root, workers or os.cpu_count() or 1):
        rows += some
        if on_progress:
            on_progress(len(rows), total)
    layout.write_tables(rows, root)
    _mark(root, layout, _marker_text(request, total, is_complete=True))
    return total


def _check(request: PhantomRequest) -> Layout:
    if request.source not in LAYOUTS:
        raise PhantomError(f"No phantoms of {request.source!r}. Expected one of {', '.join(LAYOUTS)}.")
    if not 1 <= request.patients <= MAX_PATIENTS or request.size < 16 or request.seed < 0:
        raise PhantomError(
            f"{request}: expected 1 to {MAX_PATIENTS} patients, at least 16 pixels, and a seed of 0 or more."
        )
    return LAYOUTS[request.source]


def _clear(root: Path) -> None:
    """Removes the phantoms of an earlier request; refuses to touch a folder that may hold anything else."""
    if not root.exists() or not any(root.iterdir()):
        return
    marker = root / PHANTOM_MARKER
    stated = re.search(r"^images: (\d+)$", marker.read_text(encoding="utf-8") if marker.is_file() else "", re.MULTILINE)
    if stated is None:
        raise PhantomError(f"{root} is not empty and has no {PHANTOM_MARKER}: expected an empty folder, name another.")
    patterns = [pattern for layout in LAYOUTS.values() for pattern in layout.entries]
    entries = [path for pattern in patterns for path in root.glob(pattern)]
    images = sum(path.suffix in (".png", ".jpg", ".dicom") for entry in entries for path in entry.rglob("*"))
    if images > int(stated[1]):  # someone unpacked real radiographs over the phantoms
        raise PhantomError(
            f"{root} holds {images} images, but its {PHANTOM_MARKER} speaks of {stated[1]}: expected phantoms only, "
            "it may hold real radiographs. Name another folder, or empty this one yourself."
        )
    for path in entries:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _mark(root: Path, layout: Layout, text: str) -> None:
    for folder in layout.roots:
        write_text(root / folder / PHANTOM_MARKER, text)


def _write_images(request: PhantomRequest, root: Path, workers: int) -> Iterator[list[Any]]:
    starts = range(0, request.patients, PATIENTS_PER_TASK)
    tasks = [range(start, min(start + PATIENTS_PER_TASK, request.patients)) for start in starts]
    if workers == 1 or len(tasks) < MIN_TASKS_FOR_PROCESSES:
        yield from (_write_some(request, root, indices) for indices in tasks)
        return
    # Spawned, not forked: the caller may have threads. One OpenCV thread each: the pictures are small.
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=cv2.setNumThreads, initargs=(1,)
    ) as pool:
        yield from pool.map(_write_some, *zip(*((request, root, indices) for indices in tasks), strict=True))


def _write_some(request: PhantomRequest, root: Path, indices: range) -> list[Any]:
    layout = LAYOUTS[request.source]
    patients = (draw_patient(request.source, request.seed, index) for index in indices)
    return [row for patient in patients for row in layout.write_patient(patient, root, request.size)]


def _marker_text(request: PhantomRequest, images: int, *, is_complete: bool) -> str:
    return f"""\
These are phantoms: rendered pictures, not radiographs of people.
cxr_pipeline drew them with a random generator. They say nothing about medicine, and nothing
about how well a model reads real radiographs.

source: {request.source}
patients: {request.patients}
images: {images}
seed: {request.seed}
size: {request.size}
renderer: {RENDERER}
complete: {"yes" if is_complete else "no"}
"""
