"""Jobs over the current cohort and stores, and their MLflow runs: what `training` and `evaluation` share."""

import hashlib
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.launch.job import EventTail, Job, prepare_job
from cxr_pipeline.pipeline.origins import digests_of
from cxr_pipeline.storage.files import file_digest, write_json
from cxr_pipeline.storage.lake import Lake, read_table
from cxr_pipeline.storage.origins import digest_or_absent
from cxr_pipeline.storage.records import read_record
from cxr_pipeline.tables.split import CohortTable
from cxr_pipeline.tracking import TrackedRun, Tracker

OnEvent = Callable[[dict[str, Any]], None]
Launch = Callable[[Job, OnEvent], dict[str, Any]]  # runs a job somewhere and returns its result


def prepare_stage_job(
    lake: Lake,
    stage: str,
    *,
    config: Mapping[str, Any],
    deciding: Mapping[str, Any] | None = None,
    files: Mapping[str, Path] | None = None,
    **inputs: Path,
) -> Job:
    """The job of one stage's program over the current cohort and stores; `inputs` are further folders
    that it reads, each described by a `config.json`. The `deciding` part of the config names it, and so do the bytes of
    the `files` that the config refers to: see `prepare_job`."""
    cohort = lake.table("split", "cohort")
    read_table(cohort, CohortTable)
    program = f"cxr_pipeline.{stage}"
    code = {name: _code_digest(name) for name in ("cxr_pipeline.training", program)}
    digests = {"cohort": file_digest(cohort), **code}
    digests |= digests_of(lake, (f"images/{name}" for name in DATASETS))
    digests |= {name: file_digest(folder / "config.json") for name, folder in inputs.items()}
    digests |= {name: digest_or_absent(path) for name, path in (files or {}).items()}
    paths = {"cohort": cohort, "images": lake.root / "images", **inputs}
    # Not among the digests: a corrected licence text trains nothing anew.
    licences = {name: dataset.licence for name, dataset in DATASETS.items()}
    return prepare_job(
        lake.folder(stage, "jobs"),
        program,
        config=config,
        inputs={
            **{name: str(path.resolve()) for name, path in paths.items()},
            "cohort_digest": digests["cohort"],
            "licences": licences,
        },
        digests=digests,
        deciding=deciding,
    )


def track_job(
    job: Job, tracker: Tracker, launch: Launch, *, parameters: Mapping[str, Any], tags: Mapping[str, str]
) -> TrackedRun:
    """The MLflow run of a training job: the one it had, or a new one that follows it (or replays its events)."""
    note = job.folder / "mlflow.json"
    known = tracker.find_run(_run_id(note)) if job.is_done and note.exists() else None
    if known:
        launch(job, ignore_event)  # which says that nothing is repeated
        return known
    run = tracker.start_run(job.folder.name, parameters=parameters, tags=tags)
    write_json(note, {"run_id": run.run_id})
    finished = False
    try:
        if job.is_done:
            for event in EventTail(job.events).read():
                run.log_epoch(event)
        launch(job, run.log_epoch)
        run.log_folder(job.folder / "checkpoint", "checkpoint")
        run.register_checkpoint(artifact="checkpoint")
        finished = True
    finally:
        run.finish(failed=not finished)
    return run


def ignore_event(_: dict[str, Any]) -> None:
    """For a job whose events nobody follows."""


def _run_id(note: Path) -> str:
    remedy = "delete it, and the events are logged into a new MLflow run"
    return str(read_record(note, {"run_id": str}, remedy=remedy)["run_id"])


def _code_digest(package: str) -> str:
    """SHA-256 over a package's source files: weights of yesterday's code are not today's."""
    spec = find_spec(package)
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
