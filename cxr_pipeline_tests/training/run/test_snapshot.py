"""Runs that are stopped and go on, in processes of their own, since that is how a run dies."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from cxr_pipeline.errors import RecordError, TrainingError
from cxr_pipeline.training.__main__ import main
from cxr_pipeline.training.network.backbone import build_network
from cxr_pipeline.training.run.learner import Learner
from cxr_pipeline.training.run.loop import fit
from cxr_pipeline.training.run.program import REQUEUE, RESUME
from cxr_pipeline.training.run.snapshot import load_snapshot
from cxr_pipeline_tests.training.tiny import TINY

pytestmark = pytest.mark.long

# Everything that has a state: the running mean, drop path's generator, the plateau, a batch in parts.
CONFIG = TINY.model_copy(
    update={
        "epochs": 4,
        "batch_size": 8,
        "ema_decay": 0.9,
        "accumulate": 2,
        "clip_norm": 1.0,
        "plateau_patience": 0,
        "snapshot_minutes": 0.0,
        "report_steps": 3,
        "threads": 1,
    }
)
CLOCK = ("seconds", "images_per_second", "data_wait", "eta_seconds")


def write_job(folder, inputs, config=CONFIG):
    folder.mkdir()
    (folder / "config.json").write_text(config.model_dump_json())
    (folder / "inputs.json").write_text(inputs.model_dump_json())
    return folder


def start(job, **how):
    command = [sys.executable, "-m", "cxr_pipeline.training", str(job)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **how)


def finish(process):
    """(exit status, what was said on stderr)."""
    _, told = process.communicate(timeout=120)
    return process.returncode, told


def outcome(job):
    """(weights, events without clock times) of a finished job."""
    events = [json.loads(line) for line in (job / "events.jsonl").read_text().splitlines()]
    told = [{key: value for key, value in event.items() if key not in CLOCK} for event in events]
    return (job / "checkpoint" / "model.safetensors").read_bytes(), told, (job / "result.json").read_text()


def steps_done(job):
    try:
        return json.loads((job / RESUME).read_text())["steps_done"]
    except FileNotFoundError:
        return 0


def wait_for_steps(job, process, steps):
    while steps_done(job) < steps and process.poll() is None:
        time.sleep(0.005)


@pytest.fixture(scope="module")
def undisturbed(inputs, tmp_path_factory):
    job = write_job(tmp_path_factory.mktemp("whole") / "job", inputs)
    assert finish(start(job)) == (0, "")
    return outcome(job)


@pytest.mark.long
def test_a_run_killed_at_any_step_ends_with_the_same_bits_and_events(undisturbed, inputs, tmp_path):
    job = write_job(tmp_path / "job", inputs)
    for steps in (4, 13):  # within the first epoch, within the third
        process = start(job)
        wait_for_steps(job, process, steps)
        process.kill()
        assert finish(process)[0] == -signal.SIGKILL
    assert finish(start(job)) == (0, "")
    assert outcome(job) == undisturbed
    assert len(list(job.glob("resume-*"))) == 1  # of the last epoch, for more of them


@pytest.mark.parametrize(
    ("number", "send"),
    [
        (signal.SIGTERM, os.killpg),
        pytest.param(signal.SIGUSR1, os.kill, marks=pytest.mark.long),
        pytest.param(signal.SIGINT, os.killpg, marks=pytest.mark.long),
        pytest.param(signal.SIGHUP, os.kill, marks=pytest.mark.long),
    ],
)
def test_a_signal_saves_and_asks_to_be_queued_again(undisturbed, inputs, tmp_path, number, send):
    """`killpg` tells the loaders too, as a terminal does with Ctrl-C, and `timeout` with its notice."""
    job = write_job(tmp_path / "job", inputs, CONFIG.model_copy(update={"loader": "processes"}))
    process = start(job, start_new_session=True)
    wait_for_steps(job, process, 2)
    send(process.pid, number)
    status, told = finish(process)
    assert status == REQUEUE, told
    assert told.startswith("error: Stopped by a signal after step ")
    assert told.count("\n") == 1
    assert not (job / "result.json").exists()
    assert finish(start(job)) == (0, "")
    assert outcome(job) == undisturbed


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
    ("minutes", "limit", "file"),
    [(0, 20_000, "resume-1.safetensors"), (10, 20_000, "checkpoint/model.safetensors"), (10, 100, "events.jsonl")],
)
def test_a_full_disk_is_one_line_that_names_the_file_and_the_same_command_goes_on(
    undisturbed, inputs, tmp_path, capsys, minutes, limit, file
):
    config = CONFIG.model_copy(update={"snapshot_minutes": minutes})
    job = write_job(tmp_path / "job", inputs, config)
    with largest_file(limit):
        assert main([str(job)]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"error: The disk has no room left for {job / file} (")
    assert "bytes are free" in told
    assert told.count("\n") == 1
    assert main([str(job)]) == 0
    weights, events, _ = outcome(job)
    assert (weights, events) == undisturbed[:2]


def test_a_disk_that_fills_up_leaves_the_last_snapshot(inputs, tmp_path, capsys):
    job = stopped(inputs, write_job(tmp_path / "job", inputs))
    kept = {path: path.read_bytes() for path in job.glob("resume*")}
    assert len(kept) == 2
    with largest_file(20_000):
        assert main([str(job)]) == 1
    assert "no room left" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in job.glob("*resume*")} == kept


@pytest.mark.long
def test_a_killed_run_goes_on_with_another_loader_and_ends_with_the_same_bits(undisturbed, inputs, tmp_path):
    job = write_job(tmp_path / "job", inputs)
    process = start(job)
    wait_for_steps(job, process, 7)
    process.kill()
    finish(process)
    assert 7 <= steps_done(job) < 24
    changed = CONFIG.model_copy(
        update={"loader": "processes", "loader_workers": 1, "report_steps": 5, "snapshot_minutes": 10.0}
    )
    (job / "config.json").write_text(changed.model_dump_json())
    assert finish(start(job)) == (0, "")
    assert (outcome(job)[0], outcome(job)[2]) == (undisturbed[0], undisturbed[2])
    assert not [e for e in outcome(job)[1] if e["event"] == "step" and e["epoch"] == 4 and e["step"] != 5]


def stopped(inputs, tmp_path):
    """The folder of a run that ended after its first epoch's snapshot."""

    class StopError(Exception):
        pass

    def stop(event):
        if event["event"] == "epoch" and event["epoch"] == 2:
            raise StopError

    with pytest.raises(StopError):
        fit(CONFIG, inputs, tmp_path, stop)
    return tmp_path


def test_another_config_does_not_go_on_from_it(inputs, tmp_path):
    job = stopped(inputs, tmp_path)
    with pytest.raises(TrainingError, match="another config or cohort: delete it"):
        fit(CONFIG.model_copy(update={"lr": 1e-5}), inputs, job, lambda event: None)


def test_a_damaged_state_is_told(inputs, tmp_path):
    job = stopped(inputs, tmp_path)
    (state,) = job.glob("resume-*.safetensors")
    os.truncate(state, 1000)
    with pytest.raises(TrainingError, match=r"delete resume\.json"):
        fit(CONFIG, inputs, job, lambda event: None)


@pytest.mark.parametrize("content", ["", "{", '{"state": "resume-1.safetensors"}'])
def test_a_damaged_note_of_the_state_is_told(inputs, tmp_path, content):
    job = stopped(inputs, tmp_path)
    (job / "resume.json").write_text(content)
    with pytest.raises(RecordError, match=r"resume\.json.*delete it, and the run begins anew"):
        fit(CONFIG, inputs, job, lambda event: None)


def test_without_a_snapshot_a_run_begins(inputs, tmp_path):
    import torch

    learner = Learner(CONFIG, build_network(CONFIG), torch.device("cpu"))
    progress = load_snapshot(tmp_path, learner, inputs)
    assert (progress.epoch, progress.step, progress.history) == (1, 0, [])
