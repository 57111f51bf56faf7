"""How a source stands: what lies on disk against what its last inventory read."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.labels.reports.imports import StatesFile
from cxr_pipeline.watch import Look, describe_changes, is_settled

if TYPE_CHECKING:
    from dagster._core.storage.event_log.base import AssetRecord

NOT_USED = "not used"  # as the state of a source that has no folder here
REASON_TAG = "cxr/reason"  # of a run that was asked for
# Metadata of `raw/<source>`: the digest of the files that were there, and how far the journal of the watch had come.
STATE_METADATA, SEQUENCE_METADATA = "source_state", "source_journal"
# Metadata of `labels/imported_<source>`: which file of states, as it was then.
STAMP_METADATA = "states_stamp"


@dataclass(frozen=True)
class Inventoried:
    """What the last successful `raw/<source>` read."""

    state: str
    sequence: int


@dataclass(frozen=True)
class Standing:
    """`change` says what differs and is to be read; `waits_for` why it is not read yet. Both are empty as a rule."""

    source: str
    change: str = ""
    waits_for: str = ""

    @property
    def is_held(self) -> bool:
        return bool(self.waits_for)


def read_inventories(instance: dg.DagsterInstance) -> dict[str, Inventoried]:
    """source -> what its last inventory read; those that never had one, or had it from an older version, are absent."""
    records = instance.get_asset_records([dg.AssetKey(["raw", name]) for name in DATASETS])
    found = {}
    for record in records:
        metadata = _metadata_of(record)
        if STATE_METADATA in metadata and SEQUENCE_METADATA in metadata:
            state, sequence = metadata[STATE_METADATA].value, metadata[SEQUENCE_METADATA].value
            found[record.asset_entry.asset_key.path[-1]] = Inventoried(str(state), int(str(sequence)))
    return found


def stand(source: str, look: Look | None, read: Inventoried | None, quiet_seconds: float) -> Standing:
    """How `source` stands by its latest look, which is None where it is not used here."""
    if look is None:
        return Standing(source, change=f"{source}: used no longer" if read and read.state != NOT_USED else "")
    if look.problem:
        return Standing(source, waits_for=f"{source}: {look.problem}")
    if read and read.state == look.digest:
        return Standing(source)
    changes = describe_changes(source, look.changes)
    if is_settled(look, quiet_seconds=quiet_seconds, now=time.time()):
        return Standing(source, change=changes)
    return Standing(source, waits_for=f"{changes}, {_why_unsettled(look)}")


def stamp_of_states(file: StatesFile | None) -> str:
    """Whose states these are, and the size and time of their file; of a file that is away, that."""
    if file is None:
        return "none"
    try:
        status = file.path.stat()
    except OSError:
        return f"{file.labeler}: no file"
    return f"{file.labeler}: {status.st_size} bytes of {status.st_mtime_ns}"


def find_other_states(instance: dg.DagsterInstance, files: Mapping[str, StatesFile | None]) -> dict[dg.AssetKey, str]:
    """`labels/imported_<source>` of sources whose file of states (`files`) is another than was read -> why."""
    keys = {dg.AssetKey(["labels", f"imported_{name}"]): name for name in files}
    found = {}
    for record in instance.get_asset_records(list(keys)):
        key = record.asset_entry.asset_key
        read = _metadata_of(record).get(STAMP_METADATA)
        if read is not None and read.value != stamp_of_states(files[keys[key]]):
            found[key] = "was made from another file of states"
    return found


def _metadata_of(record: "AssetRecord") -> Mapping[str, dg.MetadataValue]:
    made = record.asset_entry.last_materialization
    event = made.asset_materialization if made else None
    return event.metadata if event else {}


def _why_unsettled(look: Look) -> str:
    if look.unfinished:
        return f"and waits for the end of {', '.join(look.unfinished)}"
    if not look.is_complete:
        return f"and is still looked through ({look.files:,} files so far)"
    return f"and waits until it is quiet (changed {max(0.0, time.time() - look.newest_change):.0f} s ago)"
