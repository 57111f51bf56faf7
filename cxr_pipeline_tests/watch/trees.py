"""A small source on disk whose times are set by hand, and looks at it."""

import itertools
import os
import shutil
import time
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.watch import Budget, Disk, Look, look, open_memory

TINY = Budget(cpu_seconds=0, work_cpu_seconds=0, wall_seconds=0)  # one batch of each kind
NIH = DATASETS["nih"]


class Clock:
    """Later than all that a test writes, so that nothing is too young to be sure of."""

    def __init__(self, ahead: float = 100.0) -> None:
        self.ahead = ahead

    def __call__(self) -> float:
        return time.time() + self.ahead


class Tree:
    """Files below `root`. Every change gives the file and its folder times of their own: a file system's may not."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._times = itertools.count(1_600_000_000_000_000_000, 1_000_000_000)
        root.mkdir()

    def write(self, name: str, data: bytes = b"") -> Path:
        path = self.root / name
        is_new = not path.exists()
        for folder in reversed(path.relative_to(self.root).parents):
            if not (self.root / folder).is_dir():
                (self.root / folder).mkdir()
                self.touch((self.root / folder).parent)
        path.write_bytes(data)
        self.touch(path)
        if is_new:
            self.touch(path.parent)
        return path

    def remove(self, name: str) -> None:
        path = self.root / name
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        self.touch(path.parent)

    def move(self, name: str, target: str) -> None:
        (self.root / name).rename(self.root / target)
        self.touch((self.root / name).parent)
        self.touch((self.root / target).parent)

    def link(self, name: str, target: Path) -> None:
        (self.root / name).symlink_to(target)
        self.touch((self.root / name).parent)

    def touch(self, path: Path) -> None:
        now = next(self._times)
        os.utime(path, ns=(now, now))


def look_once(
    memory: Path, root: Path, *, budget: Budget | None = None, since: int = 0, disk: Disk | None = None
) -> Look:
    with open_memory(memory) as opened:
        return look(opened, NIH, root, budget=budget, since=since, disk=disk or Disk(now=Clock()))


def look_until_complete(
    memory: Path, root: Path, *, budget: Budget, disk: Disk | None = None, most: int = 500
) -> list[Look]:
    """All looks; the last one is complete, or the `most`th."""
    looks: list[Look] = []
    while len(looks) < most and not (looks and looks[-1].is_complete):
        looks.append(look_once(memory, root, budget=budget, disk=disk))
    return looks


def small_batches() -> ExitStack:
    """A few files and folders at a time, so that a small tree needs many looks."""
    stack = ExitStack()
    sizes = {"files._BATCH": 3, "files._TURN_MOST": 3, "folders._LISTED": 2, "folders._CLEARED": 1}
    for name, size in {**sizes, "folders.BLOCK": 2, "survey.BLOCK": 2, "folders._SHALLOW_MOST": 2}.items():
        stack.enter_context(mock.patch(f"cxr_pipeline.watch.{name}", size))
    return stack
