"""Several processes as one: real processes, started by torchrun, that talk over Gloo."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from cxr_pipeline.training.run.world import World
from cxr_pipeline_tests.training.tiny import TINY

CONFIG = TINY.model_copy(update={"batch_size": 8, "report_steps": 1, "epochs": 1, "threads": 1})


def losses_of(folder, inputs, *, processes, config=CONFIG):
    """(the loss of each step, the result) of a job of so many processes."""
    folder.mkdir()
    (folder / "config.json").write_text(config.model_dump_json())
    (folder / "inputs.json").write_text(inputs.model_dump_json())
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [*(torchrun if processes > 1 else [sys.executable]), "-m", "cxr_pipeline.training", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert events[0]["processes"] == processes
    result = json.loads((folder / "result.json").read_text())
    return [event["loss"] for event in events if event["event"] == "step"], result


@pytest.fixture(scope="module")
def alone(inputs, tmp_path_factory):
    return losses_of(tmp_path_factory.mktemp("alone") / "job", inputs, processes=1)


@pytest.mark.long
@pytest.mark.parametrize("processes", [2, 4])
def test_processes_that_share_a_batch_learn_as_one(alone, inputs, tmp_path, processes):
    losses, expected = alone
    together, result = losses_of(tmp_path / "several", inputs, processes=processes)
    assert len(together) == 6
    assert together == pytest.approx(losses, rel=2e-4)
    assert result["val_loss"] == pytest.approx(expected["val_loss"], rel=1e-3)
    assert result["val_macro_auroc"] == pytest.approx(expected["val_macro_auroc"], abs=0.01)


def test_the_images_of_a_batch_are_shared_without_rest():
    order = np.arange(24)
    shares = [World(rank, 4).own(order, 8) for rank in range(4)]
    for start in (0, 2, 4):
        batch = np.concatenate([share[start : start + 2] for share in shares])
        assert sorted(batch) == list(range(start * 4, start * 4 + 8))


def test_one_process_is_a_world():
    world = World()
    rows = np.array([2, 0, 1])
    gathered = world.gather_rows(rows, torch.arange(6.0).reshape(3, 2), n=3)
    assert gathered.tolist() == [[2, 3], [4, 5], [0, 1]]
    assert world.is_first
    assert [world.any(flag, torch.device("cpu")) for flag in (True, False)] == [True, False]
