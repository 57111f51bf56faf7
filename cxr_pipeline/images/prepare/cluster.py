"""Processes that may die, here or on other machines: Dask runs them. What they compute does not live here.

Dask takes a third of a second to import, so that is left to the functions that need it.
"""

import logging
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cxr_pipeline.errors import ClusterError, StoreError
from cxr_pipeline.images.prepare.scheduler import no_scheduler, require_scheduler
from cxr_pipeline.storage.locks import lock_folder

if TYPE_CHECKING:
    from distributed import Client, Future

T = TypeVar("T")
R = TypeVar("R")

BATCHES_AHEAD = 3  # in flight per worker thread: enough that none waits, few enough to hold
ANSWER_SECONDS = 30
START_SECONDS = 60  # from the making of a scratch folder to its lock, and much more
WORKER_SECONDS = 600  # a batch system may take its time to start the first one
_SCRATCH = "cxr-dask-"
_ON_ONE_MACHINE: dict[str, Any] = {
    # One thread each, as Dask has it; but not its MALLOC_TRIM_THRESHOLD_, which gives the memory of each decoded image
    # back to the system and takes it anew for the next: an eighth of the time.
    "distributed.nanny.pre-spawn-environ": dict.fromkeys(
        ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), 1
    ),
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.comm.timeouts.connect": "10s",  # also how long a dead worker is asked for the results that it held
    "distributed.deploy.lost-worker-timeout": "7d",  # after 15 s, Dask would give up a worker that is slow to restart
}


class Cluster:
    """A Dask cluster, joined or started when something is first mapped over it. Close it, or use it in a `with`.

    `address` is that of a scheduler (`tcp://host:8786`). Without one, `workers` processes (0: one per core) of one
    thread each start on this machine and end with this process, even when it is killed. Their port is open on the
    loop-back interface alone and speaks TLS with a certificate of this run: Dask runs whatever a peer sends, and other
    users of a shared machine can connect as well.
    """

    def __init__(self, address: str | None = None, *, workers: int = 0) -> None:
        self.address, self.workers = address, workers
        self._open = ExitStack()
        self._client: Client | None = None

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the processes that this object started, or leaves the cluster that it joined."""
        self._client = None
        self._open.close()

    def map(
        self, function: Callable[[T], R], items: Sequence[T], *, batch_size: int
    ) -> Generator[R | None, None, None]:
        """`function(item)` for each item, in order; None for one that twice ended the process it was alone in.

        Items go out in batches, of which a few per worker are held at once, here or there. A batch whose worker dies
        is computed again item by item. Raises ClusterError when the scheduler or all workers are lost. Close the
        generator to stop early.
        """
        client = self._joined()
        waiting: deque[tuple[Sequence[T], Future]] = deque()
        with _scheduler_must_stay():
            try:
                for start in range(0, len(items), batch_size):
                    batch = items[start : start + batch_size]
                    waiting.append((batch, client.submit(_map_here, function, batch, pure=False)))
                    if len(waiting) > BATCHES_AHEAD * _count_threads(client):
                        yield from _results(client, function, waiting)
                while waiting:
                    yield from _results(client, function, waiting)
            finally:
                client.cancel([future for _, future in waiting])

    def _joined(self) -> "Client":
        if self._client is None:
            self._client = self._open.enter_context(_connect(self.address) if self.address else _start(self.workers))
        return self._client


def _results(
    client: "Client", function: Callable[[T], R], waiting: "deque[tuple[Sequence[T], Future]]"
) -> Sequence[R | None]:
    """The results of the oldest batch.

    Dask cannot say which of the tasks that a dead worker held has killed it. So the items of such a batch are computed
    alone: one at a time, while nothing else of ours is running.
    """
    from distributed import KilledWorker

    batch, future = waiting.popleft()
    try:
        _wait(client, [future])
        return future.result()
    except KilledWorker:
        _wait(client, [other for _, other in waiting])
        return [_compute_alone(client, function, item) for item in batch]


def _compute_alone(client: "Client", function: Callable[[T], R], item: T) -> R | None:
    """Twice, since a worker can also die of something else: of memory that its neighbours took, of a lost machine."""
    from distributed import KilledWorker

    for _ in range(2):
        try:
            future = client.submit(function, item, pure=False)
            _wait(client, [future])
            return future.result()
        except KilledWorker:
            continue
    return None


def _wait(client: "Client", futures: "Sequence[Future]") -> None:
    """Until all are done or have failed. Raises ClusterError when nobody is left to compute them."""
    from distributed import wait

    while True:
        try:
            with client.as_current():
                wait(futures, timeout=ANSWER_SECONDS)
            return
        except TimeoutError:
            if not _count_threads(client):
                _wait_for_a_worker(client)


def _map_here(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    return [function(item) for item in items]


@contextmanager
def _start(workers: int) -> "Iterator[Client]":
    """Processes on this machine. Dask limits each to its share of the memory, and restarts what dies."""
    import dask
    from distributed import Client, LocalCluster

    with (
        _scratch_folder() as scratch,
        dask.config.set({"temporary-directory": str(scratch), **_ON_ONE_MACHINE}),
        LocalCluster(
            n_workers=workers or None,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            protocol="tls://",
            security=True,
            dashboard_address="127.0.0.1:0",  # a server that has no page: None would open port 8787
            silence_logs=logging.CRITICAL,  # a dead worker is told by its quarantined file
            scheduler_kwargs={"allowed_failures": 0, "dashboard": False},
        ) as cluster,
        Client(cluster, direct_to_workers=True, set_as_default=False) as client,
    ):
        yield client


@contextmanager
def _scratch_folder() -> Iterator[Path]:
    """A folder of this process's, locked for as long as it lives; what processes killed with -9 left is removed."""
    _remove_leftovers(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=_SCRATCH) as name, lock_folder(Path(name)):
        yield Path(name)


def _remove_leftovers(temporary: Path) -> None:
    for folder in temporary.glob(f"{_SCRATCH}*"):
        with suppress(StoreError, OSError):  # held by a living process; another user's, or gone meanwhile
            if time.time() - folder.stat().st_ctime > START_SECONDS:
                with lock_folder(folder):
                    shutil.rmtree(folder)


@contextmanager
def _connect(address: str) -> "Iterator[Client]":
    from distributed import Client

    require_scheduler(address, timeout=ANSWER_SECONDS)
    try:
        client = Client(address, timeout=ANSWER_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise no_scheduler(address, error) from error
    with client:
        _wait_for_a_worker(client)
        yield client


def _wait_for_a_worker(client: "Client") -> None:
    try:
        client.wait_for_workers(1, timeout=WORKER_SECONDS)
    except TimeoutError as error:
        raise ClusterError(
            f"The Dask scheduler has had no worker for {WORKER_SECONDS} s, expected at least one. Start some "
            "(docs/cluster.md), or unset CXR_DASK_ADDRESS to use this machine's cores. Then run this again: it goes on "
            "after the last finished shard."
        ) from error


@contextmanager
def _scheduler_must_stay() -> Iterator[None]:
    from distributed.client import ClosedClientError, FutureCancelledError

    try:
        yield
    except (ClosedClientError, FutureCancelledError) as error:
        raise _lost(error) from error


def _count_threads(client: "Client") -> int:
    """Of all workers that there are now: a cluster may grow and shrink meanwhile."""
    try:
        return sum(client.nthreads().values())
    except OSError as error:
        raise _lost(error) from error


def _lost(error: Exception) -> ClusterError:
    return ClusterError(
        f"The Dask scheduler was lost half-way ({error}), expected it to stay. Start it again, then run this again: it "
        "goes on after the last finished shard."
    )
