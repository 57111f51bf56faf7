import hashlib
from dataclasses import replace

import pytest

from cxr_pipeline.datasets.files.folders import PHANTOM_MARKER
from cxr_pipeline.errors import PhantomError
from cxr_pipeline.phantom.write import PATIENTS_PER_TASK, PhantomRequest, write_phantoms
from cxr_pipeline_tests.phantom.conftest import CHEXPERT, NIH

SMALL = {source: PhantomRequest(source, patients=3, seed=1, size=32) for source in ("nih", "chexpert")}


def digests(root):
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def pictures(root):
    return {name: digest for name, digest in digests(root).items() if name.endswith((".png", ".jpg"))}


@pytest.mark.parametrize("source", ["nih", "chexpert"])
def test_same_request_gives_the_same_bytes(source, tmp_path):
    for folder in ("a", "b"):
        write_phantoms(SMALL[source], tmp_path / folder, workers=1)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


@pytest.mark.parametrize("source", ["nih", "chexpert"])
def test_a_patients_pictures_do_not_depend_on_how_many_patients_there_are(source, tmp_path):
    write_phantoms(SMALL[source], tmp_path / "few", workers=1)
    write_phantoms(replace(SMALL[source], patients=6), tmp_path / "more", workers=1)
    few, more = pictures(tmp_path / "few"), pictures(tmp_path / "more")
    assert few.items() < more.items()


def test_another_seed_gives_other_pictures(tmp_path):
    write_phantoms(SMALL["nih"], tmp_path / "a", workers=1)
    write_phantoms(replace(SMALL["nih"], seed=2), tmp_path / "b", workers=1)
    assert not set(pictures(tmp_path / "a").values()) & set(pictures(tmp_path / "b").values())


def test_bytes_do_not_depend_on_the_number_of_processes(tmp_path):
    request = replace(NIH, patients=8 * PATIENTS_PER_TASK)
    for workers in (1, 2):
        write_phantoms(request, tmp_path / str(workers), workers=workers)
    assert digests(tmp_path / "1") == digests(tmp_path / "2")


@pytest.mark.parametrize(("fixture", "request_"), [("nih_root", NIH), ("chexpert_root", CHEXPERT)])
def test_second_call_touches_nothing(fixture, request_, request):
    root = request.getfixturevalue(fixture)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    images = write_phantoms(request_, root)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    assert images == len(pictures(root))


def test_another_request_replaces_the_phantoms_without_leftovers(tmp_path):
    write_phantoms(replace(SMALL["nih"], patients=6), tmp_path / "used", workers=1)
    write_phantoms(SMALL["chexpert"], tmp_path / "used", workers=1)
    write_phantoms(SMALL["nih"], tmp_path / "used", workers=1)
    write_phantoms(SMALL["nih"], tmp_path / "new", workers=1)
    assert digests(tmp_path / "used") == digests(tmp_path / "new")


def test_interrupted_write_stays_marked_and_is_finished_by_the_next_call(tmp_path):
    class InterruptedWriteError(Exception):
        pass

    def interrupt(done, total):
        raise InterruptedWriteError

    with pytest.raises(InterruptedWriteError):
        write_phantoms(SMALL["nih"], tmp_path / "a", workers=1, on_progress=interrupt)
    assert "complete: no" in (tmp_path / "a" / PHANTOM_MARKER).read_text()
    write_phantoms(SMALL["nih"], tmp_path / "a", workers=1)
    write_phantoms(SMALL["nih"], tmp_path / "b", workers=1)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_marker_says_what_the_pictures_are(nih_root):
    images = len(list(nih_root.glob("images_0*/images/*.png")))
    text = (nih_root / PHANTOM_MARKER).read_text()
    assert text.startswith("These are phantoms: rendered pictures, not radiographs of people.")
    assert f"images: {images}\nseed: 5\nsize: 32\n" in text
    assert text.endswith("complete: yes\n")


def test_every_folder_that_may_be_named_as_a_root_is_marked(chexpert_root):
    inner = chexpert_root / "CheXpert-v1.0-small"
    assert (chexpert_root / PHANTOM_MARKER).read_bytes() == (inner / PHANTOM_MARKER).read_bytes()


def test_a_folder_with_something_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "Data_Entry_2017_v2020.csv").write_text("real")
    with pytest.raises(PhantomError, match="not empty"):
        write_phantoms(SMALL["nih"], tmp_path)
    assert digests(tmp_path) == {"Data_Entry_2017_v2020.csv": hashlib.sha256(b"real").hexdigest()}


def test_real_images_unpacked_over_phantoms_are_never_deleted(tmp_path):
    write_phantoms(SMALL["nih"], tmp_path, workers=1)
    for number in range(20):
        (tmp_path / "images_001" / "images" / f"real_{number}.png").write_bytes(b"real")
    before = digests(tmp_path)
    with pytest.raises(PhantomError, match="may hold real radiographs"):
        write_phantoms(replace(SMALL["nih"], seed=2), tmp_path, workers=1)
    assert digests(tmp_path) == before


def test_progress_ends_with_all_images(tmp_path):
    calls = []
    images = write_phantoms(
        replace(SMALL["nih"], patients=20),
        tmp_path,
        workers=1,
        on_progress=lambda done, total: calls.append((done, total)),
    )
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})
    assert {total for _, total in calls} == {images}
    assert calls[-1] == (images, images)


IMPOSSIBLE = [{"source": "unknown"}, {"patients": 0}, {"patients": 50_001}, {"size": 8}, {"seed": -1}]


@pytest.mark.parametrize("wrong", IMPOSSIBLE, ids=str)
def test_impossible_requests_are_refused(wrong, tmp_path):
    with pytest.raises(PhantomError, match=r"[Ee]xpected"):
        write_phantoms(replace(SMALL["nih"], **wrong), tmp_path / "new")
    assert not (tmp_path / "new").exists()
