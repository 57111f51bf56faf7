"""A job folder: how one is named, filled, found finished, and followed while it runs."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cxr_pipeline.errors import JobError
from cxr_pipeline.storage.files import write_json
from cxr_pipeline.storage.records import read_record


@dataclass(frozen=True)
class Job:
    """One run of one program over one folder; the file names are the contract of `docs/architecture.md`."""

    folder: Path
    program: str

    @property
    def events(self) -> Path:
        return self.folder / "events.jsonl"

    @property
    def output(self) -> Path:
        return self.folder / "stdout.log"

    @property
    def is_done(self) -> bool:
        return (self.folder / "result.json").is_file()

    def result(self) -> dict[str, Any]:
        """What the program left; raises JobError when it left nothing."""
        if not self.is_done:
            raise JobError(f"{self.program} has left no result in {self.folder}: see {self.output}.")
        remedy = "delete it and run the same again: what is kept in the folder is gone on from"
        return read_record(self.folder / "result.json", {}, remedy=remedy)


def prepare_job(
    jobs: Path,
    program: str,
    *,
    config: Mapping[str, Any],
    inputs: Mapping[str, Any],
    digests: Mapping[str, str],
    deciding: Mapping[str, Any] | None = None,
) -> Job:
    """The job folder in `jobs` for this work, with `config.json`, `inputs.json` and `identity.json` written.

    Its name is the digest of the program, of the `deciding` part of the config (all of it, where none is named) and of
    the content `digests` of the inputs (not of their paths), so that work which was done before is found again, also
    after the lake has moved; `identity.json` holds what was digested. A job that is done keeps the config that it was
    done with.
    """
    named_by = config if deciding is None else deciding
    identity = {"program": program, "config": dict(named_by), "digests": dict(digests)}
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    job = Job(jobs / digest[:16], program)
    if not job.is_done:
        write_json(job.folder / "config.json", dict(config))
    write_json(job.folder / "inputs.json", dict(inputs))
    write_json(job.folder / "identity.json", identity)
    return job


@dataclass
class EventTail:
    """Reads whole lines of a growing JSON-lines file, from where it stopped the last time."""

    path: Path
    _offset: int = field(default=0, init=False)

    def read(self) -> Iterator[dict[str, Any]]:
        """The events that were completed since the last call; none while the file is not there."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                yield json.loads(line)
