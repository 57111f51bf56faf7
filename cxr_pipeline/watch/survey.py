"""What the parts of one look share: the memory, the disk, what may be spent. What is looked at does not live here."""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cxr_pipeline.watch.budget import Meter
from cxr_pipeline.watch.disk import Disk, Pool
from cxr_pipeline.watch.journal import Event, Happening
from cxr_pipeline.watch.kinds import Kind, Kinds, public_name
from cxr_pipeline.watch.marks import add_mark
from cxr_pipeline.watch.memory import BLOCK, FolderStatus, Memory

GRANULARITY_SECONDS = 2.0  # of a file system's times, at most (FAT, NFSv2)
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})
_MOST_FAULTS = 3  # answers such as EIO until a look ends: over a dead mount each takes minutes

Row = Sequence[Any]  # as SQLite gives it


class AwayError(Exception):
    """The root, or its disk, cannot be read; nothing of the batch is kept."""


@dataclass
class Survey:
    """One look at one source."""

    memory: Memory
    kinds: Kinds
    root: bytes
    disk: Disk
    meter: Meter
    pool: Pool
    place: tuple[int, int]  # device and inode of the root when the look began
    faults: int = 0
    unreadable: int = 0  # files that could not be stat'ed in this look

    @staticmethod
    def join(folder: bytes, name: bytes) -> bytes:
        return folder + b"/" + name if folder else name

    def path(self, *parts: bytes) -> bytes:
        return b"/".join((self.root, *filter(None, parts)))

    def add_folder(self, parent: int, path: bytes, depth: int, *, is_link: bool) -> None:
        """A folder that was not known and is to be listed, within a transaction."""
        connection, state = self.memory.connection, self.memory.state
        row = (parent, path, depth, is_link, FolderStatus.TO_LIST)
        insert = "INSERT INTO folders (parent, path, depth, is_link, status) VALUES (?, ?, ?, ?, ?)"
        added = connection.execute(insert, row).lastrowid or 0
        block = (added // BLOCK, state.look, self.disk.now())
        connection.execute("INSERT OR IGNORE INTO blocks VALUES (?, ?, ?)", block)

    def is_young(self, changed_ns: int, now: float, *, is_news: bool) -> bool:
        """Whether what was changed at `changed_ns` may have been changed again without a trace in its times.

        A file system whose clock is ahead of ours says nothing of age: there, what is as it was before is not young.
        """
        age = now - changed_ns / 1e9
        return is_news if age < -GRANULARITY_SECONDS else age < GRANULARITY_SECONDS

    def require_root(self) -> None:
        """Raises AwayError where the root is not the folder it was when the look began: unmounted meanwhile."""
        try:
            status = self.disk.stat(self.root)
        except OSError as error:
            raise AwayError(error.strerror) from error
        if (status.st_dev, status.st_ino) != self.place:
            raise AwayError("it was unmounted or replaced during the look")

    def note_fault(self, error: int) -> None:
        """Counts an answer that says neither what is there nor that it is not."""
        if error in _FORBIDDEN:
            return
        self.faults += 1
        if self.faults >= _MOST_FAULTS:
            raise AwayError(os.strerror(error))

    def note_change(self, changed_ns: int, now: float) -> None:
        """The time of a change; our own clock's where the file system's is ahead."""
        state = self.memory.state
        state.newest_change = max(state.newest_change, min(changed_ns / 1e9, now))

    def account(self, event: Event, kind: Kind, folder: bytes, name: bytes, history: tuple[int, int]) -> None:
        """Notes what has happened to a file; `history` is when it was new and when something last happened to it."""
        told = public_name(folder, name, kind)
        self.memory.note_event(Happening(event, kind != Kind.PICTURE, told, *history))
        self.memory.state.files += {Event.NEW: 1, Event.GONE: -1, Event.CHANGED: 0}[event]

    def add(self, kind: Kind, mark: int) -> None:
        """Adds the mark of a file (negative: takes it away) to the digest it belongs to."""
        state = self.memory.state
        if kind == Kind.PART:
            state.parts = add_mark(state.parts, mark)
        else:
            state.digest = add_mark(state.digest, mark)
