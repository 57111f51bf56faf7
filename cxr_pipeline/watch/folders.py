"""Looks at folders: which are new, gone or changed, and which names in them. The files themselves are not stat'ed."""

import os
from functools import partial
from typing import NamedTuple

from cxr_pipeline.watch.disk import ABSENT, Entry, Visit, mark_of, visit
from cxr_pipeline.watch.files import FileSurvey
from cxr_pipeline.watch.links import leads_back
from cxr_pipeline.watch.memory import BLOCK, UNSEEN, FolderStatus
from cxr_pipeline.watch.survey import Survey

_LISTED = 256  # at once: a folder may hold 160,000 names
_CLEARED = 64
_SHALLOW_MOST = 2_000  # visited at every look; new patients and new tables show there
_COLUMNS = "id, parent, path, depth, is_link, status, mark"
_SELECT = f"SELECT {_COLUMNS} FROM folders"


class Folder(NamedTuple):
    """A folder as the memory has it."""

    id: int
    parent: int
    path: bytes  # relative to the root, which is b""
    depth: int
    is_link: int
    status: int
    mark: int | None  # of its times when it was listed


class FolderSurvey:
    """The folders' part of one look. Each method but the private ones is one batch, and says whether there is more."""

    def __init__(self, survey: Survey, files: FileSurvey) -> None:
        self._survey, self._files = survey, files
        self._connection = survey.memory.connection
        self._shallow_left = _SHALLOW_MOST
        self._shallow_at = (-1, 0)
        self._overruled: set[int] = set()  # in this batch: what was asked of them is out of date

    def visit_shallow(self) -> bool:
        """The root, and what lies up to two folders below it."""
        where = f"WHERE depth <= 2 AND status <> 1 AND (depth, id) > (?, ?) ORDER BY depth, id LIMIT {BLOCK}"
        with self._survey.memory.transaction():
            folders = self._select(where, *self._shallow_at)
            self._visit(folders)
        if folders:
            self._shallow_at = folders[-1].depth, folders[-1].id
        self._shallow_left -= len(folders)
        return len(folders) == BLOCK and self._shallow_left > 0

    def list_waiting(self) -> bool:
        """New folders, and those of which something in them says that they have changed."""
        with self._survey.memory.transaction():
            folders = self._select("WHERE status <= 2 AND status = 0 ORDER BY id LIMIT ?", _LISTED)
            self._visit(folders)
        return bool(folders)

    def clear_gone(self) -> bool:
        """What lay in folders that are no longer there."""
        with self._survey.memory.transaction():
            folders = self._select("WHERE status <= 2 AND status = 1 ORDER BY id LIMIT ?", _CLEARED)
            for folder in folders:
                self._clear(folder)
                self._connection.execute("DELETE FROM folders WHERE id = ?", (folder.id,))
        return bool(folders)

    def visit_block(self) -> bool:
        """The folders whose last visit is longest ago; no more when all have been visited in this look."""
        look = self._survey.memory.state.look
        with self._survey.memory.transaction():
            turn = self._connection.execute("SELECT block FROM blocks WHERE look < ? ORDER BY look, block", (look,))
            block = turn.fetchone()
            if block is None:
                return False
            now = self._survey.disk.now()
            folders = self._select("WHERE id BETWEEN ? AND ? AND status >= 2", block[0] * BLOCK, _last(block[0]))
            self._visit(folders)
            self._connection.execute("UPDATE blocks SET look = ?, seen_at = ? WHERE block = ?", (look, now, *block))
        return True

    def _select(self, where: str, *values: int) -> list[Folder]:
        return [Folder(*row) for row in self._connection.execute(f"{_SELECT} {where}", values)]

    def _visit(self, folders: list[Folder]) -> None:
        survey, now = self._survey, self._survey.disk.now()
        marks = [folder.mark if folder.status == FolderStatus.KNOWN else None for folder in folders]
        question = partial(_ask, survey)
        visits = survey.pool.map(question, [*zip(folders, marks, strict=True)])
        lost = False
        self._overruled.clear()
        for folder, visited in zip(folders, visits, strict=True):
            if {folder.id, folder.parent} & self._overruled:
                continue
            if visited.error:
                lost |= self._note_error(folder, visited.error)
            elif visited.status is not None and visited.entries is not None:
                lost |= self._take(folder, visited.status, visited.entries, now)
        if lost:
            survey.require_root()

    def _note_error(self, folder: Folder, error: int) -> bool:
        """Whether something is lost. What cannot be read now is remembered as it was."""
        if error in ABSENT:
            if folder.status != FolderStatus.CLOSED:
                self._set(folder.parent, FolderStatus.TO_LIST, only=FolderStatus.KNOWN)
            self._close(folder)
            return True
        self._survey.note_fault(error)
        self._set(folder.id, FolderStatus.UNREADABLE)
        return False

    def _take(self, folder: Folder, status: os.stat_result, entries: list[Entry], now: float) -> bool:
        """Compares what is in a folder with what was; whether something is lost."""
        mark = mark_of(status)
        if folder.is_link and leads_back(self._survey.root, folder.path):
            self._close(folder)
            return False
        changed_ns = max(status.st_mtime_ns, status.st_ctime_ns)
        lost_files = self._compare_files(folder, [entry for entry in entries if entry.kind is not None])
        lost_folders = self._compare_folders(folder, entries)
        if lost_files or lost_folders:
            self._survey.note_change(changed_ns, now)
        is_young = self._survey.is_young(changed_ns, now, is_news=mark != folder.mark)
        self._open(folder, mark, FolderStatus.YOUNG if is_young else FolderStatus.KNOWN)
        return lost_files or lost_folders

    def _compare_files(self, folder: Folder, entries: list[Entry]) -> bool:
        """New names, and names that lead to another inode (a file put in the place of another), are to be stat'ed."""
        known: dict[bytes, int] = {}
        if folder.mark is not None:  # else nothing is known of it
            rows = self._connection.execute("SELECT name, inode FROM files WHERE folder = ?", (folder.id,))
            known = dict(rows.fetchall())
        new = [(folder.id, e.name, e.kind, e.inode, UNSEEN) for e in entries if e.name not in known]
        other = [(e.inode, UNSEEN, folder.id, e.name) for e in entries if known.get(e.name, e.inode) != e.inode]
        insert = "INSERT INTO files (folder, name, kind, inode, due, is_unfinished) VALUES (?, ?, ?, ?, ?, 0)"
        if new:
            self._connection.executemany(insert, new)
        if other:
            self._connection.executemany("UPDATE files SET inode = ?, due = ? WHERE folder = ? AND name = ?", other)
        gone = known.keys() - {entry.name for entry in entries}
        if gone:
            self._files.drop(folder.id, gone)
        return bool(gone)

    def _compare_folders(self, folder: Folder, entries: list[Entry]) -> bool:
        """What a file's name leads to may be a folder: it is one as long as that name is there."""
        is_known = folder.mark is not None
        children = self._select("WHERE parent = ? AND status <> 1", folder.id) if is_known else []
        known = {child.path: child for child in children}
        names = {self._survey.join(folder.path, entry.name): entry for entry in entries}
        for path, entry in names.items():
            if entry.kind is None and path not in known:
                self._survey.add_folder(folder.id, path, folder.depth + 1, is_link=entry.is_link)
            elif entry.kind is None and known[path].is_link != entry.is_link:
                self._overruled.add(known[path].id)
                self._connection.execute(
                    "UPDATE folders SET is_link = ?, status = 0 WHERE id = ?", (entry.is_link, known[path].id)
                )
        gone = [child for child in children if child.path not in names]
        for child in gone:
            self._overruled.add(child.id)
            self._set(child.id, FolderStatus.GONE)
        return any(child.status != FolderStatus.CLOSED for child in gone)

    def _close(self, folder: Folder) -> None:
        """There is nothing to enter, now."""
        if folder.status != FolderStatus.CLOSED:
            if folder.mark is not None:
                now = self._survey.disk.now()
                self._survey.note_change(int(now * 1e9), now)
            self._clear(folder)
            self._set(folder.id, FolderStatus.CLOSED)

    def _clear(self, folder: Folder) -> None:
        self._overruled.add(folder.id)
        self._files.drop(folder.id)
        self._connection.execute("UPDATE folders SET status = 1 WHERE parent = ?", (folder.id,))
        self._survey.memory.state.folders -= folder.mark is not None
        self._connection.execute("UPDATE folders SET mark = NULL WHERE id = ?", (folder.id,))

    def _open(self, folder: Folder, mark: int, status: FolderStatus) -> None:
        self._survey.memory.state.folders += folder.mark is None
        self._connection.execute("UPDATE folders SET mark = ?, status = ? WHERE id = ?", (mark, status, folder.id))

    def _set(self, folder: int, status: FolderStatus, *, only: FolderStatus | None = None) -> None:
        where = "" if only is None else f" AND status = {int(only)}"
        self._connection.execute(f"UPDATE folders SET status = ? WHERE id = ?{where}", (status, folder))


def _ask(survey: Survey, item: tuple[Folder, int | None]) -> Visit:
    folder, mark = item
    return visit(survey.disk, survey.kinds, survey.path(folder.path), mark)


def _last(block: int) -> int:
    return block * BLOCK + BLOCK - 1
