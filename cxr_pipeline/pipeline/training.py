"""Asset `training/checkpoint`: fits the network in a job, and finds the checkpoint that was made last."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxr_pipeline.errors import CheckpointError, OriginError
from cxr_pipeline.launch.continuation import go_on_from_relative
from cxr_pipeline.launch.job import Job
from cxr_pipeline.pipeline.jobs import Launch, prepare_stage_job, track_job
from cxr_pipeline.pipeline.origins import check_cohort
from cxr_pipeline.storage.files import write_json
from cxr_pipeline.storage.lake import Lake
from cxr_pipeline.storage.origins import digest_or_absent
from cxr_pipeline.storage.records import read_record
from cxr_pipeline.tracking import TrackedRun, Tracker

if TYPE_CHECKING:
    from cxr_pipeline.training.config import TrainConfig


@dataclass(frozen=True)
class Checkpoint:
    """The current checkpoint: `training/checkpoint.json` names its job folder."""

    job: Job
    summary: dict[str, Any]

    @property
    def folder(self) -> Path:
        return self.job.folder / "checkpoint"

    @property
    def continued_from(self) -> str | None:
        """The job whose state this one went on from, with more epochs."""
        from cxr_pipeline.training.run.predecessor import predecessor_of

        found = predecessor_of(self.job.folder)
        return found.job if found and not found.begun_anew_because else None

    @property
    def starting_weights(self) -> str | None:
        """Of the file that the weights started from, if any: how many tensors were loaded, skipped and missing."""
        note = self.job.folder / "weights.json"
        if not note.is_file():
            return None
        expected = {"loaded": int, "skipped": list, "missing": list}
        found = read_record(note, expected, remedy="delete it: it is told to people alone")
        return f"{found['loaded']} loaded, {len(found['skipped'])} skipped, {len(found['missing'])} missing"

    def config(self) -> dict[str, Any]:
        expected = {"weights_sha256": str, "cohort_digest": str, "thresholds": dict, "train": dict}
        return read_record(self.folder / "config.json", expected, remedy="copy the checkpoint again, or train again")


def train_checkpoint(
    lake: Lake, config: "TrainConfig", *, launch: Launch, tracker: Tracker, tags: Mapping[str, str]
) -> tuple[Checkpoint, TrackedRun]:
    """`training/checkpoint`: fits the network in a job folder and follows it in MLflow.

    A job with the same config, cohort, pixels and program is found again and not repeated; where fields of the config
    differ that do not decide the weights, an unfinished one goes on with the new values. A job of more epochs than an
    earlier one goes on from its state, where that is exact. Raises JobError when the program fails; the MLflow run is
    then marked failed. Raises OriginError when the cohort is older than what it was
    made from.
    """
    check_cohort(lake)
    settings = config.model_dump(mode="json")
    weights = config.weights_file()
    files = {"weights": weights} if weights else {}
    job = prepare_stage_job(lake, "training", config=settings, deciding=config.deciding(), files=files)
    go_on_from_relative(job, config)
    run = track_job(job, tracker, launch, parameters=settings, tags=tags)
    result = job.result()
    write_json(lake.root / "training" / "checkpoint.json", {"job": job.folder.name, **result})
    return Checkpoint(job, result), run


def current_checkpoint(lake: Lake) -> Checkpoint:
    """The checkpoint that the pipeline trained last; raises CheckpointError when there is none."""
    pointer = lake.root / "training" / "checkpoint.json"
    if not pointer.is_file():
        raise CheckpointError(f"No {pointer}: materialize training/checkpoint, or run `cxr train`, first.")
    remedy = "run `cxr train` again, which repeats nothing that is done and writes it anew"
    summary = read_record(pointer, {"job": str, "weights_sha256": str}, remedy=remedy)
    checkpoint = Checkpoint(Job(lake.folder("training", "jobs") / summary["job"], "cxr_pipeline.training"), summary)
    if not (checkpoint.folder / "config.json").is_file():
        raise CheckpointError(
            f"{pointer} names {checkpoint.folder}, where no checkpoint is any more: `cxr train` again."
        )
    found, named = checkpoint.config()["weights_sha256"], summary["weights_sha256"]
    if found != named:
        raise CheckpointError(
            f"{checkpoint.folder} holds the weights {found[:12]}, expected {named[:12]}, which {pointer} names: the "
            "folder was filled anew. Run `cxr train` again; it repeats nothing that is done."
        )
    return checkpoint


def evaluated_checkpoint(lake: Lake) -> tuple[Checkpoint, dict[str, str]]:
    """The current checkpoint and its identity, which all of `evaluation/` notes as its origin.

    Raises OriginError when the cohort is not the one it was trained on any more: images of its training may be among
    those that would be measured.
    """
    from cxr_pipeline.evaluation.facts import identify

    checkpoint, cohort = current_checkpoint(lake), digest_or_absent(lake.table("split", "cohort"))
    trained_on = checkpoint.config()["cohort_digest"]
    if trained_on != cohort:
        raise OriginError(
            f"The checkpoint {checkpoint.folder} was trained on the cohort {trained_on[:12]}, expected {cohort[:12]}, "
            "which lies in split/cohort now: images that it was trained on may be among those to measure. Train again "
            "on this cohort (`cxr train`, or materialize training/checkpoint) first."
        )
    return checkpoint, identify(checkpoint.folder, cohort_digest=cohort)
