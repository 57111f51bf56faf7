"""Writes that a disk refuses, in words that say what to do. What is written does not live here."""

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cxr_pipeline.errors import StorageError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_NUMBER = re.compile(r"\b(?:os error|code:|errno) (\d+)", re.IGNORECASE)  # as Rust's libraries and Arrow write it


@contextmanager
def told_faults(path: Path) -> Iterator[None]:
    """Raises StorageError in the place of an OSError that says that nothing can be written to `path`."""
    try:
        yield
    except OSError as error:
        if told := tell_fault(error, path):
            raise told from error
        raise


def tell_fault(error: Exception, path: Path | None = None) -> StorageError | None:
    """What to say of an error of any library that means that a disk is full or must not be written; None for others.

    Without a `path` the one that the error itself names is said.
    """
    number, named = _find_number(error), path or getattr(error, "filename", None)
    place = f" for {named}" if named else ""
    if number in _FULL:
        return StorageError(
            f"The disk has no room left{place}{_free_bytes(named)}, expected some. Free some, or move the lake to "
            "another disk (CXR_HOME or CXR_LAKE). Then run this again: it goes on from what was finished, and nothing "
            "old is lost."
        )
    if number in _FORBIDDEN:
        why = "the disk is mounted read-only" if number == errno.EROFS else "this user may not"
        return StorageError(
            f"Access is refused{place}: {why}, expected to read and write there. Mend its rights or its mount, or "
            "name another folder for the lake (CXR_HOME or CXR_LAKE). Then run this again: nothing old is lost."
        )
    return None


def _free_bytes(named: object) -> str:
    """What is free where the file was to be written; nothing where no folder of it is known."""
    folder = next((parent for parent in Path(f"{named}").absolute().parents if parent.is_dir()), None)
    return f" ({shutil.disk_usage(folder).free:,} bytes are free)" if named and folder else ""


def _find_number(error: Exception) -> int | None:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = _NUMBER.search(f"{error}")
    return int(found[1]) if found else None
