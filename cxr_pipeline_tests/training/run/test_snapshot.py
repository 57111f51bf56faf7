"""Runs that are stopped and go on, in processes of their own, since that is how a run dies."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from cxr_pipeline.errors import TrainingError
from cxr_pipeline.training.network.backbone import build_network
from cxr_pipeline.training.run.learner import Learner
from cxr_pipeline.training.run.loop import fit
from cxr_pipeline.training.run.program import REQUEUE, RESUME
from cxr_pipeline.training.run.snapshot import load_snapshot
from cxr_pipeline_tests.training.tiny import TINY

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


def start(job):
    command = [sys.executable, "-m", "cxr_pipeline.training", str(job)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


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


def test_a_run_killed_at_any_step_ends_with_the_same_bits_and_events(undisturbed, inputs, tmp_path):
    job = write_job(tmp_path / "job", inputs)
    for steps in (4, 13):  # within the first epoch, within the third
        process = start(job)
        wait_for_steps(job, process, steps)
        process.kill()
        assert finish(process)[0] == -signal.SIGKILL
    assert finish(start(job)) == (0, "")
    assert outcome(job) == undisturbed
    assert not list(job.glob("resume*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_saves_and_asks_to_be_queued_again(undisturbed, inputs, tmp_path, number):
    job = write_job(tmp_path / "job", inputs)
    process = start(job)
    wait_for_steps(job, process, 2)
    process.send_signal(number)
    status, told = finish(process)
    assert status == REQUEUE
    assert told.startswith("error: Stopped by a signal after step ")
    assert not (job / "result.json").exists()
    assert finish(start(job)) == (0, "")
    assert outcome(job) == undisturbed


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


def test_without_a_snapshot_a_run_begins(inputs, tmp_path):
    import torch

    learner = Learner(CONFIG, build_network(CONFIG), torch.device("cpu"))
    progress = load_snapshot(tmp_path, learner, inputs)
    assert (progress.epoch, progress.step, progress.history) == (1, 0, [])
