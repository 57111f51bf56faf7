"""What is told of a file or folder of a source that the system does not let this user read."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from cxr_pipeline.errors import SourceNotFoundError

_T = TypeVar("_T")


def guard(read: Callable[[Path], _T]) -> Callable[[Path], _T]:
    """`read`, a function of the folder of a source, which raises SourceNotFoundError where the system raises OSError.

    The error names the file: of the folder alone a user cannot tell which of 112,120 it is.
    """
    return partial(_read_or_tell, read)


def refuse(path: Path, error: OSError) -> SourceNotFoundError:
    """The error that names `path`, which could not be read."""
    return SourceNotFoundError(
        f"{path} cannot be read: {error.strerror or error}. Expected a file or folder of the release that this user "
        "may read: give the right to read it (and to enter its folder), mend its disk, or copy it from elsewhere."
    )


def _read_or_tell(read: Callable[[Path], _T], root: Path) -> _T:
    try:
        return read(root)
    except OSError as error:
        raise refuse(Path(error.filename or root), error) from error
