"""What a killed run goes on from: every number that the rest of the run depends on. Nothing is unpickled.

In a job folder: `resume-<n>.safetensors`, and `resume.json`, written after it, which names it. The order of the images
and their augmentation follow from seed, epoch and step, so they need no state of their own.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from cxr_pipeline.errors import TrainingError
from cxr_pipeline.storage.files import write_atomically, write_json
from cxr_pipeline.training.run.learner import Learner
from cxr_pipeline.training.run.program import RESUME, JobInputs, read_resume


@dataclass
class Progress:
    """How far a run is: `step` steps of `epoch` (from 1) are done."""

    epoch: int = 1
    step: int = 0
    losses: list[float] = field(default_factory=list)  # of the epoch's steps so far
    history: list[dict[str, Any]] = field(default_factory=list)  # `loop.Epoch` of each epoch that is over


def save_snapshot(job: Path, learner: Learner, progress: Progress, inputs: JobInputs) -> None:
    """Writes the state of this moment; events that are told later will be told again after a resume.

    Raises StorageError where the disk is full or must not be written; the last snapshot then stays.
    """
    events = job / "events.jsonl"
    data = safetensors.torch.save(_tensors(learner))  # a full disk is then met by our own write, which can tell of it
    name = f"resume-{learner.steps_done}.safetensors"
    write_atomically(job / name, lambda temporary: temporary.write_bytes(data))
    state = {
        "state": name,
        "config": learner.config.deciding(),
        "cohort_digest": inputs.cohort_digest,
        "events_bytes": events.stat().st_size if events.exists() else 0,
        "steps_done": learner.steps_done,
        "learning_rates": [group["lr"] for group in learner.optimizer.param_groups],
        "scaler": learner.scaler.state_dict(),
        "plateau": learner.learning_rate.state_dict(),
        "progress": asdict(progress),
    }
    write_json(job / RESUME, state)
    _remove_states(job, keep=name)


def load_snapshot(job: Path, learner: Learner, inputs: JobInputs) -> Progress:
    """Puts the learner where the snapshot in `job` was taken; the beginning, where there is none.

    Raises TrainingError when it is of another run or damaged.
    """
    if not (job / RESUME).is_file():
        return Progress()
    state = read_resume(job / RESUME)
    asked = (learner.config.deciding(), inputs.cohort_digest)
    if (state["config"], state["cohort_digest"]) != asked:
        raise TrainingError(f"{job / RESUME} is of a run with another config or cohort: delete it to begin anew.")
    try:
        tensors = safetensors.torch.load_file(job / state["state"])
        _restore(learner, tensors, state)
    except (OSError, SafetensorError, RuntimeError, KeyError) as error:
        raise TrainingError(
            f"{job / state['state']} cannot be gone on from ({error}): delete {RESUME} in its folder to begin anew."
        ) from error
    return Progress(**state["progress"])


def clear_snapshot(job: Path) -> None:
    """Removes what a finished run does not need."""
    (job / RESUME).unlink(missing_ok=True)
    _remove_states(job, keep="")


def _tensors(learner: Learner) -> dict[str, torch.Tensor]:
    found = {f"network.{name}": tensor for name, tensor in learner.network.state_dict().items()}
    if learner.ema:
        found |= {f"ema.{name}": tensor for name, tensor in learner.ema.module.state_dict().items()}
    for number, moments in learner.optimizer.state_dict()["state"].items():
        found |= {f"optimizer.{number}.{name}": tensor for name, tensor in moments.items()}
    found["rng.cpu"] = torch.get_rng_state()
    if learner.device.type == "cuda":
        found["rng.cuda"] = torch.cuda.get_rng_state(learner.device)
    return {name: tensor.detach().cpu().contiguous() for name, tensor in found.items()}


def _restore(learner: Learner, tensors: dict[str, torch.Tensor], state: dict[str, Any]) -> None:
    learner.network.load_state_dict(_under("network.", tensors))
    if learner.ema:
        learner.ema.module.load_state_dict(_under("ema.", tensors))
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in _under("optimizer.", tensors).items():
        number, _, moment = name.partition(".")
        moments.setdefault(int(number), {})[moment] = tensor
    groups = learner.optimizer.state_dict()["param_groups"]
    for group, lr in zip(groups, state["learning_rates"], strict=True):
        group["lr"] = lr
    learner.optimizer.load_state_dict({"state": moments, "param_groups": groups})
    learner.learning_rate.load_state_dict(state["plateau"])
    learner.scaler.load_state_dict(state["scaler"])
    learner.steps_done = state["steps_done"]
    _restore_rng(learner, tensors)


def _restore_rng(learner: Learner, tensors: dict[str, torch.Tensor]) -> None:
    """The first process goes on with its generator; the others begin one that no step has used."""
    if not learner.world.is_first:
        torch.manual_seed(learner.config.seed + learner.world.rank + learner.world.size * learner.steps_done)
        return
    torch.set_rng_state(tensors["rng.cpu"])
    if "rng.cuda" in tensors and learner.device.type == "cuda":
        torch.cuda.set_rng_state(tensors["rng.cuda"], learner.device)


def _under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _remove_states(job: Path, *, keep: str) -> None:
    for path in job.glob("resume-*.safetensors"):
        if path.name != keep:
            path.unlink()
