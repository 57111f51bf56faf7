import multiprocessing
import os

import pytest

from cxr_pipeline.errors import StoreError
from cxr_pipeline.storage.locks import lock_folder


def _hold(folder, pipe):
    with lock_folder(folder):
        pipe.send(os.getpid())
        pipe.recv()


def test_a_held_lock_names_its_holder_and_a_killed_holder_leaves_it_free(tmp_path):
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    holder = context.Process(target=_hold, args=(tmp_path / "nih", there))
    holder.start()
    assert here.poll(20)
    with pytest.raises(StoreError, match=f"written by process {here.recv()} on "), lock_folder(tmp_path / "nih"):
        pass
    holder.kill()
    holder.join()
    assert str(holder.pid) in (tmp_path / "nih" / ".lock").read_text()
    with lock_folder(tmp_path / "nih"):
        assert str(os.getpid()) in (tmp_path / "nih" / ".lock").read_text()


def test_a_lock_is_free_after_use_and_after_an_error(tmp_path):
    with pytest.raises(ValueError, match="inside"), lock_folder(tmp_path):
        raise ValueError("inside")
    with lock_folder(tmp_path):
        pass
