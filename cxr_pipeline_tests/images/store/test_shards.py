import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from zstandard import ZstdCompressor, ZstdDecompressor

from cxr_pipeline.errors import StoreError
from cxr_pipeline.images.store.codecs import CODECS, FrameReader, encode, sum_rows
from cxr_pipeline.images.store.shards import ImageStore, StoreForm, open_shard, read_rows, write_shard
from cxr_pipeline_tests.shards import write_pixels

SIZE = 8
IMAGES = np.random.default_rng(0).integers(0, 256, (7, SIZE, SIZE)).astype(np.uint8)
IDS = [f"nih/{number}" for number in range(7)]


def _write_index(folder, shards, rows):
    types = {"image_id": pl.String, "shard": pl.String, "row": pl.Int32}
    pl.DataFrame({"image_id": IDS, "shard": shards, "row": rows}, schema=types).write_parquet(folder / "index.parquet")


@pytest.fixture(params=["zstd zstd", "raw raw", "raw zstd"])
def folder(tmp_path, request):
    """Seven images: 0..3 in one shard, 6 and 5 in another, 4 in quarantine."""
    folder = tmp_path / "nih"
    first, second = request.param.split()
    write_pixels(folder / "a.arrow", IDS[:4], IMAGES[:4], codec=first)
    write_pixels(folder / "b.arrow", [IDS[6], IDS[5]], IMAGES[[6, 5]], codec=second)
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


@pytest.mark.parametrize("codec", CODECS)
def test_the_same_images_give_the_same_bytes(tmp_path, codec):
    assert write_pixels(tmp_path / "a.arrow", IDS[:4], IMAGES[:4], codec=codec)
    assert write_pixels(tmp_path / "again.arrow", IDS[:4], IMAGES[:4], codec=codec)
    assert (tmp_path / "again.arrow").read_bytes() == (tmp_path / "a.arrow").read_bytes()
    assert not write_pixels(tmp_path / "a.arrow", IDS[:4], IMAGES[:4], codec=codec)


@pytest.mark.parametrize("codec", CODECS)
def test_a_shard_describes_itself(tmp_path, codec):
    write_pixels(tmp_path / "a.arrow", IDS[:4], IMAGES[:4], codec=codec)
    with pa.ipc.open_file(tmp_path / "a.arrow") as reader:
        table = reader.read_all()
    assert table.schema.metadata == {b"size": b"8", b"codec": codec.encode(), b"pixel_rules": b"1"}
    assert table["image_id"].to_pylist() == IDS[:4]
    frames = table["pixels"].to_pylist()
    if codec == "raw":
        assert frames == [image.tobytes() for image in IMAGES[:4]]
    else:  # undone by the definition: zstd, then the sum of all rows above, modulo 256
        rows = [np.frombuffer(ZstdDecompressor().decompress(frame), np.uint8).reshape(8, 8) for frame in frames]
        np.testing.assert_array_equal(np.cumsum(rows, axis=1, dtype=np.int64) % 256, IMAGES[:4])


def _damage(path, frame):
    """Flips one bit in the middle of the frame, wherever it lies in the file."""
    data = bytearray(path.read_bytes())
    start = data.index(frame)
    data[start + len(frame) // 2] ^= 1
    path.write_bytes(data)


def _zstd_store(folder, columns):
    """A store of one shard whose frames are given."""
    table = pa.table({"image_id": IDS, "pixels": pa.array(columns, pa.binary())})
    table = table.replace_schema_metadata({"codec": "zstd", "size": str(SIZE), "pixel_rules": "1"})
    folder.mkdir()
    with pa.OSFile(str(folder / "a.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    _write_index(folder, ["a.arrow"] * 7, list(range(7)))
    return ImageStore(folder)


def test_a_damaged_frame_is_an_error_that_names_shard_and_row(tmp_path):
    write_pixels(tmp_path / "nih" / "a.arrow", IDS, IMAGES)
    _write_index(tmp_path / "nih", ["a.arrow"] * 7, list(range(7)))
    _damage(tmp_path / "nih" / "a.arrow", encode(IMAGES[5], "zstd"))
    store = ImageStore(tmp_path / "nih")
    with pytest.raises(StoreError, match=r"Row 5 of the shard .*a\.arrow is damaged"):
        store.read_ids(IDS)
    np.testing.assert_array_equal(store.read_ids(IDS[:5]), IMAGES[:5])


@pytest.mark.parametrize("shape", [(SIZE, SIZE - 1), (SIZE, SIZE + 1)])
def test_a_frame_of_another_size_is_damaged(tmp_path, shape):
    frames = [encode(image, "zstd") for image in IMAGES]
    frames[3] = ZstdCompressor().compress(bytes(np.prod(shape)))
    with pytest.raises(StoreError, match="Row 3 of"):
        _zstd_store(tmp_path / "nih", frames).read_ids(IDS)


def test_every_flipped_bit_of_a_frame_is_noticed(tmp_path):
    frame = encode(IMAGES[0], "zstd")
    flipped = [
        bytes(byte ^ (1 << bit) if at == place else byte for at, byte in enumerate(frame))
        for place in range(len(frame))
        for bit in range(8)
    ]
    column = pa.array(flipped, pa.binary())
    reader, image = FrameReader(), np.empty((SIZE, SIZE), np.uint8)
    wrong = 0
    for row in range(len(column)):
        if reader.copy(column, row, image):
            sum_rows(image[None])
            wrong += not np.array_equal(image, IMAGES[0])
    assert wrong == 0


@pytest.mark.realdata
def test_lossless_takes_no_more_bytes_than_png(nih_224_folder, tmp_path):
    paths = sorted(nih_224_folder.rglob("*.png"))[:60]
    images = np.stack([cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths])
    write_pixels(tmp_path / "a.arrow", [path.stem for path in paths], images)
    png = sum(len(cv2.imencode(".png", image)[1]) for image in images)
    assert (tmp_path / "a.arrow").stat().st_size < png
    np.testing.assert_array_equal(_read_shard(tmp_path / "a.arrow", len(images)), images)


def _read_shard(path, count):
    return read_rows([open_shard(path)], np.zeros(count, np.int64), np.arange(count))


def test_other_numbers_of_ids_and_images_are_not_written(tmp_path):
    with pytest.raises(StoreError, match="Got 2 ids for 3 images"):
        write_pixels(tmp_path / "bad.arrow", IDS[:2], IMAGES[:3])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("pixels", [IMAGES[:1, :4], IMAGES[:1].astype(np.int16)])
def test_raw_images_of_another_size_are_not_written(tmp_path, pixels):
    with pytest.raises(StoreError, match="expected one byte a pixel"):
        write_shard(tmp_path / "bad.arrow", IDS[:1], [pixels.tobytes()], StoreForm(SIZE, "raw"), pixel_rules=1)
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


def test_offsets_that_point_outside_the_shard_are_refused(tmp_path):
    _zstd_store(tmp_path / "nih", [b"frame"] * 7)
    path = tmp_path / "nih" / "a.arrow"
    offsets = np.arange(0, 40, 5, dtype=np.int32).tobytes()
    path.write_bytes(path.read_bytes().replace(offsets, offsets[:8] + b"\xff\xff\xff\x7f" + offsets[12:]))
    with pytest.raises(StoreError, match=r"a\.arrow is not a readable shard"):
        ImageStore(tmp_path / "nih")


def test_a_truncated_shard_is_refused(folder):
    whole = (folder / "b.arrow").read_bytes()
    (folder / "b.arrow").write_bytes(whole[:-40])
    with pytest.raises(StoreError, match=r"b\.arrow is not a readable shard"):
        ImageStore(folder)


def test_shards_of_different_sizes_are_refused(folder):
    write_pixels(folder / "b.arrow", IDS[5:], np.zeros((2, 16, 16), np.uint8))
    with pytest.raises(StoreError, match=r"sizes \[8, 16\]"):
        ImageStore(folder)


def test_rows_that_a_shard_lacks_are_counted(folder):
    write_pixels(folder / "b.arrow", [IDS[6]], IMAGES[[6]])
    with pytest.raises(StoreError, match="lack 1 rows"):
        ImageStore(folder)


def test_an_unknown_codec_is_refused(folder):
    table = pa.table({"image_id": ["nih/6"]}).replace_schema_metadata({"codec": "lzma", "size": "8"})
    with pa.OSFile(str(folder / "b.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(StoreError, match="codec 'lzma'"):
        ImageStore(folder)
