import hashlib
import os

import polars as pl
import pytest

from cxr_pipeline.images.prepare import digests
from cxr_pipeline.images.prepare.digests import MEMORY, SETTLED_NS, SourceDigests, forget_digests

NAMES = pl.Series(["a.png", "b.png", "gone.png"])


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "source"
    root.mkdir()
    for name in NAMES[:2]:
        (root / name).write_bytes(name.encode() * 100)
    return root


@pytest.fixture
def read(monkeypatch):
    """Names of the files that were read, in order."""
    names, file_digest = [], digests.file_digest

    def digest(path):
        digest_of_it = file_digest(path)
        names.append(path.name)
        return digest_of_it

    monkeypatch.setattr(digests, "file_digest", digest)
    return names


def _set_clock(monkeypatch, path, *, age_ns):
    """Makes it `age_ns` after the last change of `path`."""
    stat = path.stat()
    monkeypatch.setattr(digests, "time_ns", lambda: max(stat.st_mtime_ns, stat.st_ctime_ns) + age_ns)


def _run(tmp_path, root):
    """What a run of the step does, with an index of two images of the first file: path -> digest."""
    digested = SourceDigests(tmp_path, root, NAMES)
    found = digested.of(NAMES)
    digested.remember(pl.concat([found, found.head(1)]))
    return dict(found.rows())


def _expected(root):
    return {
        name: hashlib.sha256((root / name).read_bytes()).hexdigest() if (root / name).exists() else "" for name in NAMES
    }


def test_files_are_read_once_and_a_lost_one_has_no_digest(tmp_path, root, read, monkeypatch):
    _set_clock(monkeypatch, root / "b.png", age_ns=SETTLED_NS + 1)
    assert _run(tmp_path, root) == _expected(root)
    assert sorted(read) == ["a.png", "b.png"]
    assert _run(tmp_path, root) == _expected(root)
    assert len(read) == 2


def test_what_was_written_within_two_seconds_is_read_again(tmp_path, root, read, monkeypatch):
    _set_clock(monkeypatch, root / "b.png", age_ns=SETTLED_NS)
    os.utime(root / "a.png", ns=(0, 0))
    _run(tmp_path, root)
    _run(tmp_path, root)
    assert read.count("b.png") == 2
    assert read.count("a.png") == 2, "its change time is now, whatever its modification time says"


def test_a_change_within_the_same_tick_of_the_clock_is_noticed(tmp_path, root, monkeypatch):
    frozen = dict.fromkeys(NAMES, (900, 1, 1, 1))
    monkeypatch.setattr(digests, "_stat", lambda path: frozen[path.name])
    monkeypatch.setattr(digests, "time_ns", lambda: 2)
    _run(tmp_path, root)
    (root / "a.png").write_bytes(b"other" * 100)
    assert _run(tmp_path, root) == _expected(root)


@pytest.mark.parametrize("field", ["size", "mtime_ns", "ctime_ns", "inode"])
def test_each_of_the_four_tells_a_change(tmp_path, root, read, monkeypatch, field):
    _set_clock(monkeypatch, root / "b.png", age_ns=SETTLED_NS + 1)
    _run(tmp_path, root)
    look = digests._stat
    at = list(digests._STAT).index(field)

    def look_otherwise(path):
        found = list(look(path))
        if path.name == "a.png":
            found[at] += 1
        return tuple(found)

    monkeypatch.setattr(digests, "_stat", look_otherwise)
    read.clear()
    assert _run(tmp_path, root) == _expected(root)
    assert read == ["a.png"]


def test_a_file_that_changes_between_the_look_and_the_reading_is_read_next_time(tmp_path, root, monkeypatch):
    _set_clock(monkeypatch, root / "b.png", age_ns=SETTLED_NS + 1)
    run = SourceDigests(tmp_path, root, NAMES)
    before = run.of(NAMES)
    (root / "a.png").write_bytes(b"other" * 100)
    run.remember(before)
    assert _run(tmp_path, root) == _expected(root)


@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(b"PAR1 nothing PAR1"), lambda path: path.unlink()])
def test_a_lost_or_damaged_memory_only_costs_the_reading(tmp_path, root, read, monkeypatch, spoil):
    _set_clock(monkeypatch, root / "b.png", age_ns=SETTLED_NS + 1)
    _run(tmp_path, root)
    memory = (tmp_path / MEMORY).read_bytes()
    spoil(tmp_path / MEMORY)
    assert _run(tmp_path, root) == _expected(root)
    assert len(read) == 4
    assert (tmp_path / MEMORY).read_bytes() == memory


def test_another_root_or_a_forgotten_memory_is_read_anew(tmp_path, root, read, monkeypatch):
    _set_clock(monkeypatch, root / "b.png", age_ns=SETTLED_NS + 1)
    _run(tmp_path, root)
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in NAMES[:2]:
        (copy / name).write_bytes((root / name).read_bytes())
        stat = (root / name).stat()
        os.utime(copy / name, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert _run(tmp_path, copy) == _expected(root)
    assert len(read) == 4
    _run(tmp_path, root)
    forget_digests(tmp_path)
    assert _run(tmp_path, root) == _expected(root)
    assert len(read) == 8
