"""A run that was killed, or that another one meets, leaves a store that is whole."""

import multiprocessing
import os
import signal
from functools import partial

import pytest

from cxr_pipeline.errors import StoreError
from cxr_pipeline.images.prepare import step as prepare
from cxr_pipeline.images.prepare.decoding import decode_file, decode_files
from cxr_pipeline.images.store import parts
from cxr_pipeline.images.store.shards import ImageStore
from cxr_pipeline.storage.locks import lock_folder
from cxr_pipeline_tests.images.prepare.small_store import (
    COUNT,
    SIZE,
    contents,
    file_bytes,
    prepare_small,
    read_index,
)


def test_what_a_killed_run_left_is_taken_up(root, folder):
    prepare_small(root, folder)
    whole = file_bytes(folder)
    (folder / "index.parquet").unlink()
    (folder / ".index.parquet.abc.tmp").write_bytes(b"half")
    (folder / "parts" / ".x.parquet.abc.tmp").write_bytes(b"half")
    assert prepare_small(root, folder).decoded == 0
    assert file_bytes(folder) == whole


def test_a_run_killed_between_shards_gives_the_same_store_at_last(root, folder, tmp_path, monkeypatch):
    prepare_small(root, tmp_path / "reference")
    write, written = parts.write_table, []

    def _write_until_full(path, frame, schema):
        written.append(path)
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        return write(path, frame, schema)

    monkeypatch.setattr(parts, "write_table", _write_until_full)
    with pytest.raises(OSError, match="No space left"):
        prepare_small(root, folder)
    assert not (folder / "index.parquet").exists()
    assert len(list(folder.glob("*.arrow"))) == 2
    monkeypatch.setattr(parts, "write_table", write)
    assert prepare_small(root, folder).decoded == COUNT - 3
    assert file_bytes(folder) == file_bytes(tmp_path / "reference")


def test_readers_see_the_old_store_until_the_new_one_is_whole(root, folder, monkeypatch):
    prepare_small(root, folder)
    monkeypatch.setattr(prepare, "write_table", _fail_at_index(prepare.write_table))
    with pytest.raises(OSError, match="stop"):
        prepare_small(root, folder, size=40)
    assert ImageStore(folder).size == SIZE
    assert len(ImageStore(folder)) == COUNT


def _fail_at_index(write):
    def _write(path, frame, schema):
        if path.name == "index.parquet":
            raise OSError("stop")
        return write(path, frame, schema)

    return _write


def _die_at_the_fifth(path, form):
    if path.name == "4.png":
        os.kill(os.getpid(), signal.SIGKILL)
    return decode_file(path, form)


def _prepare_and_die(root, folder):
    parts.MAX_SHARD_ROWS = 3
    prepare.decode_files = partial(decode_files, decode=_die_at_the_fifth)
    prepare_small(root, folder)


def test_a_run_killed_with_9_is_gone_on_with(root, folder, tmp_path):
    prepare_small(root, tmp_path / "reference")
    process = multiprocessing.get_context("spawn").Process(target=_prepare_and_die, args=(root, folder))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert len(list(folder.glob("*.arrow"))) == 1
    assert prepare_small(root, folder).decoded == COUNT - 3
    assert file_bytes(folder) == file_bytes(tmp_path / "reference")


def test_a_second_run_at_once_is_refused_and_harms_nothing(root, folder):
    prepare_small(root, folder)
    before = contents(folder)
    with lock_folder(folder), pytest.raises(StoreError, match=rf"being written by process {os.getpid()} on "):
        prepare_small(root, folder, [0])
    assert contents(folder) == before


def test_packing_anew_goes_on_where_it_was_killed(root, folder, tmp_path, monkeypatch):
    prepare_small(root, folder, codec="raw")
    write = parts.write_part
    monkeypatch.setattr(parts, "write_part", _fail_at_the_second_call(write))
    with pytest.raises(OSError, match="stop"):
        prepare_small(root, folder)
    assert len(ImageStore(folder)) == COUNT
    monkeypatch.setattr(parts, "write_part", write)
    assert prepare_small(root, folder).repacked == COUNT - 3
    prepare_small(root, tmp_path / "fresh")
    assert file_bytes(folder) == file_bytes(tmp_path / "fresh")


def _fail_at_the_second_call(write):
    calls = []

    def _write(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise OSError("stop")
        return write(*arguments)

    return _write


def test_a_lost_shard_is_made_again(root, folder):
    prepare_small(root, folder)
    whole = file_bytes(folder)
    (folder / read_index(folder)["shard"][0]).unlink()
    assert prepare_small(root, folder).decoded == 3
    assert file_bytes(folder) == whole
