"""Pictures that a publisher ships as one zstd-compressed tar, cut into parts: unpacked in one pass, file by file.

Which source packs its pictures, and under which name, that source says; what is in the pictures does not matter here.
"""

import errno
import io
import os
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

import zstandard

from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.errors import ArchiveError

Progress = Callable[[int, int], object]  # parts read, parts in all

_PIECE_BYTES = 64 * 2**10  # at most 500 MB when unpacked, however the archive was made
_LARGEST_PICTURE = 2**30  # bytes


@dataclass(frozen=True)
class Archive:
    """The parts `<name>.part00`, `<name>.part01`, ... in `root`; all that they hold lies below the folder `name`."""

    root: Path
    name: str

    @property
    def folder(self) -> Path:
        return self.root / self.name

    @property
    def marker(self) -> Path:
        """There as long as unpacking has begun and is not done."""
        return self.root / f".{self.name}.unpacking"

    @property
    def is_pending(self) -> bool:
        """Whether there are parts of which the files are not there: never unpacked, or not to the end.

        A folder that someone else unpacked is theirs: nothing is added to it unasked.
        """
        return (self.marker.exists() or not self.folder.is_dir()) and bool(self.find_parts())

    def find_parts(self) -> list[Path]:
        """The parts that are there, in order."""
        numbers = {path: _part_number(path, self.name) for path in self.root.glob(f"{self.name}.part*")}
        found = {path: number for path, number in numbers.items() if number is not None}
        return sorted(found, key=lambda path: found[path])


def archive_of(dataset: Dataset, root: Path) -> Archive | None:
    """The archive that the source's pictures come in; None where they come as files."""
    return Archive(root, dataset.archive) if dataset.archive else None


def unpack_archive(archive: Archive, *, on_progress: Progress | None = None) -> int:
    """Puts every file of the archive below its folder; how many were written.

    One pass and no copy of the tar. A file appears under its name when it is whole; one that is there with the same
    bytes is left alone, so that a killed run goes on where it was (it reads the parts again, which is the smaller part
    of the work). One run at a time per root. The parts stay: delete them when you like.

    Raises ArchiveError when a part is missing, cut off or damaged, when the archive holds links or names that lead
    elsewhere, and when the disk is full or cannot be written to.
    """
    parts = archive.find_parts()
    _check_sequence(archive, parts)
    stream = _JoinedParts(parts, on_progress)
    try:
        _check_space(archive, parts)
        archive.marker.touch()
        written = sum(_write_files(stream, archive.folder))
        os.sync()  # once, not after each of 273,004 files: the marker must not go before they are on the disk
        archive.marker.unlink()
    except tarfile.TarError as error:
        raise ArchiveError(f"{stream.part} holds no sound tar here ({error}). {_HOW_TO_MEND}") from error
    except OSError as error:
        raise ArchiveError(_describe(error, archive)) from error
    return written


class _JoinedParts(io.RawIOBase):
    """The unpacked bytes of the parts, one after another. Knows which part is being read."""

    def __init__(self, parts: Sequence[Path], on_progress: Progress | None) -> None:
        self.part = parts[0]
        self._parts, self._on_progress = parts, on_progress
        self._pieces = self._decompress()
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count

    def _decompress(self) -> Iterator[bytes]:
        """Frame after frame; where a part ends means nothing to them."""
        frame = zstandard.ZstdDecompressor().decompressobj()
        for data in self._read_parts():
            while data:
                if frame.eof:
                    frame = zstandard.ZstdDecompressor().decompressobj()
                try:
                    yield frame.decompress(data)
                except zstandard.ZstdError as error:
                    raise ArchiveError(f"{self._suspect(error)} is damaged ({error}). {_HOW_TO_MEND}") from error
                data = frame.unused_data
        if not frame.eof:
            raise ArchiveError(
                f"{self._suspect()} ends in the middle: it was cut off, or parts after it are missing. {_HOW_TO_MEND}"
            )

    def _read_parts(self) -> Iterator[bytes]:
        for number, part in enumerate(self._parts, start=1):
            self.part = part
            with part.open("rb") as file:
                while data := file.read(_PIECE_BYTES):
                    yield data
            if self._on_progress:
                self._on_progress(number, len(self._parts))

    def _suspect(self, error: Exception | None = None) -> str:
        """The part to get again: one that is shorter than the longest, since parts are cut to one size, else this one.

        A part that lost its end is noticed in the next one. A few bytes are the remainder of an even cut. Where only
        the checksum of all does not fit, it may be any: zstd stores what it cannot compress as it is.
        """
        sizes = [part.stat().st_size for part in self._parts]
        read = zip(self._parts[: self._parts.index(self.part)], sizes, strict=False)
        short = next((part for part, size in read if size < max(sizes) - len(sizes)), None)
        if short is None and "checksum" in str(error):
            return f"One of {self._parts[0]} to {self._parts[-1].name}"
        return str(short or self.part)


class _StrictMember(tarfile.TarInfo):
    """Python takes damage between two files, and a tar that was cut there, for the end of the tar: not so here."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # the zeros at the end of every tar
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error


def _write_files(stream: _JoinedParts, folder: Path) -> Iterator[bool]:
    """Whether each file of the archive had to be written; reads to the very end, where the checksum is."""
    joined = io.BufferedReader(stream, _PIECE_BYTES)
    with tarfile.open(fileobj=joined, mode="r|", bufsize=_PIECE_BYTES, tarinfo=_StrictMember) as tar:
        while member := tar.next():
            tar.members = []  # type: ignore[attr-defined]  # it would keep them all: 300 MB for 273,004 files
            if not member.isdir():
                yield _write_file(tar, member, folder)
    while joined.read(_PIECE_BYTES):
        pass


def _write_file(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> bool:
    path = _place(member, folder)
    source = tar.extractfile(member)
    data = source.read() if source else b""
    if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(data)
    temporary.replace(path)
    return True


def _place(member: tarfile.TarInfo, folder: Path) -> Path:
    """Where a file goes; ArchiveError where that is not below `folder`, or where it is a link or a device.

    The folder itself may be a link to another disk: names are checked below it.
    """
    first, *inner = PurePosixPath(member.name).parts or [""]
    if first != folder.name or not inner or not member.isfile() or member.size > _LARGEST_PICTURE:
        raise ArchiveError(
            f"The archive holds {member.name!r}, expected plain files below {folder.name}/ of at most "
            f"{_LARGEST_PICTURE / 1e9:.0f} GB: nothing more is unpacked. Get it from its publisher."
        )
    named = member.replace(name=str(PurePosixPath(*inner)), deep=False)
    return folder / tarfile.data_filter(named, str(folder)).name


def _check_sequence(archive: Archive, parts: Sequence[Path]) -> None:
    if not parts:
        raise ArchiveError(f"{archive.root} has no {archive.name}.part00. Get the parts into that folder.")
    numbers = [_part_number(path, archive.name) for path in parts]
    absent = next((wanted for wanted, number in enumerate(numbers) if number != wanted), None)
    if absent is not None:
        raise ArchiveError(
            f"{archive.root} has no {archive.name}.part{absent:02d}, but {len(parts)} other parts up to "
            f"{parts[-1].name}: expected each number once. Get the missing one, delete what is there twice."
        )


def _check_space(archive: Archive, parts: Sequence[Path]) -> None:
    """Pictures are compressed already: unpacked they take what the parts take."""
    there = sum(path.stat().st_size for path in archive.folder.rglob("*") if path.is_file())
    needed = sum(path.stat().st_size for path in parts) - there
    disk = archive.folder if archive.folder.is_dir() else archive.root
    free = shutil.disk_usage(disk).free
    if needed > free:
        raise ArchiveError(
            f"{disk} has {free / 1e9:.1f} GB free; the pictures of {len(parts)} parts need {needed / 1e9:.1f} GB. "
            f"Make room, or make {archive.folder} a link to a folder on a larger disk."
        )


def _part_number(path: Path, name: str) -> int | None:
    """`<name>.part07` -> 7; None for a download that is not done, such as `<name>.part07.incomplete`."""
    number = re.fullmatch(rf"{re.escape(name)}\.part(\d+)", path.name)
    return int(number[1]) if number and path.is_file() else None


def _describe(error: OSError, archive: Archive) -> str:
    if error.errno == errno.ENOSPC:
        return f"The disk of {archive.folder} is full. Make room and unpack again: it goes on where it was."
    return (
        f"{error.filename or archive.folder}: {error.strerror}. Expected to read the parts in {archive.root} and to "
        f"write below {archive.folder}: correct the permissions, or name a folder of your own."
    )


_HOW_TO_MEND = (
    "Compare its size and SHA-256 with those on the publisher's page, and get it again (`git lfs pull` if it is a Git "
    "LFS pointer). What was unpacked stays, and unpacking goes on from there."
)
