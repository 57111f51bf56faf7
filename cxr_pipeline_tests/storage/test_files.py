import hashlib
from pathlib import Path

import pytest

from cxr_pipeline.storage.files import file_digest, mirror_folder, write_atomically, write_json


def test_digest_is_sha256(tmp_path: Path):
    (tmp_path / "f").write_bytes(b"abc")
    assert file_digest(tmp_path / "f") == hashlib.sha256(b"abc").hexdigest()


def test_failed_write_keeps_the_old_file_and_leaves_nothing_behind(tmp_path: Path):
    target = tmp_path / "table"
    target.write_text("old")

    def disk_full(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        write_atomically(target, disk_full)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_equal_bytes_leave_the_file_alone(tmp_path: Path):
    target = tmp_path / "value.json"
    assert write_json(target, {"b": 1, "a": 2})
    before = target.stat()
    assert not write_json(target, {"a": 2, "b": 1})
    assert (target.stat().st_mtime_ns, target.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_numbers_that_are_not_numbers_are_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "value.json", {"auroc": float("nan")})


def test_mirror_adds_replaces_and_removes(tmp_path: Path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    for folder, name, text in (
        (source, "new", "1"),
        (source, "same", "2"),
        (target, "same", "2"),
        (target, "old", "3"),
    ):
        (folder / name).write_text(text)
    untouched = (target / "same").stat().st_mtime_ns
    mirror_folder(source, target)
    assert {path.name: path.read_text() for path in target.iterdir()} == {"new": "1", "same": "2"}
    assert (target / "same").stat().st_mtime_ns == untouched
