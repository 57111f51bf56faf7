import multiprocessing
import os
import shutil
import signal
import time
from functools import partial

import numpy as np
import polars as pl
import pytest

from cxr_pipeline.errors import SourceNotFoundError, StoreError
from cxr_pipeline.images import digests, parts, prepare
from cxr_pipeline.images.cluster import Cluster
from cxr_pipeline.images.decoding import BATCH_FILES, decode_file, decode_files
from cxr_pipeline.images.digests import MEMORY, SETTLED_NS, forget_digests
from cxr_pipeline.images.pixels import read_radiograph
from cxr_pipeline.images.prepare import PrepareSummary, prepare_images
from cxr_pipeline.images.store import ImageStore, StoreForm
from cxr_pipeline.storage.lake import read_table
from cxr_pipeline.storage.locks import lock_folder
from cxr_pipeline.tables.images import StoreIndex
from cxr_pipeline_tests.images.conftest import encode, picture

SIZE = 32
COUNT = 7


@pytest.fixture
def root(tmp_path):
    """A source of seven pictures, one of them as JPEG."""
    root = tmp_path / "source"
    (root / "images").mkdir(parents=True)
    for number in range(COUNT):
        form = "JPEG" if number == 3 else "PNG"
        (root / "images" / f"{number}.png").write_bytes(encode(picture(number, width=48), form))
    return root


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "lake" / "images" / "nih"


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch):
    monkeypatch.setattr(parts, "MAX_SHARD_ROWS", 3)


def _table(root, numbers=range(COUNT)):
    paths = [f"images/{number}.png" for number in numbers]
    sizes = [(root / path).stat().st_size if (root / path).exists() else 0 for path in paths]
    return pl.DataFrame({"image_id": [f"nih/{number}" for number in numbers], "path": paths, "file_bytes": sizes})


def _prepare(root, folder, numbers=range(COUNT), *, size=SIZE, codec="zstd", **options):
    return prepare_images(_table(root, numbers), root, folder, form=StoreForm(size, codec), **options)


def _index(folder):
    return read_table(folder / "index.parquet", StoreIndex)


def _contents(folder):
    """Name, bytes and modification time of every file of the store."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in (".lock", MEMORY))
    return [(path.relative_to(folder), path.read_bytes(), path.stat().st_mtime_ns) for path in files]


def _bytes(folder):
    return [(name, data) for name, data, _ in _contents(folder)]


def test_the_store_holds_what_the_files_show(root, folder):
    assert _prepare(root, folder) == PrepareSummary(images=COUNT, stored=COUNT, decoded=COUNT, quarantined={})
    store = ImageStore(folder)
    for number in range(COUNT):
        expected = read_radiograph(root / "images" / f"{number}.png", size=SIZE).pixels
        np.testing.assert_array_equal(store.read_ids([f"nih/{number}"]), expected[None])
    index = _index(folder)
    assert index["image_id"].to_list() == [f"nih/{number}" for number in range(COUNT)]
    assert index["row"].to_list() == [0, 1, 2, 0, 1, 2, 0]
    assert index["shard"].n_unique() == len(list(folder.glob("*.arrow"))) == 3
    assert index["source_bytes"].to_list() == _table(root)["file_bytes"].to_list()


def test_a_second_run_decodes_nothing_and_changes_no_byte(root, folder):
    (root / "images" / "2.png").write_bytes(b"no image")
    _prepare(root, folder)
    before = _contents(folder)
    assert _prepare(root, folder).decoded == 0
    assert _contents(folder) == before


def test_bad_files_are_quarantined_with_their_reason_and_never_stored(root, folder):
    whole = (root / "images" / "1.png").read_bytes()
    (root / "images" / "1.png").write_bytes(whole[: len(whole) // 2])
    (root / "images" / "4.png").write_bytes(b"")
    (root / "images" / "5.png").unlink()
    (root / "images" / "6.png").write_bytes(encode(np.zeros((64, 64), np.uint8)))
    summary = _prepare(root, folder)
    assert summary.quarantined == {"blank": 1, "empty": 1, "missing": 1, "truncated": 1}
    assert summary.stored == 3
    bad = _index(folder).filter(pl.col("quarantine").is_not_null())
    assert bad["quarantine"].to_list() == ["truncated", "empty", "missing", "blank"]
    assert bad.select("shard", "row", "dhash", "mean").null_count().row(0) == (4, 4, 4, 4)
    assert bad["source_digest"].to_list()[2] == ""
    store = ImageStore(folder)
    assert len(store) == 3
    assert store.read(np.arange(3)).reshape(3, -1).std(axis=1).min() > 10


def test_a_file_that_came_back_leaves_quarantine(root, folder):
    path = root / "images" / "5.png"
    data = path.read_bytes()
    path.unlink()
    assert _prepare(root, folder).quarantined == {"missing": 1}
    path.write_bytes(data)
    assert _prepare(root, folder) == PrepareSummary(images=COUNT, stored=COUNT, decoded=1, quarantined={})


def test_only_new_and_changed_files_are_decoded(root, folder):
    _prepare(root, folder, range(4))
    (root / "images" / "1.png").write_bytes(encode(picture(50)))
    summary = _prepare(root, folder)
    assert summary.decoded == 4
    store = ImageStore(folder)
    for number in range(COUNT):
        expected = read_radiograph(root / "images" / f"{number}.png", size=SIZE).pixels
        np.testing.assert_array_equal(store.read_ids([f"nih/{number}"])[0], expected)


def test_a_change_that_keeps_size_and_time_is_seen(root, folder):
    path = root / "images" / "0.png"
    path.write_bytes(encode(picture(0)).ljust(9000, b"\0"))
    _prepare(root, folder)
    first, stat = ImageStore(folder).read_ids(["nih/0"]), path.stat()
    path.write_bytes(encode(picture(60)).ljust(9000, b"\0"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    assert _prepare(root, folder).decoded == 1
    assert (ImageStore(folder).read_ids(["nih/0"]) != first).any()


@pytest.fixture
def read(monkeypatch):
    """Names of the files that were read to be digested; the clock is ahead, so that fresh files are trusted."""
    names, file_digest = [], digests.file_digest
    monkeypatch.setattr(digests, "time_ns", lambda: time.time_ns() + 2 * SETTLED_NS)
    monkeypatch.setattr(digests, "file_digest", lambda path: names.append(path.name) or file_digest(path))
    return names


def test_unchanged_files_are_not_even_read(root, folder, read):
    _prepare(root, folder, range(4))
    assert _prepare(root, folder).decoded == 3
    memory = (folder / MEMORY).read_bytes()
    before = _contents(folder)
    assert _prepare(root, folder).decoded == 0
    assert read == []
    assert _contents(folder) == before
    assert (folder / MEMORY).read_bytes() == memory


def test_a_change_that_keeps_size_and_time_is_seen_though_files_are_trusted(root, folder, read):
    path = root / "images" / "0.png"
    path.write_bytes(encode(picture(0)).ljust(9000, b"\0"))
    _prepare(root, folder)
    stat = path.stat()
    path.write_bytes(encode(picture(60)).ljust(9000, b"\0"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert _prepare(root, folder).decoded == 1
    assert read == ["0.png"]


def test_a_file_that_was_renamed_over_another_is_seen(root, folder, read):
    path, other = root / "images" / "0.png", root / "images" / "other"
    path.write_bytes(encode(picture(0)).ljust(9000, b"\0"))
    _prepare(root, folder)
    other.write_bytes(encode(picture(60)).ljust(9000, b"\0"))
    stat = path.stat()
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.rename(path)
    assert _prepare(root, folder).decoded == 1
    expected = read_radiograph(path, size=SIZE).pixels
    np.testing.assert_array_equal(ImageStore(folder).read_ids(["nih/0"])[0], expected)


def test_a_touched_file_is_read_once_and_not_decoded(root, folder, read):
    _prepare(root, folder)
    before = _contents(folder)
    (root / "images" / "2.png").touch()
    assert [_prepare(root, folder).decoded for _ in range(2)] == [0, 0]
    assert read == ["2.png"]
    assert _contents(folder) == before


def test_a_source_that_was_copied_gives_the_same_store(root, folder, tmp_path, read):
    _prepare(root, folder)
    before = _contents(folder)
    shutil.copytree(root, tmp_path / "copy")
    assert _prepare(tmp_path / "copy", folder).decoded == 0
    assert len(read) == COUNT
    assert _contents(folder) == before


def test_what_was_forgotten_is_all_read_again(root, folder, read):
    _prepare(root, folder)
    forget_digests(folder)
    assert _prepare(root, folder).decoded == 0
    assert sorted(read) == [f"{number}.png" for number in range(COUNT)]


def test_removed_images_leave_the_index_and_at_last_the_disk(root, folder):
    _prepare(root, folder)
    assert _prepare(root, folder, [0, 1, 6]) == PrepareSummary(images=3, stored=3, decoded=0, quarantined={})
    assert _index(folder)["image_id"].to_list() == ["nih/0", "nih/1", "nih/6"]
    assert len(list(folder.glob("*.arrow"))) == len(list((folder / "parts").iterdir())) == 2
    assert _prepare(root, folder, [0, 1, 2, 6]).decoded == 0


def test_another_size_makes_the_store_anew(root, folder):
    _prepare(root, folder)
    assert _prepare(root, folder, size=40).decoded == COUNT
    assert ImageStore(folder).size == 40
    assert all(path.name.startswith("40px") for path in folder.glob("*.arrow"))
    assert len(list((folder / "parts").iterdir())) == 3


def test_other_pixel_rules_make_the_store_anew(root, folder, monkeypatch):
    _prepare(root, folder)
    monkeypatch.setattr(parts, "PIXEL_RULES", 999)
    assert _prepare(root, folder).decoded == COUNT
    assert all("rules999-" in path.name for path in folder.glob("*.arrow"))


def test_what_a_killed_run_left_is_taken_up(root, folder):
    _prepare(root, folder)
    whole = _bytes(folder)
    (folder / "index.parquet").unlink()
    (folder / ".index.parquet.abc.tmp").write_bytes(b"half")
    (folder / "parts" / ".x.parquet.abc.tmp").write_bytes(b"half")
    assert _prepare(root, folder).decoded == 0
    assert _bytes(folder) == whole


def test_a_run_killed_between_shards_gives_the_same_store_at_last(root, folder, tmp_path, monkeypatch):
    _prepare(root, tmp_path / "reference")
    write, written = parts.write_table, []

    def _write_until_full(path, frame, schema):
        written.append(path)
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        return write(path, frame, schema)

    monkeypatch.setattr(parts, "write_table", _write_until_full)
    with pytest.raises(OSError, match="No space left"):
        _prepare(root, folder)
    assert not (folder / "index.parquet").exists()
    assert len(list(folder.glob("*.arrow"))) == 2
    monkeypatch.setattr(parts, "write_table", write)
    assert _prepare(root, folder).decoded == COUNT - 3
    assert _bytes(folder) == _bytes(tmp_path / "reference")


def test_readers_see_the_old_store_until_the_new_one_is_whole(root, folder, monkeypatch):
    _prepare(root, folder)
    monkeypatch.setattr(prepare, "write_table", _fail_at_index(prepare.write_table))
    with pytest.raises(OSError, match="stop"):
        _prepare(root, folder, size=40)
    assert ImageStore(folder).size == SIZE
    assert len(ImageStore(folder)) == COUNT


def _fail_at_index(write):
    def _write(path, frame, schema):
        if path.name == "index.parquet":
            raise OSError("stop")
        return write(path, frame, schema)

    return _write


def _die_at_the_fifth(path, form):
    if path.name == "4.png":
        os.kill(os.getpid(), signal.SIGKILL)
    return decode_file(path, form)


def _prepare_and_die(root, folder):
    parts.MAX_SHARD_ROWS = 3
    prepare.decode_files = partial(decode_files, decode=_die_at_the_fifth)
    _prepare(root, folder)


def test_a_run_killed_with_9_is_gone_on_with(root, folder, tmp_path):
    _prepare(root, tmp_path / "reference")
    process = multiprocessing.get_context("spawn").Process(target=_prepare_and_die, args=(root, folder))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert len(list(folder.glob("*.arrow"))) == 1
    assert _prepare(root, folder).decoded == COUNT - 3
    assert _bytes(folder) == _bytes(tmp_path / "reference")


def test_a_second_run_at_once_is_refused_and_harms_nothing(root, folder):
    _prepare(root, folder)
    before = _contents(folder)
    with lock_folder(folder), pytest.raises(StoreError, match=rf"being written by process {os.getpid()} on "):
        _prepare(root, folder, [0])
    assert _contents(folder) == before


def test_shards_that_are_mostly_dead_are_packed_anew_without_decoding(root, folder):
    (root / "images" / "4.png").write_bytes(b"no image")
    _prepare(root, folder)
    summary = _prepare(root, folder, [0, 4, 6])
    assert summary == PrepareSummary(images=3, stored=2, decoded=0, quarantined={"not_an_image": 1}, repacked=2)
    assert _index(folder)["row"].to_list() == [0, None, 0]
    kept = sorted(path.name for path in folder.glob("*.arrow"))
    assert kept == sorted(set(_index(folder)["shard"].drop_nulls()))
    for number in (0, 6):
        expected = read_radiograph(root / "images" / f"{number}.png", size=SIZE).pixels
        np.testing.assert_array_equal(ImageStore(folder).read_ids([f"nih/{number}"])[0], expected)
    before = _contents(folder)
    assert _prepare(root, folder, [0, 4, 6]).repacked == 0
    assert _contents(folder) == before


@pytest.mark.parametrize(("old", "new"), [("raw", "zstd"), ("zstd", "raw")])
def test_another_codec_gives_the_store_that_it_would_have_made_without_decoding(root, folder, tmp_path, old, new):
    (root / "images" / "2.png").write_bytes(b"no image")
    _prepare(root, folder, codec=old)
    pixels = ImageStore(folder).read(np.arange(COUNT - 1))
    summary = _prepare(root, folder, codec=new)
    assert (summary.decoded, summary.repacked) == (0, COUNT)
    np.testing.assert_array_equal(ImageStore(folder).read(np.arange(COUNT - 1)), pixels)
    _prepare(root, tmp_path / "fresh", codec=new)
    assert _bytes(folder) == _bytes(tmp_path / "fresh")


def test_packing_anew_goes_on_where_it_was_killed(root, folder, tmp_path, monkeypatch):
    _prepare(root, folder, codec="raw")
    write = parts.write_part
    monkeypatch.setattr(parts, "write_part", _fail_at_the_second_call(write))
    with pytest.raises(OSError, match="stop"):
        _prepare(root, folder)
    assert len(ImageStore(folder)) == COUNT
    monkeypatch.setattr(parts, "write_part", write)
    assert _prepare(root, folder).repacked == COUNT - 3
    _prepare(root, tmp_path / "fresh")
    assert _bytes(folder) == _bytes(tmp_path / "fresh")


def _fail_at_the_second_call(write):
    calls = []

    def _write(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise OSError("stop")
        return write(*arguments)

    return _write


def test_a_lost_shard_is_made_again(root, folder):
    _prepare(root, folder)
    whole = _bytes(folder)
    (folder / _index(folder)["shard"][0]).unlink()
    assert _prepare(root, folder).decoded == 3
    assert _bytes(folder) == whole


def test_the_order_of_the_table_does_not_matter(root, folder, tmp_path):
    _prepare(root, folder)
    prepare_images(_table(root).reverse(), root, tmp_path / "reversed", form=StoreForm(SIZE))
    assert _bytes(tmp_path / "reversed") == _bytes(folder)


def test_many_processes_make_the_same_bytes_as_one(tmp_path, monkeypatch):
    root, count = tmp_path / "many", 2 * BATCH_FILES + 1
    (root / "images").mkdir(parents=True)
    for number in range(count):
        (root / "images" / f"{number}.png").write_bytes(encode(picture(number)) if number % 10 else b"bad")
    with Cluster(workers=2) as cluster:
        _prepare(root, tmp_path / "parallel", range(count), cluster=cluster)
    monkeypatch.setattr("cxr_pipeline.images.decoding.BATCH_FILES", count)
    _prepare(root, tmp_path / "serial", range(count))
    assert _bytes(tmp_path / "parallel") == _bytes(tmp_path / "serial")


def test_progress_counts_images_and_ends_at_all_of_them(root, folder):
    (root / "images" / "6.png").write_bytes(b"bad")
    _prepare(root, folder, range(4))
    calls = []
    _prepare(root, folder, on_progress=lambda *numbers: calls.append(numbers))
    assert calls == [(4, COUNT, 0), (COUNT, COUNT, 1)]
    _prepare(root, folder, on_progress=lambda *numbers: calls.append(numbers))
    assert calls[2:] == [(COUNT, COUNT, 1)]


def test_a_disk_that_is_not_mounted_does_not_empty_the_store(root, folder, tmp_path):
    _prepare(root, folder)
    before = _contents(folder)
    for table in (_table(root), _table(root, [])):
        with pytest.raises(SourceNotFoundError, match="None of"):
            prepare_images(table, tmp_path / "elsewhere", folder, form=StoreForm(SIZE))
    assert _contents(folder) == before


@pytest.mark.realdata
def test_real_images_of_both_forms_are_stored_as_they_are(nih_folder, tmp_path):
    paths = sorted(nih_folder.glob("images_*/images/*.png"))
    chosen = [path for path in paths if path.read_bytes()[25] == 6][:3] + paths[:3]
    table = pl.DataFrame(
        {
            "image_id": [f"nih/{path.stem}" for path in chosen],
            "path": [path.relative_to(nih_folder).as_posix() for path in chosen],
            "file_bytes": [path.stat().st_size for path in chosen],
        }
    ).unique("image_id", maintain_order=True)
    summary = prepare_images(table, nih_folder, tmp_path / "nih", form=StoreForm(256))
    assert (summary.stored, summary.quarantined) == (table.height, {})
    assert set(_index(tmp_path / "nih")["source_mode"]) == {"L8", "RGBA8"}
    pixels = ImageStore(tmp_path / "nih").read_ids(table["image_id"].to_list())
    for image, path in zip(pixels, table["path"], strict=True):
        np.testing.assert_array_equal(image, read_radiograph(nih_folder / path, size=256).pixels)
