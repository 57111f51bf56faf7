"""Atomic, idempotent writes and digests of single files. What the files mean does not live here."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from cxr_pipeline.storage.faults import told_faults


def write_atomically(path: Path, write: Callable[[Path], object]) -> bool:
    """Lets `write` fill a temporary file beside `path`, then renames it; whether the bytes changed.

    The old file survives a full disk or a kill (polars and torch leave a corrupt target otherwise). When the new
    bytes equal the old ones the old file stays, modification time included.

    Raises StorageError where the disk is full or must not be written.
    """
    with told_faults(path):
        return _write_and_rename(path, write)


def write_text(path: Path, text: str) -> bool:
    """Atomic write of UTF-8 text; whether the bytes changed."""
    return write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> bool:
    """Atomic write of indented JSON with sorted keys; whether the bytes changed."""
    return write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def mirror_folder(source: Path, target: Path) -> None:
    """Makes the files of `target` those of `source` (no subfolders); files that are equal are left alone."""
    target.mkdir(parents=True, exist_ok=True)
    wanted = {path.name: path for path in source.iterdir() if path.is_file()}
    for name, path in wanted.items():
        write_atomically(target / name, partial(shutil.copyfile, path))
    for path in target.iterdir():
        if path.name not in wanted:
            path.unlink()


def file_digest(path: Path) -> str:
    """SHA-256 of the file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_and_rename(path: Path, write: Callable[[Path], object]) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(descriptor)
    temporary = Path(name)
    try:
        write(temporary)
        temporary.chmod(0o644)
        if path.exists() and file_digest(path) == file_digest(temporary):
            return False
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
        return True
    finally:
        temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
