"""Runs a job as a subprocess of this machine, on its CPU or its GPUs."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

from cxr_pipeline.errors import Interrupted, JobError
from cxr_pipeline.launch.job import EventTail, Job
from cxr_pipeline.training.run.program import REQUEUE, rewind_events

_POLL_SECONDS = 0.1
_TERMINATE_SECONDS = 60  # for the step at hand, and gigabytes of state on a slow disk
_ENDING = (signal.SIGTERM, signal.SIGHUP)
_TAIL_CHARACTERS = 3000


def run_job(
    job: Job,
    *,
    environment: Mapping[str, str] | None = None,
    on_event: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Runs the program over its folder and returns its result; `on_event` sees each event as it is written.

    A job that is done is not run again. Raises JobError with the tail of the program's output when it fails. When
    the caller is interrupted the program is terminated, so that no orphan goes on training; a caller that is killed
    leaves one, which holds the folder until it ends. Raises Interrupted when the program saved and left.
    """
    with exclusively(job) as lock:
        if not job.is_done:
            with signals_interrupt():
                _run(job, {**os.environ, **(environment or {})}, on_event or _ignore, lock)
        return job.result()


def _run(job: Job, environment: Mapping[str, str], on_event: Callable[[dict[str, Any]], None], lock: IO[str]) -> None:
    rewind_events(job.folder)
    tail = EventTail(job.events)
    with job.output.open("wb") as output:
        process = _start(job, environment, output, lock)
        try:
            while process.poll() is None:
                _deliver(tail, on_event)
                time.sleep(_POLL_SECONDS)
        except KeyboardInterrupt as error:
            _terminate(process)
            if process.returncode == REQUEUE:
                raise _interrupted(job) from error
            raise
        finally:
            _terminate(process)
    _deliver(tail, on_event)
    if process.returncode == REQUEUE:
        raise _interrupted(job)
    if process.returncode:
        raise JobError(f"{job.program} ended with {process.returncode} in {job.folder}. {_output_tail(job)}")


def _start(job: Job, environment: Mapping[str, str], output: IO[bytes], lock: IO[str]) -> subprocess.Popen[bytes]:
    """The program, which holds the lock too: it outlives a launcher that is killed, and goes on writing."""
    command = [sys.executable, "-m", job.program, str(job.folder)]
    process = subprocess.Popen(
        command, stdout=output, stderr=subprocess.STDOUT, env=dict(environment), pass_fds=[lock.fileno()]
    )
    lock.truncate(0)
    lock.write(f"{process.pid}\n")
    lock.flush()
    return process


def _interrupted(job: Job) -> Interrupted:
    return Interrupted(f"{job.program} was stopped by a signal in {job.folder}: run the same again, and it goes on.")


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP raise KeyboardInterrupt, as Ctrl-C does, where nobody else listens to them.

    By default they end this process alone, and the program that it started would go on.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    unheard = [number for number in _ENDING if signal.getsignal(number) is signal.SIG_DFL]
    for number in unheard:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in unheard:
            signal.signal(number, signal.SIG_DFL)


def _deliver(tail: EventTail, on_event: Callable[[dict[str, Any]], None]) -> None:
    for event in tail.read():
        on_event(event)


def _terminate(process: subprocess.Popen[bytes]) -> None:
    """Ends a program that still runs: politely, then not."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_TERMINATE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def exclusively(job: Job) -> Iterator[IO[str]]:
    """Holds the folder's lock, a file with the process id of the program: two runs over one folder would write into
    each other's files."""
    with (job.folder / ".lock").open("a+") as lock:  # "w" would empty that of the run that holds it
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            process = lock.read().strip()
            how = f", process {process}: wait for it, or let it save and leave with `kill {process}`" if process else ""
            raise JobError(
                f"{job.folder} is being run by another process{how or ': wait for it, or stop it first'}."
            ) from error
        lock.truncate(0)
        yield lock


def _output_tail(job: Job) -> str:
    text = job.output.read_text(errors="replace")[-_TAIL_CHARACTERS:]
    return f"The end of {job.output.name}:\n{text}"


def _ignore(_: dict[str, Any]) -> None:
    pass
