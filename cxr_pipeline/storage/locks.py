"""One writer per folder, on every machine that shares the file system. What is written does not live here."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cxr_pipeline.errors import StoreError
from cxr_pipeline.storage.faults import told_faults


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Holds `<folder>/.lock`, which says who does; raises StoreError when another process holds it.

    The lock is the kernel's (flock), so that one whose process was killed is free at once, whatever the file says.
    """
    with told_faults(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("a+")
    with file as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise StoreError(
                f"{folder} is being written by {lock.read().strip() or 'another process'}, expected nobody. Wait until "
                "it is done, or stop it; then run this again: it goes on from what is there."
            ) from error
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        lock.flush()
        yield
