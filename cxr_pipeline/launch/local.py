"""Runs a job as a subprocess of this machine, on its CPU or its GPUs."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from cxr_pipeline.errors import JobError
from cxr_pipeline.launch.job import EventTail, Job
from cxr_pipeline.training.run.program import REQUEUE, rewind_events

_POLL_SECONDS = 0.1
_TERMINATE_SECONDS = 20
_TAIL_CHARACTERS = 3000


def run_job(
    job: Job,
    *,
    environment: Mapping[str, str] | None = None,
    on_event: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Runs the program over its folder and returns its result; `on_event` sees each event as it is written.

    A job that is done is not run again. Raises JobError with the tail of the program's output when it fails. When
    the caller is interrupted the program is terminated, so that no orphan goes on training.
    """
    with exclusively(job):
        if not job.is_done:
            _run(job, {**os.environ, **(environment or {})}, on_event or _ignore)
        return job.result()


def _run(job: Job, environment: Mapping[str, str], on_event: Callable[[dict[str, Any]], None]) -> None:
    rewind_events(job.folder)
    tail = EventTail(job.events)
    command = [sys.executable, "-m", job.program, str(job.folder)]
    with job.output.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=dict(environment))
        try:
            while process.poll() is None:
                _deliver(tail, on_event)
                time.sleep(_POLL_SECONDS)
        finally:
            _terminate(process)
    _deliver(tail, on_event)
    if process.returncode == REQUEUE:
        raise JobError(f"{job.program} was stopped by a signal in {job.folder}: run the same again, and it goes on.")
    if process.returncode:
        raise JobError(f"{job.program} ended with {process.returncode} in {job.folder}. {_output_tail(job)}")


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
def exclusively(job: Job) -> Iterator[None]:
    """Holds the folder's lock: two runs over one folder would write into each other's files."""
    with (job.folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise JobError(f"{job.folder} is being run by another process: wait for it, or stop it first.") from error
        yield


def _output_tail(job: Job) -> str:
    text = job.output.read_text(errors="replace")[-_TAIL_CHARACTERS:]
    return f"The end of {job.output.name}:\n{text}"


def _ignore(_: dict[str, Any]) -> None:
    pass
