"""What a user can cause. Every message says what was found, what was expected, and what to do next."""


class CxrError(Exception):
    """Parent of every failure that a user can cause and can mend; the CLI prints it without a traceback."""


class SourceNotFoundError(CxrError):
    """The folder or a metadata file of a source is not where it was said to be."""


class SourceFormatError(CxrError):
    """A metadata file is there but does not have the published columns or values."""


class StorageError(CxrError):
    """Nothing can be written: the disk is full or mounted read-only, or this user may not."""


class RecordError(CxrError):
    """A JSON file that this package wrote, and reads again, is cut off, damaged or was changed by hand."""


class ArchiveError(CxrError):
    """Packed pictures cannot be unpacked: a part is missing, cut off or damaged, or the disk is full."""


class TableError(CxrError):
    """A table breaks its declaration in `tables/`, or has not been made yet."""


class OriginError(CxrError):
    """A file was made from something else than what lies there now, or nothing says what it was made from."""


class ImageError(CxrError):
    """An image file that cannot be decoded into a usable radiograph; carries the quarantine `reason`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class StoreError(CxrError):
    """An image store is missing, incomplete, or lacks a requested image."""


class ClusterError(CxrError):
    """The Dask cluster that should decode images cannot be reached, has no workers, or was lost."""


class SplitError(CxrError):
    """The split cannot go on from what the lake remembers: its assignment table is lost, too old, or not wanted."""


class CheckpointError(CxrError):
    """A checkpoint folder is incomplete or does not fit the network it names."""


class TrainingError(CxrError):
    """Training cannot start or go on: no usable images, a loss that is not a number."""


class NotFiniteError(TrainingError):
    """A network gave a value that is not a number; `image_ids` are those of the batch, and not for a log."""

    def __init__(self, message: str, *, image_ids: list[str]) -> None:
        super().__init__(message)
        self.image_ids = image_ids


class Interrupted(CxrError):  # noqa: N818 - not a failure: the same command goes on
    """A signal asked a program to stop, and it saved its state first."""


class JobError(CxrError):
    """A launched program ended with an error; the message ends with the tail of its output."""


class PhantomError(CxrError):
    """Phantoms cannot be rendered: an unknown source or finding, or a folder that holds something else."""
