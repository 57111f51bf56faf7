"""Whatever happens to a tree while it is looked at in slices, the memory comes to what a fresh look sees."""

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cxr_pipeline.watch import Budget, Disk, look, open_memory
from cxr_pipeline_tests.watch.trees import NIH, TINY, Clock, Tree, look_once, small_batches

NAMES = ("a.png", "b.jpg", "c.csv", "d.txt", "e.xml", "f.part", "g.png")
FOLDERS = ("", "x/", "x/y/", "x/y/z/", "w/", "w/.h/", "odd.png/")
PATHS = st.builds(lambda folder, name: folder + name, st.sampled_from(FOLDERS), st.sampled_from(NAMES))
ACTIONS = st.one_of(
    st.tuples(st.just("write"), PATHS, st.binary(max_size=3)),
    st.tuples(st.just("remove"), st.one_of(PATHS, st.sampled_from(("x", "x/y", "w", "odd.png"))), st.none()),
    st.tuples(st.just("move"), PATHS, PATHS),
    st.tuples(st.just("move"), st.sampled_from(("x", "x/y", "w")), st.sampled_from(("v", "w/u"))),
    st.tuples(st.just("touch"), PATHS, st.none()),
    st.tuples(
        st.just("link"), st.sampled_from(("x", "x/y", "v", "w", "odd.png", "g.png")), st.sampled_from(("", "x", "out"))
    ),
    st.tuples(st.just("keep"), st.none(), st.none()),
    st.tuples(st.just("restore"), st.none(), st.none()),
    st.tuples(st.just("look"), st.sampled_from((TINY, Budget(0.001, 0.001, 0.002), None)), st.none()),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(ACTIONS, max_size=30))
def test_the_memory_comes_to_what_a_fresh_look_sees(actions):
    with tempfile.TemporaryDirectory() as folder, small_batches():
        base = Path(folder)
        tree = Tree(base / "root")
        tree.write("a.png")
        (base / "out").mkdir()
        (base / "out/o.png").touch()
        (base / "out/circle").symlink_to(base / "out")
        for action, first, second in actions:
            act(tree, base, action, first, second)
        with open_memory(base / "memory") as memory:
            seen = [look(memory, NIH, tree.root, budget=TINY, disk=Disk(now=Clock())) for _ in range(80)][-1]
        fresh = look_once(base / "fresh", tree.root)
    assert seen.is_complete
    assert (seen.digest, seen.files, seen.folders) == (fresh.digest, fresh.files, fresh.folders)


def act(tree, base, action, first, second):
    """Does what can be done; the first picture stays, since an empty root is one that is away."""
    if action == "look":
        look_once(base / "memory", tree.root, budget=first)
    elif action == "keep":
        shutil.rmtree(base / "kept", ignore_errors=True)
        shutil.copytree(tree.root, base / "kept", symlinks=True)
    elif action == "restore" and (base / "kept").exists():
        shutil.rmtree(tree.root)
        shutil.copytree(base / "kept", tree.root, symlinks=True)
    elif first:
        change(tree, base, action, first, second)


def change(tree, base, action, first, second):
    path = tree.root / first
    if action == "write" and is_writable(path):
        tree.write(first, second)
    elif action == "remove" and os.path.lexists(path) and first != "a.png":
        tree.remove(first)
    elif action == "touch" and path.is_file():
        tree.touch(path)
    elif action == "move" and path.exists() and first != "a.png" and is_free(tree, first, second):
        tree.move(first, second)
    elif action == "link" and path.parent.is_dir() and not os.path.lexists(path):
        tree.link(first, base / "out" if second == "out" else tree.root / second)


def is_writable(path):
    is_open = all(above.is_dir() or not os.path.lexists(above) for above in path.parents)
    return is_open and (path.is_file() or not os.path.lexists(path))


def is_free(tree, source, target):
    place = tree.root / target
    return place.parent.is_dir() and not place.exists() and not f"{target}/".startswith(f"{source}/")
