"""What was last seen of one source, in an SQLite file. Who looks, and what follows from it, does not live here.

All paths are relative to the root. What a transaction changes in the tables it also adds to the state's digest, so that
the two agree wherever a process is killed.
"""

import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from enum import IntEnum
from pathlib import Path

from cxr_pipeline.errors import StorageError
from cxr_pipeline.storage.locks import lock_folder
from cxr_pipeline.watch.journal import Changes, Event, Happening, sum_up

BLOCK = 512  # folders that are visited together, and share the note of when
UNSEEN, YOUNG = 0, 1  # in files.due: to be stat'ed, and to be stat'ed again at the next look

_VERSION = 1
_CACHE_KIB = 32 * 1024
_JOURNAL_ROWS = 50_000  # a year of changes at every tick; older ones go
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_SCHEMA = """
CREATE TABLE state (root TEXT, kinds TEXT, digest BLOB, parts BLOB, files INTEGER, folders INTEGER, newest_change REAL,
    began INTEGER, sequence INTEGER, look INTEGER, sweep_folder INTEGER, sweep_name BLOB);
CREATE TABLE folders (id INTEGER PRIMARY KEY, parent INTEGER, path BLOB, depth INTEGER, is_link INTEGER,
    status INTEGER, mark INTEGER);
CREATE INDEX children ON folders (parent);
CREATE INDEX waiting ON folders (status, id) WHERE status <= 2;
CREATE INDEX unreadable ON folders (status) WHERE status = 5;
CREATE INDEX shallow ON folders (depth, id) WHERE depth <= 2;
CREATE TABLE files (folder INTEGER, name BLOB, kind INTEGER, size INTEGER, mtime_ns INTEGER, inode INTEGER, due REAL,
    arrived INTEGER, happened INTEGER, mark INTEGER, content BLOB, is_unfinished INTEGER,
    PRIMARY KEY (folder, name)) WITHOUT ROWID;
CREATE INDEX due ON files (due) WHERE due IS NOT NULL;
CREATE INDEX described ON files (folder, name) WHERE kind <> 0;
CREATE INDEX unfinished ON files (folder, name) WHERE is_unfinished = 1;
CREATE TABLE blocks (block INTEGER PRIMARY KEY, look INTEGER, seen_at REAL);
CREATE INDEX turns ON blocks (look, block);
CREATE TABLE journal (sequence INTEGER, event INTEGER, is_metadata INTEGER, name TEXT, arrived INTEGER, before INTEGER,
    count INTEGER, seen_at REAL);
CREATE INDEX sequences ON journal (sequence);
"""


class FolderStatus(IntEnum):
    """The first three wait for something to be done."""

    TO_LIST = 0
    GONE = 1  # with all that lay in it, which goes folder by folder
    YOUNG = 2  # changed so short before it was listed that it is listed again at the next look
    KNOWN = 3
    CLOSED = 4  # nothing to enter: a dead link, one that leads back, no folder after all
    UNREADABLE = 5


@dataclass
class State:
    """The one row that says how things stand."""

    root: str = ""
    kinds: str = ""
    digest: bytes = bytes(16)  # sum of the marks of all pictures and metadata files, modulo 2^128
    parts: bytes = bytes(16)  # the same of the parts of a packed archive
    files: int = 0
    folders: int = 0
    newest_change: float = 0.0
    began: int = 0  # the journal's sequence when this memory was begun
    sequence: int = 0
    look: int = 0
    sweep_folder: int = 0
    sweep_name: bytes = b""


class DamagedMemoryError(Exception):
    """The file cannot be read; who opens the memory again begins a new one."""


class Memory:
    """One open memory: `connection` within `transaction`, `state`, and the journal."""

    def __init__(self, path: Path, connection: sqlite3.Connection, note: str | None) -> None:
        self.path, self.connection, self.note = path, connection, note
        self.state = State()
        self._happened: Counter[Happening] = Counter()
        self._load()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, the state included."""
        with _told_damage(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self._save()
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                    self._load()
                raise

    @property
    def next_sequence(self) -> int:
        """That of what happens in this transaction."""
        return self.state.sequence + 1

    def note_event(self, happening: Happening) -> None:
        """One more file to which this has happened, in this transaction."""
        self._happened[happening] += 1

    def changes_since(self, sequence: int) -> Changes:
        """What has happened after `sequence`, as `Look.sequence` was at some time."""
        columns = "event, is_metadata, name, arrived, before, count"
        with _told_damage(self.path):
            rows = self.connection.execute(f"SELECT {columns} FROM journal WHERE sequence > ?", (sequence,)).fetchall()
        happened = [(Happening(Event(row[0]), bool(row[1]), *row[2:5]), row[5]) for row in rows]
        return sum_up(happened, since=sequence, is_first=sequence < self.state.began)

    def count(self, condition: str) -> int:
        """Rows of `<table> WHERE ...`."""
        with _told_damage(self.path):
            number: int = self.connection.execute(f"SELECT count(*) FROM {condition}").fetchone()[0]
        return number

    def _load(self) -> None:
        self._happened.clear()
        names = ", ".join(field.name for field in fields(State))
        row = self.connection.execute(f"SELECT {names} FROM state").fetchone()
        self.state = State(*row)

    def _save(self) -> None:
        if self._happened:
            now = time.time()
            rows = [(self.next_sequence, *happening, count, now) for happening, count in self._happened.items()]
            self.connection.executemany("INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            self.connection.execute(
                "DELETE FROM journal WHERE rowid <= (SELECT max(rowid) FROM journal) - ?", (_JOURNAL_ROWS,)
            )
            self.state.sequence += 1
            self._happened.clear()
        names = ", ".join(f"{field.name} = ?" for field in fields(State))
        self.connection.execute(f"UPDATE state SET {names}", astuple(self.state))


@contextmanager
def open_memory(folder: Path) -> Iterator[Memory]:
    """The memory of one source in `folder`, made where there is none; one process at a time has it.

    One that is damaged or of another version is set aside and begun anew, and `note` says so.
    Raises StoreError while another process has it, StorageError where the disk is full or must not be written.
    """
    with lock_folder(folder):
        path = folder / "memory.sqlite"
        memory = _open_or_begin(path)
        try:
            yield memory
        except DamagedMemoryError as error:
            memory.connection.close()
            _set_aside(path)
            raise StorageError(_SET_ASIDE.format(path=path, why=error) + " Look again.") from error
        finally:
            memory.connection.close()


def _open_or_begin(path: Path) -> Memory:
    try:
        return _open(path, None)
    except (DamagedMemoryError, sqlite3.DatabaseError) as error:
        is_refused = isinstance(error, sqlite3.DatabaseError) and not _is_damage(error)
        if is_refused and "no such" not in str(error):  # a table or column that is not there is damage too
            raise StorageError(_REFUSED.format(path=path, error=error)) from error
        _set_aside(path)
        return _open(path, _SET_ASIDE.format(path=path, why=error))


def _open(path: Path, note: str | None) -> Memory:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        # Exclusive: the write-ahead log then needs no shared memory, which network file systems do not have.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            _begin(connection)
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version != _VERSION:
            raise DamagedMemoryError(f"it is of version {version}, expected {_VERSION}")
        return Memory(path, connection, note)
    except BaseException:
        connection.close()
        raise


def _begin(connection: sqlite3.Connection) -> None:
    # Sequences grow from one memory to the next, so that a sequence of a lost one is never taken for one of this.
    began = time.time_ns() // 1_000_000
    state = State(began=began, sequence=began)
    connection.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA.split(";")[:-1]:
        connection.execute(statement)
    connection.execute(f"INSERT INTO state VALUES ({', '.join('?' * len(fields(State)))})", astuple(state))
    connection.execute(f"PRAGMA user_version = {_VERSION}")
    connection.execute("COMMIT")


def _set_aside(path: Path) -> None:
    """Beside the new one, with its log; an older one that was set aside goes."""
    for suffix in ("", "-wal"):
        if (old := path.with_name(path.name + suffix)).exists():
            old.replace(path.with_name(f"{path.name}.aside{suffix}"))


@contextmanager
def _told_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        if _is_damage(error):
            raise DamagedMemoryError(str(error)) from error
        raise StorageError(_REFUSED.format(path=path, error=error)) from error


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF in _DAMAGE


_SET_ASIDE = (
    "{path}, which remembers what was seen of a source, cannot be used ({why}). It is set aside as {path}.aside, and a "
    "new one is begun: the source's files are listed again."
)
_REFUSED = (
    "{path}, which remembers what was seen of a source, cannot be written ({error}). Expected a disk with room that "
    "may be written to: free some, or mend its rights. Nothing that was remembered is lost."
)
