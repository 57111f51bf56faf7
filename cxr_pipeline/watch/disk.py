"""Asks the file system, with many threads where each answer takes long (NFS). What the answers mean is not here."""

import errno
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from cxr_pipeline.watch.budget import Meter
from cxr_pipeline.watch.kinds import Kind, Kinds

Item = TypeVar("Item")
Answer = TypeVar("Answer")

ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})  # also: a link that leads nowhere, or to itself
_SLOW_SECONDS = 100e-6  # of waiting per question; a local disk answers in 2e-6
_THREADS = 16
_CHUNK = 32
_PROBE = 8
_SLOW_TIMES = 2
_MASK = 2**63 - 1  # SQLite's integers are signed


@dataclass(frozen=True)
class Disk:
    """The calls to the file system and its clock, for tests and benchmarks to take the place of."""

    stat: Callable[[bytes], os.stat_result] = os.stat
    scan: Callable[[bytes], AbstractContextManager[Iterator[os.DirEntry[bytes]]]] = os.scandir
    now: Callable[[], float] = time.time


class Entry(NamedTuple):
    """A name in a folder. What has a suffix of ours is taken for a file until it is stat'ed: a listing over NFS may
    not say, and a folder holds 112,120 pictures."""

    name: bytes
    inode: int
    kind: Kind | None  # None: a folder, or a link that may lead to one
    is_link: bool


class Visit(NamedTuple):
    """What a folder says: an error, that it is as it was (no entries), or its entries."""

    status: os.stat_result | None
    entries: list[Entry] | None
    error: int = 0


class Answered(NamedTuple):
    """Of one file."""

    status: os.stat_result | None
    error: int = 0


def mark_of(status: os.stat_result) -> int:
    """Changes with the modification and with the change time: a program may set back the first (tar, rsync)."""
    return (status.st_mtime_ns * 31 + status.st_ctime_ns) & _MASK


def visit(disk: Disk, kinds: Kinds, path: bytes, mark: int | None) -> Visit:
    """Lists the folder unless its mark is the known one."""
    try:
        status = disk.stat(path)
        if mark is not None and mark == mark_of(status):
            return Visit(status, None)
        with disk.scan(path) as entries:
            return Visit(status, [*_watched(entries, kinds)])
    except OSError as error:
        return Visit(None, None, error.errno or errno.EIO)


def ask(disk: Disk, path: bytes) -> Answered:
    """Stats one file."""
    try:
        return Answered(disk.stat(path))
    except OSError as error:
        return Answered(None, error.errno or errno.EIO)


class Pool:
    """Asks one question after another, and sixteen at once while the answers prove slow."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._threads: ThreadPoolExecutor | None = None
        self._slow = 0  # times in a row; once may be a busy processor

    def map(self, question: Callable[[Item], Answer], items: Sequence[Item]) -> list[Answer]:
        """The answers in the order of the items."""
        answers = self._ask_in_turn(question, items[:_PROBE])
        while len(answers) < len(items) and self._slow < _SLOW_TIMES:
            size = _PROBE if self._slow else _CHUNK
            answers += self._ask_in_turn(question, items[len(answers) : len(answers) + size])
        rest = items[len(answers) :]
        return answers + self._ask_at_once(question, rest) if rest else answers

    def close(self) -> None:
        if self._threads:
            self._threads.shutdown()

    def _ask_in_turn(self, question: Callable[[Item], Answer], items: Sequence[Item]) -> list[Answer]:
        wall, cpu = time.perf_counter(), time.thread_time()
        answers = [question(item) for item in items]
        waited = (time.perf_counter() - wall) - (time.thread_time() - cpu)
        self._slow = self._slow + 1 if waited > _SLOW_SECONDS * len(answers) else 0
        return answers

    def _ask_at_once(self, question: Callable[[Item], Answer], items: Sequence[Item]) -> list[Answer]:
        self._threads = self._threads or ThreadPoolExecutor(_THREADS, thread_name_prefix="watch")
        chunks = [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
        answered = self._threads.map(lambda chunk: self._ask_and_count(question, chunk), chunks)
        return [answer for some in answered for answer in some]

    def _ask_and_count(self, question: Callable[[Item], Answer], items: Iterable[Item]) -> list[Answer]:
        cpu = time.thread_time()
        answers = [question(item) for item in items]
        self._meter.add_helper(time.thread_time() - cpu)
        return answers


def _watched(entries: Iterable[os.DirEntry[bytes]], kinds: Kinds) -> Iterator[Entry]:
    for entry in entries:
        name = entry.name
        kind = kinds.kind_of(name)
        if kind is not None:
            yield Entry(name, entry.inode() & _MASK, kind, False)
        elif not name.startswith(b".") and (entry.is_symlink() or entry.is_dir(follow_symlinks=False)):
            yield Entry(name, 0, None, entry.is_symlink())
