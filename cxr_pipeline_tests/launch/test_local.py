import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cxr_pipeline.errors import JobError
from cxr_pipeline.launch.job import EventTail, Job, prepare_job
from cxr_pipeline.launch.local import run_job
from cxr_pipeline.training.run.program import REQUEUE

PROGRAMS = {
    "counts_epochs": """
import json, pathlib, sys
job = pathlib.Path(sys.argv[1])
with (job / "events.jsonl").open("a") as events:
    for epoch in (1, 2):
        print(json.dumps({"event": "epoch", "epoch": epoch}), file=events, flush=True)
(job / "result.json").write_text('{"best_epoch": 2}')
""",
    "fails_loudly": "import sys; print('CUDA out of memory'); sys.exit(3)",
    "leaves_nothing": "",
    "saves_and_leaves": """
import json, os, pathlib, signal, sys
job = pathlib.Path(sys.argv[1])
def save(number, frame):
    (job / "saved").write_text("all")
    sys.exit(75)
signal.signal(signal.SIGTERM, save)
(job / "events.jsonl").write_text(json.dumps({"event": "start", "pid": os.getpid()}) + "\\n")
while True:
    signal.pause()
""",
    "never_ends": """
import pathlib, sys, time
job = pathlib.Path(sys.argv[1])
(job / "events.jsonl").write_text('{"event": "start"}\\n')
while True:
    time.sleep(0.05)
""",
}


@pytest.fixture
def job_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(program: str) -> Job:
        (tmp_path / f"{program}.py").write_text(PROGRAMS[program])
        return prepare_job(tmp_path / "jobs", program, config={}, inputs={}, digests={})

    return make


def test_events_arrive_in_order_and_the_result_comes_back(job_of):
    seen: list[dict] = []
    assert run_job(job_of("counts_epochs"), on_event=seen.append) == {"best_epoch": 2}
    assert [event["epoch"] for event in seen] == [1, 2]


def test_finished_job_is_not_run_again(job_of):
    job = job_of("counts_epochs")
    run_job(job)
    seen: list[dict] = []
    assert run_job(job, on_event=seen.append) == {"best_epoch": 2}
    assert seen == []


def test_failure_carries_the_exit_code_and_the_end_of_the_output(job_of):
    with pytest.raises(JobError, match=r"(?s)ended with 3.*CUDA out of memory"):
        run_job(job_of("fails_loudly"))


def test_program_without_a_result_is_a_failure(job_of):
    with pytest.raises(JobError, match="left no result"):
        run_job(job_of("leaves_nothing"))


def test_interrupt_ends_the_program(job_of):
    job = job_of("never_ends")

    def interrupt(_: dict) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_job(job, on_event=interrupt)
    assert run_job_is_free(job)


def run_job_is_free(job: Job) -> bool:
    """Whether nobody holds the folder: a second run gets as far as starting its program."""
    (job.folder / "result.json").write_text("{}")
    return run_job(job) == {}


def test_two_runs_over_one_folder_are_refused(job_of):
    job = job_of("never_ends")
    started, release = threading.Event(), threading.Event()

    def hold(_: dict) -> None:
        started.set()
        release.wait(30)
        raise InterruptedError

    def first() -> None:
        with pytest.raises(InterruptedError):
            run_job(job, on_event=hold)

    thread = threading.Thread(target=first)
    thread.start()
    assert started.wait(30)
    with pytest.raises(JobError, match="being run by another process"):
        run_job(job)
    release.set()
    thread.join()


LAUNCHER = """
import json, pathlib, sys
from cxr_pipeline.errors import Interrupted
from cxr_pipeline.launch.job import Job
from cxr_pipeline.launch.local import run_job
try:
    run_job(Job(pathlib.Path(sys.argv[1]), sys.argv[2]), on_event=lambda event: print(event["pid"], flush=True))
except Interrupted:
    sys.exit(75)
"""


def launcher_of(job: Job) -> tuple[subprocess.Popen, int]:
    """A process that runs the job, and the process id of the program that it started."""
    launcher = subprocess.Popen([sys.executable, "-c", LAUNCHER, job.folder, job.program], stdout=subprocess.PIPE)
    assert launcher.stdout
    with launcher.stdout as output:
        return launcher, int(output.readline())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_to_the_launcher_lets_the_program_save_and_ends_with_it(job_of, number: int):
    job = job_of("saves_and_leaves")
    launcher, _ = launcher_of(job)
    launcher.send_signal(number)
    assert launcher.wait(60) == REQUEUE
    assert (job.folder / "saved").is_file()
    assert run_job_is_free(job)


def test_the_program_of_a_launcher_that_was_killed_keeps_the_folder_and_is_named(job_of):
    job = job_of("saves_and_leaves")
    launcher, program = launcher_of(job)
    launcher.kill()
    launcher.wait(60)
    with pytest.raises(JobError, match=rf"is being run by another process, process {program}: .*`kill {program}`"):
        run_job(job)
    os.kill(program, signal.SIGTERM)
    with (job.folder / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until it has left
    assert (job.folder / "saved").is_file()
    assert run_job_is_free(job)


def test_job_name_depends_on_content_and_not_on_paths(tmp_path: Path):
    def folder(**changed) -> str:
        given = {"config": {"lr": 0.1}, "inputs": {"cohort": "/a"}, "digests": {"cohort": "1"}} | changed
        return prepare_job(tmp_path, "program", **given).folder.name

    assert folder() == folder(inputs={"cohort": "/b"})
    assert len({folder(), folder(config={"lr": 0.2}), folder(digests={"cohort": "2"})}) == 3


def test_tail_waits_for_the_end_of_a_line(tmp_path: Path):
    tail = EventTail(tmp_path / "events.jsonl")
    assert list(tail.read()) == []
    tail.path.write_text('{"epoch": 1}\n{"epo')
    assert list(tail.read()) == [{"epoch": 1}]
    with tail.path.open("a") as file:
        file.write('ch": 2}\n')
    assert list(tail.read()) == [{"epoch": 2}]


def test_program_runs_under_this_interpreter(job_of, tmp_path: Path):
    job = job_of("counts_epochs")
    (tmp_path / "counts_epochs.py").write_text(
        "import json, pathlib, sys\n"
        "(pathlib.Path(sys.argv[1]) / 'result.json').write_text(json.dumps({'python': sys.executable}))"
    )
    assert run_job(job) == {"python": sys.executable}
