import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from cxr_pipeline.errors import StoreError
from cxr_pipeline.images.store import ImageStore, write_shard

SIZE = 8
IMAGES = np.random.default_rng(0).integers(0, 256, (7, SIZE, SIZE)).astype(np.uint8)
IDS = [f"nih/{number}" for number in range(7)]


def _write_index(folder, shards, rows):
    types = {"image_id": pl.String, "shard": pl.String, "row": pl.Int32}
    pl.DataFrame({"image_id": IDS, "shard": shards, "row": rows}, schema=types).write_parquet(folder / "index.parquet")


@pytest.fixture
def folder(tmp_path):
    """Seven images: 0..3 in one shard, 6 and 5 in another, 4 in quarantine."""
    folder = tmp_path / "nih"
    write_shard(folder / "a.arrow", IDS[:4], IMAGES[:4], pixel_rules=1)
    write_shard(folder / "b.arrow", [IDS[6], IDS[5]], IMAGES[[6, 5]], pixel_rules=1)
    _write_index(folder, ["a.arrow"] * 4 + [None, "b.arrow", "b.arrow"], [0, 1, 2, 3, None, 1, 0])
    return folder


def test_images_come_in_the_order_asked_for(folder):
    store = ImageStore(folder)
    order = [6, 0, 5, 3, 0]
    positions = store.locate([IDS[i] for i in order])
    assert positions.dtype == np.int64
    np.testing.assert_array_equal(store.read(positions), IMAGES[order])
    np.testing.assert_array_equal(store.read_ids([IDS[i] for i in order]), IMAGES[order])
    assert (store.size, len(store)) == (SIZE, 6)


def test_an_empty_batch_is_an_empty_array(folder):
    store = ImageStore(folder)
    assert store.read(store.locate([])).shape == (0, SIZE, SIZE)


def test_what_was_read_can_be_changed_without_harm(folder):
    store = ImageStore(folder)
    store.read_ids(IDS[:1])[:] = 0
    np.testing.assert_array_equal(store.read_ids(IDS[:1]), IMAGES[:1])


def test_absent_and_quarantined_images_are_counted(folder):
    with pytest.raises(StoreError, match=r"^2 of 3 requested images are not in the store"):
        ImageStore(folder).locate([IDS[4], IDS[0], "nih/unknown"])


@pytest.mark.parametrize("position", [-1, 6])
def test_positions_outside_the_store_are_refused(folder, position):
    with pytest.raises(StoreError, match=r"0\.\.5"):
        ImageStore(folder).read(np.array([position]))


def test_a_pickled_store_opens_again(folder):
    store = ImageStore(folder)
    data = pickle.dumps(store)
    assert len(data) < 500
    np.testing.assert_array_equal(pickle.loads(data).read_ids(IDS[:3]), IMAGES[:3])


def test_a_forked_process_reads_the_same(folder):
    store, context = ImageStore(folder), multiprocessing.get_context("fork")
    receiver, sender = context.Pipe()
    child = context.Process(target=lambda: sender.send(store.read_ids([IDS[6], IDS[2]])))
    child.start()
    assert receiver.poll(20)
    np.testing.assert_array_equal(receiver.recv(), IMAGES[[6, 2]])
    child.join()


def test_threads_read_the_same(folder):
    store = ImageStore(folder)
    orders = np.random.default_rng(0).integers(0, len(store), (200, 5))
    with ThreadPoolExecutor(4) as threads:
        batches = list(threads.map(store.read, orders))
    np.testing.assert_array_equal(np.stack(batches), IMAGES[[0, 1, 2, 3, 5, 6]][orders])


def test_the_same_images_give_the_same_bytes(folder, tmp_path):
    assert write_shard(tmp_path / "again.arrow", IDS[:4], IMAGES[:4], pixel_rules=1)
    assert (tmp_path / "again.arrow").read_bytes() == (folder / "a.arrow").read_bytes()
    assert not write_shard(folder / "a.arrow", IDS[:4], IMAGES[:4], pixel_rules=1)


def test_a_shard_describes_itself(folder):
    with pa.ipc.open_file(folder / "a.arrow") as reader:
        table = reader.read_all()
    assert table.schema.metadata == {b"size": b"8", b"codec": b"raw", b"pixel_rules": b"1"}
    assert table["image_id"].to_pylist() == IDS[:4]
    assert table["pixels"].to_pylist() == [image.tobytes() for image in IMAGES[:4]]


@pytest.mark.parametrize(
    ("ids", "pixels"), [(IDS[:2], IMAGES[:3]), (IDS[:1], IMAGES[:1, :4]), (IDS[:1], IMAGES[:1].astype(np.int16))]
)
def test_pixels_that_do_not_fit_are_not_written(tmp_path, ids, pixels):
    with pytest.raises(StoreError, match="expected uint8"):
        write_shard(tmp_path / "bad.arrow", ids, pixels, pixel_rules=1)
    assert not list(tmp_path.iterdir())


def test_a_store_that_was_never_made_says_what_to_do(tmp_path):
    with pytest.raises(StoreError, match="materialize images/nih first"):
        ImageStore(tmp_path / "nih")


def test_an_unreadable_index_is_refused(folder):
    (folder / "index.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(StoreError, match="not a readable store index"):
        ImageStore(folder)


def test_a_store_of_quarantined_images_is_refused(folder):
    _write_index(folder, [None] * 7, [None] * 7)
    with pytest.raises(StoreError, match="all 7 are in quarantine"):
        ImageStore(folder)


def test_a_missing_shard_is_named(folder):
    (folder / "b.arrow").unlink()
    with pytest.raises(StoreError, match=r"shard b\.arrow .* is missing"):
        ImageStore(folder)


def test_a_truncated_shard_is_refused(folder):
    whole = (folder / "b.arrow").read_bytes()
    (folder / "b.arrow").write_bytes(whole[:-40])
    with pytest.raises(StoreError, match=r"b\.arrow is not a readable shard"):
        ImageStore(folder)


def test_shards_of_different_sizes_are_refused(folder):
    write_shard(folder / "b.arrow", IDS[5:], np.zeros((2, 16, 16), np.uint8), pixel_rules=1)
    with pytest.raises(StoreError, match=r"sizes \[8, 16\]"):
        ImageStore(folder)


def test_rows_that_a_shard_lacks_are_counted(folder):
    write_shard(folder / "b.arrow", [IDS[6]], IMAGES[[6]], pixel_rules=1)
    with pytest.raises(StoreError, match="lack 1 rows"):
        ImageStore(folder)


def test_an_unknown_codec_is_refused(folder):
    table = pa.table({"image_id": ["nih/6"]}).replace_schema_metadata({"codec": "zstd", "size": "8"})
    with pa.OSFile(str(folder / "b.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(StoreError, match="codec 'zstd'"):
        ImageStore(folder)
