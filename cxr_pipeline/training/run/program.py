"""What the programs of a job folder share: inputs, events, result, Dagster Pipes. What they compute is not here."""

import errno
import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from cxr_pipeline.errors import CxrError, Interrupted, JobError
from cxr_pipeline.storage.faults import tell_fault, told_faults
from cxr_pipeline.storage.files import write_json
from cxr_pipeline.storage.records import read_record

Event = dict[str, Any]
Report = Callable[[Event], None]
Model = TypeVar("Model", bound=BaseModel)


class JobInputs(BaseModel):
    """`inputs.json`: the files that a job reads. `images` holds one store per dataset.

    `licences`, dataset -> terms, are what the checkpoint inherits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cohort: Path
    images: Path
    cohort_digest: str
    checkpoint: Path | None = None
    licences: dict[str, str] = {}


RESUME = "resume.json"  # of a program that can go on: its `events_bytes` of the event file are kept
REQUEUE = 75  # exit status EX_TEMPFAIL: stopped by a signal, and the same command goes on

Body = Callable[[Path, JobInputs, Report], dict[str, Any]]


def run_program(job: Path, body: Body) -> int:
    """Runs `body(job, inputs, report)` in a job folder and returns the exit status of the process.

    Events go to `events.jsonl` and to Dagster where it listens, else to stdout. What `body` returns becomes
    `result.json`, written last. A CxrError or a full disk is one line on stderr and status 1, Interrupted one
    line and status REQUEUE; other exceptions propagate. Of the processes that torchrun starts, the first one writes.
    """
    is_first = os.environ.get("RANK", "0") == "0"
    try:
        _begin(job, is_first=is_first)
        inputs = read_model(job / "inputs.json", JobInputs)
        with _open_report(job) if is_first else nullcontext(_ignore) as report:
            result = body(job, inputs, report)
        if is_first:
            write_json(job / "result.json", result)
    except CxrError as error:
        sys.stderr.write(f"error: {error}\n")
        return REQUEUE if isinstance(error, Interrupted) else 1
    except Exception as error:
        told = tell_fault(error)  # of what was not written by `storage`: a log, a library's file
        if told is None:
            raise
        sys.stderr.write(f"error: {told}\n")
        return 1
    return 0


def rewind_events(job: Path) -> None:
    """Cuts `events.jsonl` to what a program that goes on will not tell again; to nothing where none goes on."""
    events, resume = job / "events.jsonl", job / RESUME
    kept = int(read_resume(resume)["events_bytes"]) if resume.is_file() else 0
    if events.is_file():
        os.truncate(events, min(kept, events.stat().st_size))


def read_resume(path: Path) -> Event:
    """What a run left to go on from, see `training.run.snapshot`; raises RecordError where it is damaged."""
    expected = {"state": str, "config": dict, "events_bytes": int, "steps_done": int, "progress": dict}
    return read_record(path, expected, remedy="delete it, and the run begins anew")


def read_model(path: Path, model: type[Model]) -> Model:
    """The JSON file at `path` as a validated `model`; raises JobError when it is absent or does not fit."""
    if not path.is_file():
        raise JobError(f"No {path.name} in {path.parent}: expected a job folder with config.json and inputs.json.")
    try:
        return model.model_validate_json(path.read_bytes())
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or path.name}: {e['msg']}" for e in error.errors())
        raise JobError(f"{path} is not a valid {model.__name__} ({wrong}): mend these fields.") from error


def event_line(event: Event) -> str:
    """One line for a person: the event's name and its values; tables stay in `events.jsonl`."""
    values = {key: value for key, value in event.items() if key != "event" and not isinstance(value, dict)}
    return " ".join([str(event["event"]), *(f"{key}={_short(value)}" for key, value in values.items())])


def _begin(job: Path, *, is_first: bool) -> None:
    if not job.is_dir():
        raise JobError(f"No job folder at {job}: expected a folder with config.json and inputs.json.")
    if is_first:
        (job / "result.json").unlink(missing_ok=True)  # its presence says that the job is complete
        rewind_events(job)


@contextmanager
def _open_report(job: Path) -> Iterator[Report]:
    path = job / "events.jsonl"
    with path.open("ab", buffering=0) as file, _open_listener() as listen:

        def report(event: Event) -> None:
            line = json.dumps(event, allow_nan=False).encode() + b"\n"
            with told_faults(path):
                if file.write(line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            listen(event)

        yield report


@contextmanager
def _open_listener() -> Iterator[Report]:
    if "DAGSTER_PIPES_CONTEXT" not in os.environ:
        yield _print
        return
    from dagster_pipes import open_dagster_pipes

    with open_dagster_pipes() as pipes:

        def tell_dagster(event: Event) -> None:
            pipes.log.info(event_line(event))
            pipes.report_custom_message(event)

        yield tell_dagster


def _print(event: Event) -> None:
    sys.stdout.write(event_line(event) + "\n")
    sys.stdout.flush()


def _ignore(_: Event) -> None:
    pass


def _short(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) or "none"
    return f"{value:.4g}" if isinstance(value, float) and math.isfinite(value) else str(value)
