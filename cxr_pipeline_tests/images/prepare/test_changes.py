"""What is new or changed is decoded, what is not is not even read, and what is gone leaves."""

import os
import shutil

import numpy as np
import pytest

from cxr_pipeline.images.decode.pixels import read_radiograph
from cxr_pipeline.images.prepare.digests import MEMORY, forget_digests
from cxr_pipeline.images.prepare.step import PrepareSummary
from cxr_pipeline.images.store import parts
from cxr_pipeline.images.store.shards import ImageStore
from cxr_pipeline_tests.images.conftest import encode, picture
from cxr_pipeline_tests.images.prepare.small_store import COUNT, SIZE, contents, file_bytes, prepare_small, read_index


def test_a_file_that_came_back_leaves_quarantine(root, folder):
    path = root / "images" / "5.png"
    data = path.read_bytes()
    path.unlink()
    assert prepare_small(root, folder).quarantined == {"missing": 1}
    path.write_bytes(data)
    assert prepare_small(root, folder) == PrepareSummary(images=COUNT, stored=COUNT, decoded=1, quarantined={})


def test_only_new_and_changed_files_are_decoded(root, folder):
    prepare_small(root, folder, range(4))
    (root / "images" / "1.png").write_bytes(encode(picture(50)))
    summary = prepare_small(root, folder)
    assert summary.decoded == 4
    store = ImageStore(folder)
    for number in range(COUNT):
        expected = read_radiograph(root / "images" / f"{number}.png", size=SIZE).pixels
        np.testing.assert_array_equal(store.read_ids([f"nih/{number}"])[0], expected)


def test_a_change_that_keeps_size_and_time_is_seen(root, folder):
    path = root / "images" / "0.png"
    path.write_bytes(encode(picture(0)).ljust(9000, b"\0"))
    prepare_small(root, folder)
    first, stat = ImageStore(folder).read_ids(["nih/0"]), path.stat()
    path.write_bytes(encode(picture(60)).ljust(9000, b"\0"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    assert prepare_small(root, folder).decoded == 1
    assert (ImageStore(folder).read_ids(["nih/0"]) != first).any()


def test_unchanged_files_are_not_even_read(root, folder, read):
    prepare_small(root, folder, range(4))
    assert prepare_small(root, folder).decoded == 3
    memory = (folder / MEMORY).read_bytes()
    before = contents(folder)
    assert prepare_small(root, folder).decoded == 0
    assert read == []
    assert contents(folder) == before
    assert (folder / MEMORY).read_bytes() == memory


def test_a_change_that_keeps_size_and_time_is_seen_though_files_are_trusted(root, folder, read):
    path = root / "images" / "0.png"
    path.write_bytes(encode(picture(0)).ljust(9000, b"\0"))
    prepare_small(root, folder)
    stat = path.stat()
    path.write_bytes(encode(picture(60)).ljust(9000, b"\0"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert prepare_small(root, folder).decoded == 1
    assert read == ["0.png"]


def test_a_file_that_was_renamed_over_another_is_seen(root, folder, read):
    path, other = root / "images" / "0.png", root / "images" / "other"
    path.write_bytes(encode(picture(0)).ljust(9000, b"\0"))
    prepare_small(root, folder)
    other.write_bytes(encode(picture(60)).ljust(9000, b"\0"))
    stat = path.stat()
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.rename(path)
    assert prepare_small(root, folder).decoded == 1
    expected = read_radiograph(path, size=SIZE).pixels
    np.testing.assert_array_equal(ImageStore(folder).read_ids(["nih/0"])[0], expected)


def test_a_touched_file_is_read_once_and_not_decoded(root, folder, read):
    prepare_small(root, folder)
    before = contents(folder)
    (root / "images" / "2.png").touch()
    assert [prepare_small(root, folder).decoded for _ in range(2)] == [0, 0]
    assert read == ["2.png"]
    assert contents(folder) == before


def test_a_source_that_was_copied_gives_the_same_store(root, folder, tmp_path, read):
    prepare_small(root, folder)
    before = contents(folder)
    shutil.copytree(root, tmp_path / "copy")
    assert prepare_small(tmp_path / "copy", folder).decoded == 0
    assert len(read) == COUNT
    assert contents(folder) == before


def test_what_was_forgotten_is_all_read_again(root, folder, read):
    prepare_small(root, folder)
    forget_digests(folder)
    assert prepare_small(root, folder).decoded == 0
    assert sorted(read) == [f"{number}.png" for number in range(COUNT)]


def test_removed_images_leave_the_index_and_at_last_the_disk(root, folder):
    prepare_small(root, folder)
    assert prepare_small(root, folder, [0, 1, 6]) == PrepareSummary(images=3, stored=3, decoded=0, quarantined={})
    assert read_index(folder)["image_id"].to_list() == ["nih/0", "nih/1", "nih/6"]
    assert len(list(folder.glob("*.arrow"))) == len(list((folder / "parts").iterdir())) == 2
    assert prepare_small(root, folder, [0, 1, 2, 6]).decoded == 0


def test_another_size_makes_the_store_anew(root, folder):
    prepare_small(root, folder)
    assert prepare_small(root, folder, size=40).decoded == COUNT
    assert ImageStore(folder).size == 40
    assert all(path.name.startswith("40px") for path in folder.glob("*.arrow"))
    assert len(list((folder / "parts").iterdir())) == 3


def test_other_pixel_rules_make_the_store_anew(root, folder, monkeypatch):
    prepare_small(root, folder)
    monkeypatch.setattr(parts, "PIXEL_RULES", 999)
    assert prepare_small(root, folder).decoded == COUNT
    assert all("rules999-" in path.name for path in folder.glob("*.arrow"))


def test_shards_that_are_mostly_dead_are_packed_anew_without_decoding(root, folder):
    (root / "images" / "4.png").write_bytes(b"no image")
    prepare_small(root, folder)
    summary = prepare_small(root, folder, [0, 4, 6])
    assert summary == PrepareSummary(images=3, stored=2, decoded=0, quarantined={"not_an_image": 1}, repacked=2)
    assert read_index(folder)["row"].to_list() == [0, None, 0]
    kept = sorted(path.name for path in folder.glob("*.arrow"))
    assert kept == sorted(set(read_index(folder)["shard"].drop_nulls()))
    for number in (0, 6):
        expected = read_radiograph(root / "images" / f"{number}.png", size=SIZE).pixels
        np.testing.assert_array_equal(ImageStore(folder).read_ids([f"nih/{number}"])[0], expected)
    before = contents(folder)
    assert prepare_small(root, folder, [0, 4, 6]).repacked == 0
    assert contents(folder) == before


@pytest.mark.parametrize(("old", "new"), [("raw", "zstd"), ("zstd", "raw")])
def test_another_codec_gives_the_store_that_it_would_have_made_without_decoding(root, folder, tmp_path, old, new):
    (root / "images" / "2.png").write_bytes(b"no image")
    prepare_small(root, folder, codec=old)
    pixels = ImageStore(folder).read(np.arange(COUNT - 1))
    summary = prepare_small(root, folder, codec=new)
    assert (summary.decoded, summary.repacked) == (0, COUNT)
    np.testing.assert_array_equal(ImageStore(folder).read(np.arange(COUNT - 1)), pixels)
    prepare_small(root, tmp_path / "fresh", codec=new)
    assert file_bytes(folder) == file_bytes(tmp_path / "fresh")
