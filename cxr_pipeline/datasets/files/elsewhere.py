"""What lies where a release is expected: the release itself some folders below, or a copy that is not the release."""

import os
from collections import deque
from collections.abc import Collection, Iterator
from contextvars import ContextVar
from pathlib import Path

from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.errors import CxrError

MAX_DEPTH = 6  # folders below: `physionet.org/files/vindr-cxr/1.0.0/annotations` is five
MAX_FOLDERS = 2_000  # looked into; MIMIC's pictures alone lie in 300,000
_NAMED = 3  # releases in a message

_is_searching: ContextVar[bool] = ContextVar("is_searching", default=False)


def describe_elsewhere(dataset: Dataset, root: Path, names: Collection[str]) -> str | None:
    """A sentence on where below `root` one of `names` lies and which folder to name, or on what lies there instead.

    None where there is nothing of the source. A folder is that of the release where the source can be read from it:
    a `train.csv` may be CheXpert's or VinDr's. Names may hold `*`.
    """
    if _is_searching.get():  # by what is called below
        return None
    token = _is_searching.set(True)
    try:
        seen = list(_find_below(root, names))
        read = [_find_release(dataset, root, path) for path in seen]
    finally:
        _is_searching.reset(token)
    found = {folder: path for path, (folder, _) in zip(seen, read, strict=True) if folder}
    if found:
        return _name_releases(found)
    alike = next(_find_below(root, dataset.lookalikes), None)
    if alike:
        return f"{alike} {dataset.lookalikes[alike.name]}."
    return f"{seen[0]} is there, and the source cannot be read from its folder: {read[0][1]}" if seen else None


def _name_releases(found: dict[Path, Path]) -> str:
    if len(found) > 1:
        return f"{len(found)} folders below it hold the release: name one of {', '.join(map(str, [*found][:_NAMED]))}."
    folder, path = next(iter(found.items()))
    return f"{path} is there: name the folder {folder} of the release. Pictures are looked for below it, nowhere else."


def _find_release(dataset: Dataset, root: Path, path: Path) -> tuple[Path | None, str]:
    """The highest folder between `root` and `path` from which the source can be read; else why the lowest cannot be."""
    reason = ""
    for folder in reversed([above for above in path.parents if root in above.parents]):
        try:
            dataset.read_images(folder)
        except CxrError as error:
            reason = str(error)
        else:
            return folder, ""
    return None, reason


def _find_below(root: Path, names: Collection[str]) -> Iterator[Path]:
    """A file of one of `names` in each folder that has one, shallow folders first. What lies below such a folder is
    part of it."""
    waiting = deque([(root, 0)])
    entered: set[tuple[int, int]] = set()
    while waiting and len(entered) < MAX_FOLDERS:
        folder, depth = waiting.popleft()
        try:
            status, (files, folders) = folder.stat(), _list(folder)
        except OSError:  # a link that leads nowhere, a folder of somebody else
            continue
        if (status.st_dev, status.st_ino) in entered:
            continue
        entered.add((status.st_dev, status.st_ino))
        seen = _pick(folder, files, names)
        if seen:
            yield seen
        elif depth < MAX_DEPTH:
            waiting += [(folder / name, depth + 1) for name in folders]


def _list(folder: Path) -> tuple[dict[str, str], list[str]]:
    """The files of a folder, lower case -> name, and the folders in it that are not hidden."""
    with os.scandir(folder) as scanned:
        entries = sorted(((entry.name, entry.is_dir(), entry.is_file()) for entry in scanned), reverse=True)
    files = {name.lower(): name for name, _, is_file in entries if is_file}  # a link that leads nowhere is none
    return files, sorted(name for name, is_folder, _ in entries if is_folder and not name.startswith("."))


def _pick(folder: Path, files: dict[str, str], names: Collection[str]) -> Path | None:
    """The first of `names` in `folder`, in any case; with or without the folder that a name begins with."""
    for name in names:
        inner = next(folder.glob(name), None) if "/" in name else None
        if inner:
            return inner
        if (plain := name.rpartition("/")[2].lower()) in files:
            return folder / files[plain]
    return None
