import hashlib
import multiprocessing
import os
import select
import threading

import pytest

from cxr_pipeline.images.decode.letterbox import Letterbox, letterbox
from cxr_pipeline.images.decode.pixels import read_radiograph
from cxr_pipeline.images.prepare.cluster import Cluster
from cxr_pipeline.images.prepare.decoding import BATCH_FILES, Decoded, decode_file, decode_files
from cxr_pipeline.images.store.codecs import CODECS
from cxr_pipeline.images.store.codecs import encode as encode_frame
from cxr_pipeline.images.store.hashing import difference_hash
from cxr_pipeline.images.store.shards import StoreForm
from cxr_pipeline_tests.images.conftest import encode, picture


def _name_bytes(path, form):
    """Stands for a decoder; the file `killer` takes its process with it, as a segmentation fault does."""
    if path.name.startswith("killer"):
        os._exit(139)
    return Decoded(len(path.name), path.name)


def _hold_the_pipe(path, form):
    """Opens the named pipe beside `path`, which closes when the process ends, and never returns."""
    with (path.parent / "pipe").open("wb") as pipe:
        pipe.write(b"x")
        pipe.flush()
        threading.Event().wait()


def _decode_for_ever(paths):
    with Cluster(workers=2) as cluster:
        list(decode_files(paths, form=StoreForm(32), cluster=cluster, decode=_hold_the_pipe))


def _fill(folder, names):
    paths = [folder / name for name in names]
    for path in paths:
        path.write_bytes(path.name.encode())
    return paths


@pytest.mark.parametrize("codec", CODECS)
def test_a_file_is_read_once_and_described(tmp_path, codec):
    path = tmp_path / "image.png"
    path.write_bytes(encode(picture(0, height=96, width=48)))
    decoded, stored = decode_file(path, StoreForm(32, codec)), read_radiograph(path, size=32).pixels
    assert decoded.frame == encode_frame(stored, codec)
    assert decoded.source_digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert decoded.source_bytes == path.stat().st_size
    assert (decoded.source_height, decoded.source_width, decoded.source_mode) == (96, 48, "L8")
    assert (decoded.bit_depth, decoded.photometric) == (8, "MONOCHROME2")
    assert Letterbox(**decoded.transform) == letterbox(96, 48, size=32)
    assert (decoded.mean, decoded.spread) == (pytest.approx(stored.mean()), pytest.approx(stored.std()))
    assert decoded.dhash == difference_hash(stored[:, 8:24])


def test_unusable_files_come_back_with_their_reason(tmp_path):
    (tmp_path / "text.png").write_bytes(b"text")
    digest = hashlib.sha256(b"text").hexdigest()
    assert decode_file(tmp_path / "text.png", StoreForm(32)) == Decoded(4, digest, "not_an_image")
    assert decode_file(tmp_path / "gone.png", StoreForm(32)) == Decoded(0, "", "missing")


@pytest.fixture(scope="module")
def cluster():
    with Cluster(workers=2) as cluster:
        yield cluster


def test_files_come_back_in_order_from_several_processes(tmp_path, cluster):
    paths = _fill(tmp_path, [f"{number}.png" for number in range(6 * BATCH_FILES + 3)])
    decoded = list(decode_files(paths, form=StoreForm(32), cluster=cluster, decode=_name_bytes))
    assert [one.source_digest for one in decoded] == [path.name for path in paths]


def test_a_file_that_kills_its_decoder_is_quarantined_and_no_other_is_lost(tmp_path, cluster):
    names = [f"{number}.png" for number in range(4 * BATCH_FILES)]
    names[5], names[6], names[-1] = "killer-a.png", "killer-b.png", "killer-c.png"
    paths = _fill(tmp_path, names)
    decoded = list(decode_files(paths, form=StoreForm(32), cluster=cluster, decode=_name_bytes))
    killers = [i for i, one in enumerate(decoded) if one.quarantine == "decoder_crash"]
    assert killers == [5, 6, len(names) - 1]
    assert decoded[5] == Decoded(12, hashlib.sha256(b"killer-a.png").hexdigest(), "decoder_crash")
    assert [one.source_digest for one in decoded if not one.quarantine] == [n for n in names if "killer" not in n]


def test_processes_keep_their_memory_and_compute_with_one_thread(cluster):
    names = ["MALLOC_TRIM_THRESHOLD_", "OMP_NUM_THREADS"]
    assert list(cluster.map(os.environ.get, names, batch_size=1)) == [None, "1"]


def test_a_few_files_need_no_process(tmp_path):
    paths = _fill(tmp_path, [f"{number}.png" for number in range(BATCH_FILES)])
    here = os.getpid()
    never_started = Cluster("tcp://127.0.0.1:9")
    decoded = decode_files(
        paths, form=StoreForm(32), cluster=never_started, decode=lambda path, form: Decoded(os.getpid(), path.name)
    )
    assert {one.source_bytes for one in decoded} == {here}


def test_processes_end_when_their_parent_is_killed(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # of the killed parent, which leaves its scratch folder
    paths = _fill(tmp_path, [f"{number}.png" for number in range(BATCH_FILES + 1)])
    os.mkfifo(tmp_path / "pipe")
    parent = multiprocessing.get_context("spawn").Process(target=_decode_for_ever, args=(paths,))
    parent.start()
    with os.fdopen(os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as pipe:
        ready, _, _ = select.select([pipe, parent.sentinel], [], [], 60)
        parent.kill()
        parent.join()
        assert ready == [pipe], "the parent ended by itself, or took a minute to start"
        received = pipe.read(1)
        assert received == b"x"
        while received:
            assert select.select([pipe], [], [], 20)[0], "a process outlived its parent"
            received = pipe.read(1)
