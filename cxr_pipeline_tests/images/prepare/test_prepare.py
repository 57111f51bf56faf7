"""A store holds what its files show, whatever made it."""

import numpy as np
import polars as pl
import pytest

from cxr_pipeline.errors import SourceNotFoundError
from cxr_pipeline.images.decode.pixels import read_radiograph
from cxr_pipeline.images.prepare.cluster import Cluster
from cxr_pipeline.images.prepare.decoding import BATCH_FILES
from cxr_pipeline.images.prepare.step import PrepareSummary, prepare_images
from cxr_pipeline.images.store.shards import ImageStore, StoreForm
from cxr_pipeline_tests.images.conftest import encode, picture
from cxr_pipeline_tests.images.prepare.small_store import (
    COUNT,
    SIZE,
    contents,
    file_bytes,
    prepare_small,
    read_index,
    table_of,
)


def test_the_store_holds_what_the_files_show(root, folder):
    assert prepare_small(root, folder) == PrepareSummary(images=COUNT, stored=COUNT, decoded=COUNT, quarantined={})
    store = ImageStore(folder)
    for number in range(COUNT):
        expected = read_radiograph(root / "images" / f"{number}.png", size=SIZE).pixels
        np.testing.assert_array_equal(store.read_ids([f"nih/{number}"]), expected[None])
    index = read_index(folder)
    assert index["image_id"].to_list() == [f"nih/{number}" for number in range(COUNT)]
    assert index["row"].to_list() == [0, 1, 2, 0, 1, 2, 0]
    assert index["shard"].n_unique() == len(list(folder.glob("*.arrow"))) == 3
    assert index["source_bytes"].to_list() == table_of(root)["file_bytes"].to_list()


def test_a_second_run_decodes_nothing_and_changes_no_byte(root, folder):
    (root / "images" / "2.png").write_bytes(b"no image")
    prepare_small(root, folder)
    before = contents(folder)
    assert prepare_small(root, folder).decoded == 0
    assert contents(folder) == before


def test_bad_files_are_quarantined_with_their_reason_and_never_stored(root, folder):
    whole = (root / "images" / "1.png").read_bytes()
    (root / "images" / "1.png").write_bytes(whole[: len(whole) // 2])
    (root / "images" / "4.png").write_bytes(b"")
    (root / "images" / "5.png").unlink()
    (root / "images" / "6.png").write_bytes(encode(np.zeros((64, 64), np.uint8)))
    summary = prepare_small(root, folder)
    assert summary.quarantined == {"blank": 1, "empty": 1, "missing": 1, "truncated": 1}
    assert summary.stored == 3
    bad = read_index(folder).filter(pl.col("quarantine").is_not_null())
    assert bad["quarantine"].to_list() == ["truncated", "empty", "missing", "blank"]
    assert bad.select("shard", "row", "dhash", "mean").null_count().row(0) == (4, 4, 4, 4)
    assert bad["source_digest"].to_list()[2] == ""
    store = ImageStore(folder)
    assert len(store) == 3
    assert store.read(np.arange(3)).reshape(3, -1).std(axis=1).min() > 10


def test_the_order_of_the_table_does_not_matter(root, folder, tmp_path):
    prepare_small(root, folder)
    prepare_images(table_of(root).reverse(), root, tmp_path / "reversed", form=StoreForm(SIZE))
    assert file_bytes(tmp_path / "reversed") == file_bytes(folder)


def test_many_processes_make_the_same_bytes_as_one(tmp_path, monkeypatch):
    root, count = tmp_path / "many", 2 * BATCH_FILES + 1
    (root / "images").mkdir(parents=True)
    for number in range(count):
        (root / "images" / f"{number}.png").write_bytes(encode(picture(number)) if number % 10 else b"bad")
    with Cluster(workers=2) as cluster:
        prepare_small(root, tmp_path / "parallel", range(count), cluster=cluster)
    monkeypatch.setattr("cxr_pipeline.images.prepare.decoding.BATCH_FILES", count)
    prepare_small(root, tmp_path / "serial", range(count))
    assert file_bytes(tmp_path / "parallel") == file_bytes(tmp_path / "serial")


def test_progress_counts_images_and_ends_at_all_of_them(root, folder):
    (root / "images" / "6.png").write_bytes(b"bad")
    prepare_small(root, folder, range(4))
    calls = []
    prepare_small(root, folder, on_progress=lambda *numbers: calls.append(numbers))
    assert calls == [(4, COUNT, 0), (COUNT, COUNT, 1)]
    prepare_small(root, folder, on_progress=lambda *numbers: calls.append(numbers))
    assert calls[2:] == [(COUNT, COUNT, 1)]


def test_a_disk_that_is_not_mounted_does_not_empty_the_store(root, folder, tmp_path):
    prepare_small(root, folder)
    before = contents(folder)
    for table in (table_of(root), table_of(root, [])):
        with pytest.raises(SourceNotFoundError, match="None of"):
            prepare_images(table, tmp_path / "elsewhere", folder, form=StoreForm(SIZE))
    assert contents(folder) == before


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
    assert set(read_index(tmp_path / "nih")["source_mode"]) == {"L8", "RGBA8"}
    pixels = ImageStore(tmp_path / "nih").read_ids(table["image_id"].to_list())
    for image, path in zip(pixels, table["path"], strict=True):
        np.testing.assert_array_equal(image, read_radiograph(nih_folder / path, size=256).pixels)
