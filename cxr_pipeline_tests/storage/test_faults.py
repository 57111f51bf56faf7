"""A full or read-only disk is one sentence with what to do, whichever library met it; other errors stay themselves."""

import errno
import os
import resource
import sys
from contextlib import contextmanager

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cxr_pipeline.cli.main import main
from cxr_pipeline.errors import StorageError
from cxr_pipeline.storage.faults import tell_fault
from cxr_pipeline.storage.files import write_atomically, write_text
from cxr_pipeline.storage.lake import write_parquet
from cxr_pipeline.storage.locks import lock_folder

FULL = r"no room left for .*nih\.parquet \([\d,]+ bytes are free\).*Free some.*CXR_LAKE"
TABLE = pl.DataFrame({"a": range(50_000)})


@contextmanager
def largest_file(limit):
    """Files of this process cannot grow beyond `limit` bytes: a full disk that needs no rights to make."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_text(path, "x" * 5000),
        lambda path: write_parquet(path, TABLE),
        lambda path: write_atomically(path, lambda temporary: pq.write_table(pa.table(TABLE), temporary)),
    ],
    ids=["text", "polars", "arrow"],
)
def test_a_disk_without_room_is_said_and_the_old_file_stays(tmp_path, write):
    path = tmp_path / "labels" / "nih.parquet"
    write_text(path, "old")
    with largest_file(1000), pytest.raises(StorageError, match=FULL):
        write(path)
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]
    assert write(path)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "no room left"),
        (errno.EDQUOT, "no room left"),
        (errno.EROFS, "mounted read-only"),
        (errno.EACCES, "this user may not"),
    ],
)
def test_what_the_disk_refuses_is_told_of_tables_locks_and_folders(tmp_path, monkeypatch, number, words):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(StorageError, match=words):
        write_text(tmp_path / "labels" / "a.json", "{}")
    with pytest.raises(StorageError, match=words), lock_folder(tmp_path / "images"):
        pass


@pytest.mark.parametrize(
    "error",
    [
        pl.exceptions.ComputeError("parquet: underlying IO error: No space left on device (os error 28)"),
        Exception('Error while serializing: IoError(Os { code: 28, kind: StorageFull, message: "No space left" })'),
        OSError("[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device"),
    ],
    ids=["polars", "safetensors", "arrow"],
)
def test_other_libraries_words_for_a_full_disk_are_understood(error):
    assert "no room left" in str(tell_fault(error))


@pytest.mark.parametrize(
    "error", [FileNotFoundError(errno.ENOENT, "gone", "a"), BrokenPipeError(errno.EPIPE, ""), ValueError("28")]
)
def test_other_errors_are_not_told(error):
    assert tell_fault(error) is None


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "no room left for /lake/x"), (errno.EROFS, "for /lake/x")]
)
def test_a_command_ends_with_one_line_and_exit_code_1(monkeypatch, capsys, number, words):
    def full():
        raise OSError(number, os.strerror(number), "/lake/x")

    monkeypatch.setattr("cxr_pipeline.cli.main.app", full)
    with pytest.raises(SystemExit) as stop:
        main()
    printed = capsys.readouterr().err
    assert stop.value.code == 1
    assert printed.startswith("error: ")
    assert words in printed
    assert printed.count("\n") == 1


def test_a_fault_of_the_program_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["cxr", "sources"])
    monkeypatch.setattr("cxr_pipeline.cli.main.app", lambda: [][0])
    with pytest.raises(IndexError):
        main()
