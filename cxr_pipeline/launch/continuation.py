"""More epochs: a training job goes on from the last state of one that differs in its end alone, where that is exact.

The state is shared, not moved: the earlier job stays as it was, with its result. What `fit` does with it is in
`training.run.snapshot`; that a run says where it comes from, in `training.run.predecessor`.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from cxr_pipeline.errors import JobError
from cxr_pipeline.launch.job import Job
from cxr_pipeline.launch.local import exclusively
from cxr_pipeline.storage.files import write_atomically, write_json, write_text
from cxr_pipeline.storage.records import read_record
from cxr_pipeline.training.config import ENDING_FIELDS, TrainConfig
from cxr_pipeline.training.run.predecessor import Predecessor
from cxr_pipeline.training.run.program import RESUME, read_resume


@dataclass(frozen=True)
class Relative:
    """A job of the same program on the same data whose config differs in ENDING_FIELDS alone, and the state it kept."""

    job: Job
    config: dict[str, Any]
    state: dict[str, Any] | None

    @property
    def steps_done(self) -> int:
        return int(self.state["steps_done"]) if self.state else 0

    @property
    def epochs_begun(self) -> int:
        """The epochs that its state knows of, the last one perhaps in part."""
        progress = self.state["progress"] if self.state else {"epoch": 1, "step": 0}
        return int(progress["epoch"]) - 1 + (progress["step"] > 0)


def go_on_from_relative(job: Job, config: TrainConfig) -> None:
    """Gives a training job that has not begun the furthest state that its own run would have come through too.

    Does nothing where no relative was trained. Where one was and nothing can be gone on from, the job's run says why.
    Raises JobError when the job itself is being run.
    """
    if job.is_done or (job.folder / RESUME).is_file():
        return
    relatives = sorted(_relatives(job), key=lambda one: (one.steps_done, one.config["epochs"]), reverse=True)
    if not relatives:
        return
    with exclusively(job):
        for relative in relatives:
            if not _obstacle(relative, config) and _take_over(relative, job, config):
                return
        _note(job, relatives[0], why=_obstacle(relatives[0], config) or "it is being run")


def _relatives(job: Job) -> Iterator[Relative]:
    own = _identity(job.folder)
    for path in sorted(job.folder.parent.glob("*/identity.json")):
        other = _identity(path.parent)
        if path.parent != job.folder and _without_end(other) == _without_end(own):
            resume = path.parent / RESUME
            state = read_resume(resume) if resume.is_file() else None
            if state or (path.parent / "result.json").is_file():
                yield Relative(Job(path.parent, job.program), other["config"], state)


def _obstacle(relative: Relative, config: TrainConfig) -> str:
    """Why the run of `config` would not have come through the relative's last state; empty where it would have."""
    if config.schedule == "cosine":
        return (
            "the learning rate of a cosine depends on the number of epochs from the first step on. To build on its "
            f"weights instead, with a new warm-up, set `pretrained` to {relative.job.folder}/checkpoint/"
            "model.safetensors"
        )
    if relative.state is None:
        return f"it keeps no {RESUME} any more"
    if relative.epochs_begun > config.epochs:
        return f"it is in epoch {relative.epochs_begun} already"
    if relative.config["early_stop_patience"] > config.early_stop_patience:
        return f"with early_stop_patience {config.early_stop_patience} it might have ended before its last state"
    return ""


def _take_over(relative: Relative, job: Job, config: TrainConfig) -> bool:
    """Copies state, events and best weights, RESUME last; False while the relative is being run, which moves them."""
    source, state = relative.job.folder, relative.state
    assert state is not None
    try:
        with exclusively(relative.job):
            _link(source / state["state"], job.folder / state["state"])
            _copy_checkpoint(source / "checkpoint", job.folder / "checkpoint", config)
            events = (source / "events.jsonl").read_bytes()[: state["events_bytes"]]
            write_text(job.folder / "events.jsonl", events.decode())
            _note(job, relative, why="")
            write_json(job.folder / RESUME, {**state, "config": config.deciding()})
    except (JobError, FileNotFoundError):
        return False
    return True


def _copy_checkpoint(source: Path, target: Path, config: TrainConfig) -> None:
    """The best weights so far, with the config that an uninterrupted run would have kept them with."""
    if not (source / "config.json").is_file():
        return
    kept = read_record(source / "config.json", {"train": dict}, remedy="copy the checkpoint again, or train again")
    _link(source / "model.safetensors", target / "model.safetensors")
    kept["train"] = config.model_dump(mode="json")
    write_text(target / "config.json", to_json(kept, indent=2).decode() + "\n")


def _link(source: Path, target: Path) -> None:
    """The same bytes under another name, without a copy where the disk can: nobody changes them in place."""

    def put(temporary: Path) -> None:
        temporary.unlink()
        try:
            os.link(source, temporary)
        except OSError:  # another file system, or one without links
            shutil.copyfile(source, temporary)

    write_atomically(target, put)


def _note(job: Job, relative: Relative, *, why: str) -> None:
    note = Predecessor(
        job=relative.job.folder.name,
        epochs=relative.config["epochs"],
        steps_done=relative.steps_done,
        begun_anew_because=why,
    )
    note.write(job.folder)


def _identity(folder: Path) -> dict[str, Any]:
    remedy = "delete it, and nothing is gone on from this job"
    return read_record(folder / "identity.json", {"program": str, "config": dict, "digests": dict}, remedy=remedy)


def _without_end(identity: dict[str, Any]) -> dict[str, Any]:
    config = {name: value for name, value in identity["config"].items() if name not in ENDING_FIELDS}
    return {**identity, "config": config}
