import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import dask
import polars as pl
import pytest
from distributed import Client

from cxr_pipeline.errors import ClusterError
from cxr_pipeline.images.prepare import cluster as cluster_module
from cxr_pipeline.images.prepare import decoding
from cxr_pipeline.images.prepare import step as prepare
from cxr_pipeline.images.prepare.cluster import BATCHES_AHEAD, Cluster
from cxr_pipeline.images.prepare.decoding import BATCH_FILES, decode_file, decode_files
from cxr_pipeline.images.prepare.digests import MEMORY
from cxr_pipeline.images.prepare.step import prepare_images
from cxr_pipeline.images.store.shards import StoreForm
from cxr_pipeline.storage.locks import lock_folder
from cxr_pipeline_tests.images.conftest import encode, picture

PROJECT = Path(__file__).parents[3]


@contextmanager
def _dask(folder, command, *arguments):
    """A process of `dask scheduler` or `dask worker`, and the lines that it logs."""
    options = ["--no-dashboard", "--host", "127.0.0.1"]
    with subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.dask_{command}", *arguments, *options],
        cwd=PROJECT,
        env={
            **os.environ,
            "DASK_TEMPORARY_DIRECTORY": str(folder),
            "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "2s",  # how long a dead worker is asked for its results
        },
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def _scheduler(folder):
    with _dask(folder, "scheduler", "--port", "0") as process:
        line = next(line for line in process.stderr if "Scheduler at:" in line)
        yield process, line.split()[-1]


@contextmanager
def _two_workers(folder):
    """The address of a scheduler with two workers, each a process of its own that nobody starts again."""
    with _scheduler(folder) as (_, address), ExitStack() as workers:
        for _ in range(2):
            workers.enter_context(_dask(folder, "worker", address, "--nthreads", "1", "--no-nanny"))
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=30)
        yield address


def _kill_the_first_worker(path, form, *, marker):
    """Decodes; but the first worker that comes to the 40th file ends there, as with kill -9."""
    if path.name == "39.png" and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return decode_file(path, form)


def _bytes(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in (".lock", MEMORY))
    return [(path.relative_to(folder), path.read_bytes()) for path in files]


@pytest.mark.long
def test_a_store_is_the_same_when_one_of_two_workers_is_killed_half_way(tmp_path, monkeypatch):
    count = 6 * BATCH_FILES
    root, marker = tmp_path / "source", tmp_path / "killed"
    root.mkdir()
    for number in range(count):
        (root / f"{number}.png").write_bytes(encode(picture(number)) if number % 10 else b"bad")
    names = [f"{number}.png" for number in range(count)]
    table = pl.DataFrame({"image_id": [f"nih/{name}" for name in names], "path": names})
    decode = partial(_kill_the_first_worker, marker=marker)
    monkeypatch.setattr(prepare, "decode_files", partial(decode_files, decode=decode))
    with _two_workers(tmp_path / "dask") as address, Cluster(address) as cluster:
        summary = prepare_images(table, root, tmp_path / "spread", form=StoreForm(32), cluster=cluster)
        with Client(address, set_as_default=False) as client:
            assert len(client.nthreads()) == 1
    assert marker.exists()
    assert summary.quarantined == {"not_an_image": -(-count // 10)}
    monkeypatch.setattr(decoding, "BATCH_FILES", count)
    prepare_images(table, root, tmp_path / "here", form=StoreForm(32))
    assert _bytes(tmp_path / "spread") == _bytes(tmp_path / "here")


def test_a_scheduler_that_is_lost_half_way_is_an_error_that_says_so(tmp_path):
    with (
        _scheduler(tmp_path) as (process, address),
        _dask(tmp_path, "worker", address, "--no-nanny"),
        dask.config.set({"distributed.comm.timeouts.connect": "0.5s"}),
        Cluster(address) as cluster,
    ):
        results = cluster.map(abs, range(1000), batch_size=1)
        assert next(results) == 0
        process.kill()
        with pytest.raises(ClusterError, match="scheduler was lost half-way"):
            list(results)


def test_workers_that_are_all_lost_half_way_are_not_waited_for_for_ever(tmp_path, monkeypatch):
    with (
        _scheduler(tmp_path) as (_, address),
        _dask(tmp_path, "worker", address, "--no-nanny"),
        Cluster(address) as cluster,
    ):
        assert list(cluster.map(abs, [-1], batch_size=1)) == [1]
        monkeypatch.setattr(cluster_module, "ANSWER_SECONDS", 0.5)
        monkeypatch.setattr(cluster_module, "WORKER_SECONDS", 0.2)
        with pytest.raises(ClusterError, match="has had no worker for 0.2 s"):
            list(cluster.map(_end_this_process, range(3), batch_size=3))


def _end_this_process(_):
    os._exit(139)


@pytest.mark.long
def test_a_worker_that_is_slow_to_restart_is_not_given_up():
    impatient = {"distributed.deploy.lost-worker-timeout": "1ms"}
    with dask.config.set(impatient), Cluster(workers=1) as cluster:
        assert list(cluster.map(_end_this_process, [0], batch_size=1)) == [None]
        assert list(cluster.map(abs, [-1], batch_size=1)) == [1]


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setattr(cluster_module, "ANSWER_SECONDS", 0.2)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{closed.getsockname()[1]}"
        with Cluster(address) as cluster, pytest.raises(ClusterError, match=f"No Dask scheduler answers at {address}"):
            list(cluster.map(abs, [1], batch_size=1))


def test_a_scheduler_without_workers_is_not_waited_for_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster_module, "WORKER_SECONDS", 0.2)
    with (
        _scheduler(tmp_path) as (_, address),
        Cluster(address) as cluster,
        pytest.raises(ClusterError, match="has had no worker"),
    ):
        list(cluster.map(abs, [1], batch_size=1))


def test_what_was_started_ends_with_the_cluster_and_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with Cluster(workers=1) as cluster:
        (worker,) = cluster.map(_parent_and_self, [0], batch_size=1)
        assert worker[0] == os.getpid()
        assert list(tmp_path.iterdir())
    with pytest.raises(ProcessLookupError):
        os.kill(worker[1], 0)
    assert not list(tmp_path.iterdir())


def test_folders_that_killed_processes_left_are_removed_at_the_next_start(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left, held, other = (tmp_path / name for name in ("cxr-dask-left", "cxr-dask-held", "other"))
    for folder in (left, held, other):
        (folder / "dask-scratch-space").mkdir(parents=True)
    with lock_folder(held), Cluster(workers=1) as first:
        list(first.map(abs, [0], batch_size=1))
        assert left.exists(), "it might belong to a process that is just starting"
        monkeypatch.setattr(cluster_module, "START_SECONDS", -1)
        with Cluster(workers=1) as second:
            assert list(second.map(abs, [-1], batch_size=1)) == [1]
            assert len(list(tmp_path.glob("cxr-dask-*"))) == 3, "of the two clusters, and the one held"
        assert list(first.map(abs, [-2], batch_size=1)) == [2]
    assert sorted(tmp_path.iterdir()) == [held, other]


def _parent_and_self(_):
    return os.getppid(), os.getpid()


class _CountingClient:
    """Stands for a client of two worker threads; computes when a result is asked for."""

    def __init__(self):
        self.held = self.most_held = 0

    def nthreads(self):
        return {"a": 1, "b": 1}

    def cancel(self, futures):
        self.held -= len(futures)

    def submit(self, function, *arguments, pure):
        self.held += 1
        self.most_held = max(self.held, self.most_held)
        return _Future(self, partial(function, *arguments))


class _Future:
    def __init__(self, client, call):
        self.client, self.call = client, call

    def result(self):
        self.client.held -= 1
        return self.call()


def test_only_a_few_batches_are_held_at_once_however_many_there_are(monkeypatch):
    client, cluster = _CountingClient(), Cluster()
    monkeypatch.setattr(cluster_module, "_wait", lambda client, futures: None)
    monkeypatch.setattr(cluster, "_joined", lambda: client)
    assert list(cluster.map(abs, range(-1000, 0), batch_size=10)) == list(range(1000, 0, -1))
    assert client.most_held == 2 * BATCHES_AHEAD + 1
    results = cluster.map(abs, range(1000), batch_size=10)
    next(results)
    results.close()
    assert client.held == 0
