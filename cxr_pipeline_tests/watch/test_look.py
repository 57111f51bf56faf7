import builtins
import errno
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.watch import Budget, Disk, describe_changes, is_settled, look, look_at_all, open_memory
from cxr_pipeline_tests.watch.trees import NIH, TINY, Clock, Tree, look_once, look_until_complete, small_batches

REAL = Disk()


@pytest.fixture
def tree(tmp_path):
    made = Tree(tmp_path / "root")
    made.write("Data_Entry_2017_v2020.csv", b"a,b\n1,2\n")
    for n in range(6):
        made.write(f"images/{n:08d}_000.png", bytes(n))
    made.write("more/deep/er/x.jpg", b"x")
    return made


@pytest.fixture
def memory(tmp_path):
    return tmp_path / "memory"


def fresh_digest(tree, tmp_path):
    folder = tmp_path / f"fresh-{time.time_ns()}"
    return look_once(folder, tree.root).digest


def test_a_whole_look_knows_all_files_that_matter(tree, memory):
    for name in ("notes.doc", ".hidden.png", "images/._0.png", "a.csv.part", "b.tmp", "c.csv~", ".cache/a.png"):
        tree.write(name, b"x")
    seen = look_once(memory, tree.root)
    assert (seen.files, seen.folders, seen.is_complete, seen.problem) == (8, 5, True, None)
    assert describe_changes("nih", seen.changes) == (
        "nih: +7 files, 1 new CSV (Data_Entry_2017_v2020.csv), seen for the first time"
    )


def test_slices_come_to_the_digest_of_one_whole_look(tree, memory, tmp_path):
    with small_batches():
        looks = look_until_complete(memory, tree.root, budget=TINY)
    assert looks[-1].is_complete
    assert not looks[0].is_complete
    assert looks[-1].digest == fresh_digest(tree, tmp_path)


def test_changes_are_counted_and_only_tables_are_named(tree, memory):
    before = look_once(memory, tree.root)
    for n in range(312):
        tree.write(f"images/{n:08d}_001.png")
    for n in range(3):
        tree.remove(f"images/{n:08d}_000.png")
    tree.write("Data_Entry_2017_v2020.csv", b"a,b\n1,3\n")
    after = look_once(memory, tree.root, since=before.sequence)
    assert describe_changes("nih", after.changes) == (
        "nih: +312 files, 3 gone, 1 changed CSV (Data_Entry_2017_v2020.csv)"
    )


def test_going_back_gives_the_digest_of_before(tree, memory, tmp_path):
    before = look_once(memory, tree.root)
    shutil.copytree(tree.root, tmp_path / "kept")
    tree.write("images/new.png")
    tree.write("images/00000001_000.png", b"other")
    tree.remove("more")
    between = look_once(memory, tree.root)
    tree.remove("images/new.png")
    shutil.copytree(tmp_path / "kept", tree.root, dirs_exist_ok=True)
    after = look_once(memory, tree.root)
    assert before.digest == after.digest != between.digest
    assert after.is_complete


def test_a_file_written_over_in_place_is_found_by_the_sweep(tree, memory):
    before = look_once(memory, tree.root)
    times = tree.root.joinpath("images").stat().st_mtime_ns
    tree.write("images/00000003_000.png", b"another picture")
    assert tree.root.joinpath("images").stat().st_mtime_ns == times
    after = [look_once(memory, tree.root, budget=TINY, since=before.sequence) for _ in range(3)]
    assert after[-1].changes.changed == 1


def test_a_file_put_in_the_place_of_another_is_found_without_the_sweep(tree, memory, monkeypatch):
    before = look_once(memory, tree.root)
    monkeypatch.setattr("cxr_pipeline.watch.files.FileSurvey.sweep", lambda self, *, to_end: False)
    monkeypatch.setattr("cxr_pipeline.watch.files.FileSurvey.stat_due", lambda self: False)
    tree.write("images/temporary.part", b"another picture")
    tree.move("images/temporary.part", "images/00000003_000.png")
    after = look_once(memory, tree.root, since=before.sequence)
    assert (after.changes.changed, after.changes.new, after.changes.gone) == (1, 0, 0)


def test_a_table_written_again_with_the_same_content_is_no_news(tree, memory):
    before = look_once(memory, tree.root)
    tree.write("Data_Entry_2017_v2020.csv", b"a,b\n1,2\n")
    after = look_once(memory, tree.root, since=before.sequence)
    assert after.digest == before.digest
    assert after.changes.is_empty


def test_a_touched_picture_is_news(tree, memory):
    before = look_once(memory, tree.root)
    tree.touch(tree.root / "images/00000003_000.png")
    assert look_once(memory, tree.root).digest != before.digest


@pytest.mark.parametrize("away", ["absent", "empty", "a file", "unreadable"])
def test_a_root_that_is_away_leaves_the_memory_as_it_is(tree, memory, tmp_path, away):
    before = look_once(memory, tree.root)
    tree.root.rename(tmp_path / "elsewhere")
    disk = Disk(now=Clock())
    if away == "empty":
        tree.root.mkdir()
        (tree.root / ".hidden").touch()
    if away == "a file":
        tree.root.touch()
    if away == "unreadable":
        disk = Disk(scan=refuse, now=Clock())
        tree.root.mkdir()
    seen = look_once(memory, tree.root, since=before.sequence, disk=disk)
    assert str(tree.root) in seen.problem
    assert not seen.is_complete
    assert (seen.digest, seen.files, seen.changes.is_empty) == (before.digest, before.files, True)
    if tree.root.exists():
        shutil.rmtree(tree.root) if tree.root.is_dir() else tree.root.unlink()
    (tmp_path / "elsewhere").rename(tree.root)
    back = look_once(memory, tree.root, since=before.sequence)
    assert (back.digest, back.changes.is_empty, back.is_complete) == (before.digest, True, True)


def refuse(path):
    raise OSError(errno.EACCES, "Permission denied")


def test_a_disk_unmounted_during_a_look_loses_nothing(tree, memory, tmp_path):
    before = look_once(memory, tree.root)

    def stat(path):
        if path.endswith(b"images") and tree.root.exists():
            tree.root.rename(tmp_path / "elsewhere")
        return REAL.stat(path)

    seen = look_once(memory, tree.root, since=before.sequence, disk=Disk(stat=stat, now=Clock()))
    assert seen.problem
    assert (seen.digest, seen.files, seen.changes.is_empty) == (before.digest, before.files, True)


def test_a_dead_disk_ends_the_look(tree, memory):
    before = look_once(memory, tree.root)

    def stat(path):
        if path == os.fsencode(tree.root):
            return REAL.stat(path)
        raise OSError(errno.EIO, "Input/output error")

    seen = look_once(memory, tree.root, disk=Disk(stat=stat, now=Clock()))
    assert "Input/output error" in seen.problem
    assert (seen.digest, seen.files) == (before.digest, before.files)


def test_an_unreadable_folder_is_counted_and_remembered(tree, memory):
    before = look_once(memory, tree.root)

    def stat(path):
        if b"images" in path:
            raise OSError(errno.EACCES, "Permission denied")
        return REAL.stat(path)

    seen = look_once(memory, tree.root, disk=Disk(stat=stat, now=Clock()))
    assert seen.unreadable == 1 + 6
    assert seen.digest == before.digest
    assert look_once(memory, tree.root).unreadable == 0


def test_the_same_tree_at_another_place_has_the_same_digest(tree, memory, tmp_path):
    before = look_once(memory, tree.root)
    tree.root.rename(tmp_path / "moved")
    after = look_once(memory, tmp_path / "moved", since=before.sequence)
    assert (after.digest, after.changes.is_empty, after.is_complete) == (before.digest, True, True)


def test_other_rules_are_applied_to_what_was_seen_before(tree, memory):
    tree.write("more/a.tif")
    assert look_once(memory, tree.root).files == 8
    with open_memory(memory) as opened:
        seen = look(opened, replace(NIH, suffixes=(".png", ".tif")), tree.root, disk=Disk(now=Clock()))
    assert seen.files == 9


def test_linked_folders_are_followed_and_circles_are_not(tree, memory, tmp_path):
    other = Tree(tmp_path / "other")
    other.write("a.png")
    other.link("back", tree.root)
    other.link("itself", other.root)
    tree.link("linked", other.root)
    tree.link("loop", tree.root)
    tree.link("up", tree.root.parent)
    tree.link("again", tree.root / "images")
    tree.link("dead", tmp_path / "nowhere")
    tree.link("dead.png", tmp_path / "nowhere.png")
    tree.link("self.png", tree.root / "self.png")
    seen = look_once(memory, tree.root)
    assert (seen.files, seen.folders, seen.is_complete) == (9, 6, True)


def test_a_link_in_the_place_of_a_folder_is_judged_as_a_link(tree, memory, tmp_path):
    look_once(memory, tree.root)
    tree.remove("more")
    tree.link("more", tree.root)
    seen = look_once(memory, tree.root)
    assert (seen.files, seen.digest) == (7, fresh_digest(tree, tmp_path))


def test_a_folder_hidden_in_the_root_is_followed_by_its_link(tree, memory):
    tree.write(".data/a.png")
    tree.link("shown", tree.root / ".data")
    assert look_once(memory, tree.root).files == 9


def test_what_a_dead_link_leads_to_may_come_back(tree, memory, tmp_path):
    other = Tree(tmp_path / "other")
    other.write("a.png")
    tree.link("linked", other.root)
    before = look_once(memory, tree.root)
    other.root.rename(tmp_path / "away")
    between = look_once(memory, tree.root, since=before.sequence)
    assert (between.changes.gone, between.files) == (1, 8)
    (tmp_path / "away").rename(other.root)
    assert look_once(memory, tree.root).digest == before.digest


def test_a_folder_named_like_a_picture_is_a_folder(tree, memory, tmp_path):
    tree.write("odd.png/a.png")
    assert look_once(memory, tree.root).files == 9
    tree.remove("odd.png")
    tree.write("odd.png")
    seen = look_once(memory, tree.root)
    assert seen.files == 9
    assert seen.digest == fresh_digest(tree, tmp_path)
    tree.remove("odd.png")
    tree.write("odd.png/b.png")
    assert look_once(memory, tree.root).digest == fresh_digest(tree, tmp_path)


def test_names_that_are_no_text_are_files_too(tree, memory):
    Path(os.fsdecode(os.fsencode(tree.root) + b"/\xff\xfe.png")).touch()
    assert look_once(memory, tree.root).files == 9


def test_a_flat_folder_goes_on_over_looks(tmp_path, memory):
    tree = Tree(tmp_path / "root")
    for n in range(20_000):
        (tree.root / f"{n:08d}.png").touch()
    looks = look_until_complete(memory, tree.root, budget=TINY)
    assert looks[0].files < 5_000
    assert len(looks) > 5
    assert (looks[-1].files, looks[-1].is_complete) == (20_000, True)


def test_a_small_budget_is_kept(tmp_path, memory):
    tree = Tree(tmp_path / "root")
    for n in range(20_000):
        (tree.root / f"{n:08d}.png").touch()
    waited = []

    def stat(path):
        waited.append(path)
        return REAL.stat(path)

    look_once(memory, tree.root, budget=TINY, disk=Disk(stat=stat, now=Clock()))
    assert len(waited) < 5 * 1024


def test_no_look_opens_an_image(tree, memory, monkeypatch):
    tree.write("archive.zip", b"PK")
    opened = []

    def spy(function):
        def call(path, *arguments, **keywords):
            opened.append(Path(os.fsdecode(path)).name if not isinstance(path, int) else path)
            return function(path, *arguments, **keywords)

        return call

    monkeypatch.setattr(builtins, "open", spy(builtins.open))
    monkeypatch.setattr("io.open", spy(__import__("io").open))
    monkeypatch.setattr(os, "open", spy(os.open))
    look_once(memory, tree.root)
    read = {name for name in opened if name != ".lock"}
    assert read == {"Data_Entry_2017_v2020.csv", "archive.zip"}


def test_a_young_file_is_looked_at_again(tree, memory):
    now = Disk(now=time.time)
    path = tree.write("images/half.png", b"half")
    seen = look_once(memory, tree.root, disk=now)
    assert not seen.is_complete
    path.write_bytes(b"whole.")
    again = look_once(memory, tree.root, budget=TINY, disk=now, since=seen.sequence)
    assert again.changes.changed == 1


def test_a_look_is_complete_when_every_folder_was_visited_since_the_newest_change(tree, memory):
    with small_batches():
        look_until_complete(memory, tree.root, budget=TINY)
        path = tree.write("new.png")
        os.utime(path, (0, time.time() + 150))  # later than the visits of 100 s ahead
        disk = Disk(now=Clock(200))
        seen = look_once(memory, tree.root, budget=TINY, disk=disk)
        assert (seen.files, seen.is_complete) == (9, False)
        assert look_until_complete(memory, tree.root, budget=TINY, disk=disk)[-1].is_complete


def test_a_young_folder_is_listed_again(tree, memory):
    """Its times are those of before: two changes within one tick of the file system's clock."""
    folder = os.fsencode(tree.root / "images")
    kept = REAL.stat(folder)
    disk = Disk(stat=lambda path: kept if path == folder else REAL.stat(path), now=time.time)
    before = look_once(memory, tree.root, disk=disk)
    assert not before.is_complete
    tree.write("images/new.png")
    assert look_once(memory, tree.root, disk=disk, since=before.sequence).changes.new == 1


def test_a_copy_that_stalls_is_looked_at_again_as_its_age_doubles(tree, memory, monkeypatch):
    monkeypatch.setattr("cxr_pipeline.watch.files.FileSurvey.sweep", lambda self, *, to_end: False)
    path = tree.write("images/half.png", b"half")
    before = look_once(memory, tree.root, disk=Disk(now=Clock(100)))
    path.write_bytes(b"whole.")
    early = look_once(memory, tree.root, disk=Disk(now=Clock(150)), since=before.sequence)
    late = look_once(memory, tree.root, disk=Disk(now=Clock(250)), since=before.sequence)
    assert (early.changes.changed, late.changes.changed) == (0, 1)


def test_a_source_settles_when_nothing_has_changed_for_long_enough(tree, memory):
    seen = look_once(memory, tree.root)
    newest = max(path.stat().st_ctime for path in tree.root.rglob("*"))
    assert seen.newest_change == pytest.approx(newest, abs=0.05)
    assert is_settled(seen, quiet_seconds=60, now=newest + 61)
    assert not is_settled(seen, quiet_seconds=60, now=newest + 59)


def test_a_clock_ahead_of_ours_is_taken_for_now(tree, memory):
    behind = Clock(-5_000)
    seen = look_once(memory, tree.root, disk=Disk(now=behind))
    assert seen.newest_change <= behind()
    again = look_once(memory, tree.root, disk=Disk(now=behind))
    assert again.is_complete


def test_an_unfinished_table_is_waited_for_up_to_a_patience(tree, memory):
    tree.write("Data_Entry_2017_v2020.csv", b"a,b,c\n1,2,3\n1,")
    seen = look_once(memory, tree.root)
    assert seen.unfinished == ("Data_Entry_2017_v2020.csv",)
    assert not is_settled(seen, quiet_seconds=60, now=seen.newest_change + 1_000)
    assert is_settled(seen, quiet_seconds=60, now=seen.newest_change + 4_000)
    tree.write("Data_Entry_2017_v2020.csv", b"a,b,c\n1,2,3\n1,2,3\n")
    assert look_once(memory, tree.root).unfinished == ()


def test_parts_of_an_archive_count_until_it_is_unpacked(tmp_path, memory):
    tree = Tree(tmp_path / "root")
    tree.write("train_metadata.json", b"{}")
    source = DATASETS["rexgradient"]

    def digest():
        with open_memory(memory) as opened:
            return look(opened, source, tree.root, disk=Disk(now=Clock())).digest

    bare = digest()
    tree.write("deid_png.part00", b"x")
    packed = digest()
    tree.write("deid_png.part01", b"y")
    assert len({bare, packed, digest()}) == 3
    tree.write("deid_png/a/b.png")
    unpacked = digest()
    tree.remove("deid_png.part00")
    tree.remove("deid_png.part01")
    assert digest() == unpacked != bare


def test_slow_answers_are_asked_for_many_at_once(tree, memory):
    """2 ms per stat, 400 files: more than 0.8 s one after another."""
    for n in range(400):
        (tree.root / "images" / f"{n:08d}_002.png").touch()

    def stat(path):
        time.sleep(0.002)
        return REAL.stat(path)

    started = time.monotonic()
    seen = look_once(memory, tree.root, budget=Budget(), disk=Disk(stat=stat, now=Clock()))
    assert seen.files == 408
    assert time.monotonic() - started < 1.0


def test_all_sources_share_one_budget(tree, tmp_path):
    other = Tree(tmp_path / "padchest")
    other.write("images/1.png")
    roots = {"nih": tree.root, "padchest": other.root}
    looks = look_at_all(tmp_path / "watch", roots, budget=Budget(), disk=Disk(now=Clock()))
    assert {name: seen.files for name, seen in looks.items()} == {"nih": 8, "padchest": 1}
    since = {name: seen.sequence for name, seen in looks.items()}
    other.write("images/2.png")
    looks = look_at_all(tmp_path / "watch", roots, budget=TINY, since=since, disk=Disk(now=Clock()))
    assert looks["nih"].changes.is_empty
    assert looks["padchest"].changes.new == 1


_KILLED = """
import os, signal, sys
from pathlib import Path
from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.watch import Disk, look, open_memory
stats = 0
def stat(path):
    global stats
    stats += 1
    if stats == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
    return os.stat(path)
with open_memory(Path(sys.argv[1])) as memory:
    look(memory, DATASETS["nih"], Path(sys.argv[2]), disk=Disk(stat=stat))
"""


@pytest.mark.parametrize("stats", [50, 1_500, 2_900])
def test_a_killed_look_leaves_a_memory_that_goes_on(tmp_path, memory, stats):
    tree = Tree(tmp_path / "root")
    for n in range(3_000):
        (tree.root / f"{n:08d}.png").touch()
    killed = subprocess.run([sys.executable, "-c", _KILLED, memory, tree.root, str(stats)], check=False)
    assert killed.returncode == -9
    with open_memory(memory) as opened:
        assert opened.note is None
        assert 0 <= opened.state.files < 3_000
        seen = look(opened, NIH, tree.root, disk=Disk(now=Clock()))
    assert seen.files == 3_000
    assert seen.digest == fresh_digest(tree, tmp_path)
