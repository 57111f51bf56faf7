"""An address where no scheduler is gives one error in time, whatever else is there."""

import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager

import pytest
from distributed import LocalCluster

from cxr_pipeline.errors import ClusterError
from cxr_pipeline.images.prepare.cluster import Cluster
from cxr_pipeline.images.prepare.scheduler import require_scheduler


@contextmanager
def service(*, greets=b"", answers=b""):
    """A port on which each connection gets `greets`, and `answers` to its first bytes."""
    peers = []

    def serve(peer):
        peer.sendall(greets)
        if answers and peer.recv(10):
            peer.sendall(answers)

    def listen():
        while True:
            try:
                peers.append(server.accept()[0])
            except OSError:
                return
            threading.Thread(target=serve, args=(peers[-1],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    for peer in peers:
        peer.close()


@pytest.mark.parametrize(
    "behaviour",
    [
        {},
        {"answers": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"},
        {"greets": b"HTTP/1.1 400 Bad Request\r\n\r\n"},
        {"greets": b"SSH-2.0-OpenSSH_9.6\r\n"},
        {"greets": b"abc"},
        {"greets": bytes(64)},
        {"greets": b"\x40" + bytes(7) + bytes(64)},
        {"greets": b"\x40" + bytes(7) + b"\xff" * 64},
    ],
    ids=str,
)
def test_another_service_is_no_scheduler(behaviour):
    started = time.monotonic()
    with service(**behaviour) as address, pytest.raises(ClusterError, match=f"No Dask scheduler answers at {address}"):
        require_scheduler(address, timeout=1)
    assert time.monotonic() - started < 3


def test_a_closed_port_is_tried_until_the_time_is_up():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(ClusterError, match="Connection refused.*Start it, or correct CXR_DASK_ADDRESS"):
        require_scheduler(address, timeout=0.5)


@pytest.mark.parametrize(
    "address", ["nonsense", "http://x:1", "tcp://", "tcp://a:b", "tls://127.0.0.1:1", "", "://", "a:99999999"]
)
def test_nonsense_is_refused_at_once(address):
    started = time.monotonic()
    with pytest.raises(ClusterError, match="CXR_DASK_ADDRESS"):
        require_scheduler(address, timeout=1)
    assert time.monotonic() - started < 2


def test_a_scheduler_is_let_through_and_its_worker_is_not():
    quiet = {"dashboard_address": None, "silence_logs": False}
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, host="tcp://127.0.0.1", **quiet) as cluster:
        require_scheduler(cluster.scheduler_address, timeout=10)
        with pytest.raises(ClusterError, match="a Dask Worker does"):
            require_scheduler(cluster.workers[0].address, timeout=10)


def test_a_program_with_a_wrong_address_ends_with_the_error_alone():
    """Dask's client leaves threads that say more after the error, and keep the program for a minute."""
    with service() as address:
        code = (
            "from cxr_pipeline.images.prepare import cluster; cluster.ANSWER_SECONDS = 1\n"
            f"try: list(cluster.Cluster({address!r}).map(abs, [1], batch_size=1))\n"
            "except cluster.ClusterError as error: print(error)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_the_cluster_asks_before_it_joins(monkeypatch):
    monkeypatch.setattr("cxr_pipeline.images.prepare.cluster.ANSWER_SECONDS", 0.5)
    with service(greets=b"HTTP/1.1 400") as address, Cluster(address) as cluster:
        results = cluster.map(abs, [1], batch_size=1)
        with closing(results), pytest.raises(ClusterError, match="another service"):
            next(results)
