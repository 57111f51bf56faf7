"""One look at a source: what is there, whether that is all and for how long it has been so."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.datasets.files.archives import archive_of
from cxr_pipeline.watch.budget import Budget, Meter, Spent
from cxr_pipeline.watch.disk import Disk, Pool
from cxr_pipeline.watch.files import FileSurvey
from cxr_pipeline.watch.folders import FolderSurvey
from cxr_pipeline.watch.journal import Changes
from cxr_pipeline.watch.kinds import Kinds
from cxr_pipeline.watch.marks import add_mark
from cxr_pipeline.watch.memory import UNSEEN, YOUNG, FolderStatus, Memory, open_memory
from cxr_pipeline.watch.survey import AwayError, Survey

PATIENCE_SECONDS = 3_600.0  # that an unfinished file is waited for; a release may be cut off for good
_DISK = Disk()


@dataclass(frozen=True)
class Look:
    """How a source stands, as far as this look and those before it have seen."""

    dataset: str
    problem: str | None  # why nothing could be looked at; the rest is what was remembered
    digest: str  # the same for the same files, whatever happened in between
    is_complete: bool  # every folder has been visited since the newest change, and nothing waits to be looked at
    files: int
    folders: int
    unreadable: int  # folders that may not be read, and files of this look: remembered as they were
    newest_change: float  # seconds since 1970; 0 where nothing is known
    unfinished: tuple[str, ...]  # metadata files that were not written to their end
    sequence: int  # of the journal, for `since` of a later look
    changes: Changes  # since the sequence that was asked for
    note: str | None  # on the memory: that it was set aside
    spent: Spent


def look(
    memory: Memory, dataset: Dataset, root: Path, *, budget: Budget | None = None, since: int = 0, disk: Disk = _DISK
) -> Look:
    """Looks at the source at `root` for as long as `budget` allows; the next look goes on from there.

    None: every file and folder once. No file is opened but tables and archives that describe the source, when they
    have changed. A root that is away leaves the memory as it is.
    Raises StorageError where the memory cannot be written.
    """
    meter = Meter(budget)
    pool, problem = Pool(meter), None
    try:
        survey = Survey(memory, Kinds.of(dataset), os.fsencode(root), disk, meter, pool, _find(root, memory, disk))
        _begin(survey)
        _look_around(survey, is_whole=budget is None)
        unreadable = survey.unreadable
    except AwayError as error:
        problem, unreadable = f"{root} cannot be read: {error}", 0
    finally:
        pool.close()
    seen = _describe(memory, dataset, root, since=since)
    is_complete = seen.is_complete and problem is None
    unreadable += seen.unreadable
    return replace(seen, problem=problem, is_complete=is_complete, unreadable=unreadable, spent=meter.spent)


def look_at_all(
    folder: Path,
    sources: Mapping[str, Path],
    *,
    budget: Budget,
    since: Mapping[str, int] | None = None,
    disk: Disk = _DISK,
) -> dict[str, Look]:
    """A look at each source (name -> root), with a memory for each below `folder`.

    Small ones first: what they leave of their share goes to the large.
    """
    looks: dict[str, Look] = {}
    spent = Spent()
    waiting = sorted(sources, key=lambda name: _size(folder / name / "memory.sqlite"))
    for left, name in zip(range(len(waiting), 0, -1), waiting, strict=True):
        share, begun = budget.share(spent, left), (since or {}).get(name, 0)
        with open_memory(folder / name) as memory:
            looks[name] = look(memory, DATASETS[name], sources[name], budget=share, since=begun, disk=disk)
        spent += looks[name].spent
    return looks


def is_settled(look: Look, *, quiet_seconds: float, now: float, patience_seconds: float = PATIENCE_SECONDS) -> bool:
    """Whether nothing has changed for `quiet_seconds`, nothing waits to be looked at, and no metadata file is
    unfinished; that last is no reason to wait after `patience_seconds` without a change."""
    quiet = now - look.newest_change
    if look.problem or not look.is_complete or quiet < quiet_seconds:
        return False
    return not look.unfinished or quiet >= patience_seconds


def _find(root: Path, memory: Memory, disk: Disk) -> tuple[int, int]:
    """Device and inode of the root; AwayError where it is not there, or is the empty folder that a disk is mounted
    on."""
    try:
        status = disk.stat(os.fsencode(root))
        with disk.scan(os.fsencode(root)) as entries:
            is_empty = all(entry.name.startswith(b".") for entry in entries)
    except OSError as error:
        raise AwayError(error.strerror) from error
    if is_empty and memory.state.files:
        raise AwayError(f"it is empty, and held {memory.state.files:,} files: is its disk mounted?")
    return status.st_dev, status.st_ino


def _begin(survey: Survey) -> None:
    """What waited for this look is taken up; all is doubted where the root or the rules are others than before."""
    memory, state = survey.memory, survey.memory.state
    kinds = json.dumps([[*map(bytes.decode, survey.kinds.pictures)], os.fsdecode(survey.kinds.archive or b"")])
    with memory.transaction() as connection:
        state.look += 1
        connection.execute("UPDATE folders SET status = 0 WHERE status <= 2 AND status = 2")
        connection.execute(f"UPDATE files SET due = {UNSEEN} WHERE due = {YOUNG}")
        if (os.fsdecode(survey.root), kinds) != (state.root, state.kinds):
            state.root, state.kinds = os.fsdecode(survey.root), kinds
            connection.execute("UPDATE folders SET status = 0 WHERE status > 2")
            connection.execute(f"UPDATE files SET due = {UNSEEN}")
        if not memory.count("folders"):
            survey.add_folder(0, b"", 0, is_link=False)


def _look_around(survey: Survey, *, is_whole: bool) -> None:
    """Where news shows first, then what is known to be new, then all in turn, which may bring more.

    However small the budget, one batch of each is done, of the last three of one: they come first by turns.
    """
    files, meter = FileSurvey(survey), survey.meter
    folders = FolderSurvey(survey, files)
    meter.repeat("around", folders.visit_shallow)
    meter.repeat("around", files.stat_metadata)
    _take_up(meter, files, folders)
    turn = survey.memory.state.look % 3
    if is_whole:
        survey.memory.state.sweep_folder, survey.memory.state.sweep_name = 0, b""
    rounds = [folders.visit_block, lambda: files.sweep(to_end=is_whole), files.stat_due]
    for position, batch in enumerate(rounds[turn:] + rounds[:turn]):
        meter.repeat("around", batch, at_least_once=position == 0)
    _take_up(meter, files, folders)


def _take_up(meter: Meter, files: FileSurvey, folders: FolderSurvey) -> None:
    meter.repeat("work", folders.clear_gone)
    meter.repeat("work", folders.list_waiting)
    meter.repeat("work", folders.clear_gone)
    meter.repeat("work", files.stat_unseen)


def _describe(memory: Memory, dataset: Dataset, root: Path, *, since: int) -> Look:
    """What is remembered."""
    state = memory.state
    digest = state.digest
    archive = archive_of(dataset, root)
    if archive and int.from_bytes(state.parts, "big") and archive.is_pending:  # else the parts may come and go
        digest = add_mark(digest, int.from_bytes(state.parts, "big"))
    closed = memory.count(f"folders WHERE status = {FolderStatus.UNREADABLE}")
    return Look(
        dataset=dataset.name,
        problem=None,
        digest=digest.hex(),
        is_complete=_is_complete(memory),
        files=state.files,
        folders=state.folders,
        unreadable=closed,
        newest_change=state.newest_change,
        unfinished=_name_unfinished(memory),
        sequence=state.sequence,
        changes=memory.changes_since(since),
        note=memory.note,
        spent=Spent(),
    )


def _is_complete(memory: Memory) -> bool:
    waiting = memory.count("(SELECT 1 FROM folders WHERE status <= 2 LIMIT 1)")
    unsure = memory.count(f"(SELECT 1 FROM files WHERE due <= {YOUNG} LIMIT 1)")
    passed_over = memory.count(f"blocks WHERE seen_at < {memory.state.newest_change!r}")
    return not (waiting or unsure or passed_over)


def _name_unfinished(memory: Memory) -> tuple[str, ...]:
    rows = memory.connection.execute("SELECT name FROM files WHERE is_unfinished = 1 ORDER BY folder, name")
    return tuple(bytes(name).decode(errors="replace") for (name,) in rows)


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0
