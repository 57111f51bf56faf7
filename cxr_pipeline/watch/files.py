"""Looks at files: what is new, due, descriptive, or whose turn it is. Which files there are, the folders say."""

import os
import stat
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from cxr_pipeline.watch.contents import Contents, read_contents
from cxr_pipeline.watch.disk import ABSENT, Answered, ask, mark_of
from cxr_pipeline.watch.journal import Event
from cxr_pipeline.watch.kinds import Kind, public_name
from cxr_pipeline.watch.marks import mark_of_file
from cxr_pipeline.watch.memory import UNSEEN, YOUNG, FolderStatus
from cxr_pipeline.watch.survey import GRANULARITY_SECONDS, Row, Survey

NOTHING = -1  # as a size: a dead link, or gone before it was stat'ed
_BATCH = 512
_METADATA_MOST = 5_000  # stat'ed at every look; OpenI has 3,955 reports, MIMIC's 227,835 are left to the sweep
_TURN_MOST = 2_048  # stat'ed at every look of those in turn, so that most of the budget is left to the folders
_WATCHED_SECONDS = 3_600.0
_UNREAD = Contents(None, is_unfinished=False)
_COLUMNS = (
    "files.folder, folders.path, name, kind, size, mtime_ns, due, arrived, happened, files.mark, content, "
    "is_unfinished, folders.depth"
)
_SELECT = f"SELECT {_COLUMNS} FROM files JOIN folders ON folders.id = files.folder"
_UPDATE = (
    "UPDATE files SET size = ?, mtime_ns = ?, due = ?, arrived = ?, happened = ?, mark = ?, content = ?, "
    "is_unfinished = ? WHERE folder = ? AND name = ?"
)


class File(NamedTuple):
    """A file as the memory has it. `size` is null until it is stat'ed, and NOTHING where nothing is there."""

    folder: int
    path: bytes  # of the folder
    name: bytes
    kind: Kind
    size: int | None
    mtime_ns: int | None
    due: float | None  # when to stat it again: UNSEEN, YOUNG, a time, or in its turn
    arrived: int | None
    happened: int | None
    mark: int | None  # of the times of one whose content is read
    content: bytes | None
    is_unfinished: int
    depth: int

    @property
    def is_there(self) -> bool:
        return self.size is not None and self.size != NOTHING

    @property
    def digest_mark(self) -> int:
        """What it adds to the digest."""
        if self.size is None or self.size == NOTHING:
            return 0
        return mark_of_file(self.path, self.name, self.size, self.mtime_ns or 0, self.content)


class FileSurvey:
    """The files' part of one look. Each method is one batch, and says whether there is more."""

    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        self._described = (-1, b"")
        self._described_left = _METADATA_MOST
        self._swept = self._due = 0
        self._has_read = False  # a file's contents, in this batch

    def stat_unseen(self) -> bool:
        """New files, and those that were too young to be sure of."""
        return self._stat(f"WHERE due = {UNSEEN} LIMIT {_BATCH}")

    def stat_due(self) -> bool:
        """Those that changed of late, each again when its age has doubled: a copy that grows in place leaves no trace
        in its folder, and may stall."""
        now = self._survey.disk.now()
        self._due += _BATCH
        has_more = self._stat(f"WHERE due > {YOUNG} AND due <= ? ORDER BY due LIMIT {_BATCH}", now)
        return has_more and self._due < _TURN_MOST

    def stat_metadata(self) -> bool:
        """The files that describe the source, shallow folders first."""
        where = f"WHERE kind <> 0 AND (files.folder, name) > (?, ?) ORDER BY files.folder, name LIMIT {_BATCH}"
        with self._survey.memory.transaction():
            rows = self._select(where, *self._described)
            self._take(rows)
        if rows:
            self._described = rows[-1].folder, rows[-1].name
        self._described_left -= len(rows)
        return len(rows) == _BATCH and self._described_left > 0

    def sweep(self, *, to_end: bool) -> bool:
        """All files in turn, from where the last look stopped, in search of those written over in place; `to_end`:
        each once."""
        state = self._survey.memory.state
        where = f"WHERE (files.folder, name) > (?, ?) ORDER BY files.folder, name LIMIT {_BATCH}"
        with self._survey.memory.transaction():
            rows = self._select(where, state.sweep_folder, state.sweep_name)
            self._take(rows)
            end = rows[-1] if len(rows) == _BATCH else None
            state.sweep_folder, state.sweep_name = (end.folder, end.name) if end else (0, b"")
        self._swept += len(rows)
        return end is not None and (to_end or self._swept < _TURN_MOST)

    def drop(self, folder: int, names: Iterable[bytes] | None = None) -> None:
        """Forgets files of a folder (all of them), within a transaction."""
        chosen = None if names is None else set(names)
        rows = self._select("WHERE files.folder = ?", folder)
        gone = [file for file in rows if chosen is None or file.name in chosen]
        for file in gone:
            if file.is_there:
                self._account(file, file._replace(size=NOTHING))
        connection = self._survey.memory.connection
        connection.executemany("DELETE FROM files WHERE folder = ? AND name = ?", [(f.folder, f.name) for f in gone])

    def _stat(self, where: str, *values: float) -> bool:
        with self._survey.memory.transaction():
            rows = self._select(where, *values)
            self._take(rows)
        return len(rows) == _BATCH

    def _select(self, where: str, *values: float | bytes) -> list[File]:
        rows: Iterable[Row] = self._survey.memory.connection.execute(f"{_SELECT} {where}", values)
        return [File(*row) for row in rows]

    def _take(self, files: list[File]) -> None:
        """Stats the files and keeps what is new of them."""
        survey, now = self._survey, self._survey.disk.now()
        paths = [survey.path(file.path, file.name) for file in files]
        answers = survey.pool.map(partial(ask, survey.disk), paths)
        self._has_read = False
        after = [self._settle(file, answer, now) for file, answer in zip(files, answers, strict=True)]
        changed = [(old, new) for old, new in zip(files, after, strict=True) if old != new]
        if any(old.is_there and not new.is_there for old, new in changed):
            survey.require_root()
        rows = [(*new[4:12], new.folder, new.name) for _, new in changed]
        survey.memory.connection.executemany(_UPDATE, rows)

    def _settle(self, file: File, answer: Answered, now: float) -> File:
        """The file as it is now; what that means for the source is noted."""
        new = self._compare(file, answer, now)
        if new == file or new.digest_mark == file.digest_mark:
            return new
        status, sequence = answer.status, self._survey.memory.next_sequence
        changed_ns = max(status.st_ctime_ns, status.st_mtime_ns) if status else int(now * 1e9)
        self._survey.note_change(changed_ns, now)
        self._account(file, new)
        return new._replace(arrived=file.arrived if file.is_there else sequence, happened=sequence)

    def _compare(self, file: File, answer: Answered, now: float) -> File:
        status = answer.status
        if status is not None and stat.S_ISREG(status.st_mode):
            return self._compare_there(file, status, now)
        if status is None and answer.error not in ABSENT:
            self._survey.unreadable += 1
            self._survey.note_fault(answer.error)
            return file._replace(size=NOTHING if file.size is None else file.size, due=None)
        if status is not None and stat.S_ISDIR(status.st_mode):
            self._take_folder(file)
        return file._replace(size=NOTHING, mtime_ns=None, due=None, mark=None, content=None, is_unfinished=0)

    def _take_folder(self, file: File) -> None:
        """A folder whose name ends like a file's."""
        path = self._survey.join(file.path, file.name)
        values = (FolderStatus.TO_LIST, file.folder, path, FolderStatus.GONE)
        known = self._survey.memory.connection.execute(
            "UPDATE folders SET status = ? WHERE parent = ? AND path = ? AND status <> ?", values
        )
        if not known.rowcount:
            is_link = os.path.islink(self._survey.path(path))  # noqa: PTH114 - bytes
            self._survey.add_folder(file.folder, path, file.depth + 1, is_link=is_link)

    def _compare_there(self, file: File, status: os.stat_result, now: float) -> File:
        is_read = file.kind == Kind.METADATA and public_name(file.path, file.name, file.kind) is not None
        mark = mark_of(status) if is_read else None
        is_news = (status.st_size, status.st_mtime_ns, mark) != (file.size, file.mtime_ns, file.mark)
        due = self._when_due(file, status, now, is_news=is_news)
        if not is_news:
            return file._replace(due=due)
        if is_read and self._has_read and self._survey.meter.is_over:
            return file._replace(due=UNSEEN)
        contents = self._read(file) if is_read else _UNREAD
        return file._replace(
            size=status.st_size, mtime_ns=status.st_mtime_ns, due=due, mark=mark, content=contents.digest,
            is_unfinished=int(contents.is_unfinished),
        )  # fmt: skip

    def _read(self, file: File) -> Contents:
        self._has_read = True
        path = self._survey.path(file.path, file.name)
        try:
            return read_contents(Path(os.fsdecode(path)))
        except OSError:  # gone or forbidden meanwhile: its size and time must do until it changes
            return _UNREAD

    def _when_due(self, file: File, status: os.stat_result, now: float, *, is_news: bool) -> float | None:
        if self._survey.is_young(status.st_ctime_ns, now, is_news=is_news):
            return YOUNG
        age = max(GRANULARITY_SECONDS, now - status.st_ctime_ns / 1e9)
        if age >= _WATCHED_SECONDS:
            return None
        waits = file.due is not None and file.due > now and not is_news
        return file.due if waits else now + age

    def _account(self, old: File, new: File) -> None:
        """Adds what became of a file to the journal and to the digest."""
        event = Event.GONE if not new.is_there else Event.CHANGED if old.is_there else Event.NEW
        sequence = self._survey.memory.next_sequence
        history = (sequence, 0) if event == Event.NEW else (old.arrived or 0, old.happened or 0)
        self._survey.account(event, old.kind, old.path, old.name, history)
        self._survey.add(old.kind, new.digest_mark - old.digest_mark)
