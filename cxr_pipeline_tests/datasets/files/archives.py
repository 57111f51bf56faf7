"""Small zstd-compressed tars in parts, for the tests of unpacking."""

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import zstandard

from cxr_pipeline.datasets.files.archives import Archive

NAME = "pictures"


def random_bytes(seed: int, count: int = 60_000) -> bytes:
    """What cannot be compressed, as PNG cannot."""
    return np.random.default_rng(seed).bytes(count)


FILES = {f"{NAME}/a{number}/{number}.png": random_bytes(number) for number in range(6)}


def tar_of(files: Mapping[str, bytes], others: Sequence[tarfile.TarInfo] = ()) -> bytes:
    """A tar of `files`, then of `others`, which hold nothing."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for member in others:
            tar.addfile(member)
    return buffer.getvalue()


def compress(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


def write_parts(root: Path, packed: bytes, *, parts: int = 3) -> Archive:
    """`packed` cut into `parts` of one size."""
    root.mkdir(parents=True, exist_ok=True)
    size = -(-len(packed) // parts)
    for number in range(parts):
        (root / f"{NAME}.part{number:02d}").write_bytes(packed[number * size : (number + 1) * size])
    return Archive(root, NAME)


def write_archive(root: Path, files: Mapping[str, bytes] = FILES, *, parts: int = 3) -> Archive:
    return write_parts(root, compress(tar_of(files)), parts=parts)


def files_below(folder: Path) -> dict[str, bytes]:
    """Path relative to the folder's parent -> content, hidden files too."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder.parent).as_posix(): path.read_bytes() for path in found}
