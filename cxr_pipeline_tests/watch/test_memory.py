import sqlite3

import pytest

from cxr_pipeline.errors import StorageError, StoreError
from cxr_pipeline.watch import Disk, look, open_memory
from cxr_pipeline_tests.watch.trees import NIH, Clock, Tree, look_once


@pytest.fixture
def tree(tmp_path):
    made = Tree(tmp_path / "root")
    for n in range(400):
        made.write(f"images/{n:08d}_000.png")
    return made


def overwrite(path):
    path.write_bytes(b"no database" * 1_000)


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def spoil_tables(path):
    """The catalogue and the state stay readable."""
    with sqlite3.connect(path) as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'files'"
        page, size = connection.execute(query).fetchone()[0], connection.execute("PRAGMA page_size").fetchone()[0]
    connection.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)


def grow_old(path):
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


def lose_table(path):
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE state")
    connection.close()


@pytest.mark.parametrize("harm", [overwrite, truncate, grow_old, lose_table])
def test_a_memory_that_cannot_be_used_is_set_aside_and_begun_anew(tree, tmp_path, harm):
    before = look_once(tmp_path / "memory", tree.root)
    path = tmp_path / "memory/memory.sqlite"
    harm(path)
    after = look_once(tmp_path / "memory", tree.root, since=before.sequence)
    assert str(path) in after.note
    assert "set aside" in after.note
    assert path.with_name("memory.sqlite.aside").exists()
    assert (after.digest, after.files) == (before.digest, 400)
    assert after.changes.is_first
    assert look_once(tmp_path / "memory", tree.root).note is None


def test_damage_that_shows_later_is_set_aside_too(tree, tmp_path):
    before = look_once(tmp_path / "memory", tree.root)
    spoil_tables(tmp_path / "memory/memory.sqlite")
    with pytest.raises(StorageError, match="set aside"):
        look_once(tmp_path / "memory", tree.root)
    after = look_once(tmp_path / "memory", tree.root)
    assert (after.digest, after.files) == (before.digest, 400)


def test_one_process_at_a_time_has_the_memory(tmp_path):
    with open_memory(tmp_path / "memory"), pytest.raises(StoreError, match="is being written"):  # noqa: SIM117
        with open_memory(tmp_path / "memory"):
            pass


def fail_within(memory):
    with memory.transaction() as connection:
        connection.execute("DELETE FROM files")
        memory.state.files = 0
        raise ZeroDivisionError


def test_a_failed_batch_leaves_tables_and_digest_as_they_were(tree, tmp_path):
    with open_memory(tmp_path / "memory") as memory:
        before = look(memory, NIH, tree.root, disk=Disk(now=Clock()))
        with pytest.raises(ZeroDivisionError):
            fail_within(memory)
        after = look(memory, NIH, tree.root, disk=Disk(now=Clock()), since=before.sequence)
    assert (after.digest, after.files, after.changes.is_empty) == (before.digest, 400, True)


def test_the_digest_agrees_with_the_files_that_are_remembered(tree, tmp_path):
    look_once(tmp_path / "memory", tree.root)
    for n in range(0, 400, 3):
        tree.remove(f"images/{n:08d}_000.png")
    seen = look_once(tmp_path / "memory", tree.root)
    connection = sqlite3.connect(tmp_path / "memory/memory.sqlite")
    assert connection.execute("SELECT count(*) FROM files WHERE size >= 0").fetchone() == (seen.files,)
    connection.close()
    assert seen.digest == look_once(tmp_path / "fresh", tree.root).digest
