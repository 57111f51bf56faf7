"""An archive in parts is unpacked whole or not at all, and no faster way to harm is open: names, links, full disks."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections import namedtuple
from pathlib import Path

import pytest

from cxr_pipeline.datasets.files import archives
from cxr_pipeline.datasets.files.archives import Archive, unpack_archive
from cxr_pipeline.errors import ArchiveError
from cxr_pipeline_tests.datasets.files.archives import (
    FILES,
    NAME,
    compress,
    files_below,
    random_bytes,
    tar_of,
    write_archive,
    write_parts,
)


@pytest.mark.parametrize("parts", [1, 2, 3, 10])
def test_files_come_out_as_they_went_in(tmp_path, parts):
    archive = write_archive(tmp_path, parts=parts)
    assert archive.is_pending
    assert unpack_archive(archive) == len(FILES)
    assert files_below(archive.folder) == FILES
    assert not archive.is_pending
    assert not archive.marker.exists()


def test_tar_agrees(tmp_path):
    """The publisher's own way: `cat parts | tar --zstd -xf -`."""
    archive = write_archive(tmp_path)
    whole = b"".join(path.read_bytes() for path in archive.find_parts())
    if shutil.which("zstd") is None:
        pytest.skip("no zstd on this machine")
    subprocess.run(["tar", "--zstd", "-xf", "-"], input=whole, cwd=tmp_path, check=True)
    assert not archive.is_pending
    assert unpack_archive(archive) == 0


def test_several_frames_and_leading_dots_are_read(tmp_path):
    data = tar_of({f"./{name}": content for name, content in FILES.items()})
    packed = b"".join(compress(data[start : start + 100_000]) for start in range(0, len(data), 100_000))
    archive = write_parts(tmp_path, packed)
    assert unpack_archive(archive) == len(FILES)
    assert files_below(archive.folder) == FILES


def test_second_run_writes_nothing(tmp_path):
    archive = write_archive(tmp_path)
    unpack_archive(archive)
    before = {path: path.stat().st_mtime_ns for path in archive.folder.rglob("*")}
    assert unpack_archive(archive) == 0
    assert {path: path.stat().st_mtime_ns for path in archive.folder.rglob("*")} == before


def test_file_of_other_bytes_is_written_again(tmp_path):
    archive = write_archive(tmp_path)
    unpack_archive(archive)
    damaged = archive.folder / "a1" / "1.png"
    damaged.write_bytes(bytes(damaged.stat().st_size))
    assert unpack_archive(archive) == 1
    assert files_below(archive.folder) == FILES


def test_progress_counts_the_parts(tmp_path):
    calls = []
    unpack_archive(write_archive(tmp_path), on_progress=lambda read, parts: calls.append((read, parts)))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_killed_run_is_pending_and_the_next_one_ends_it(tmp_path):
    archive = write_archive(tmp_path)
    kill = (
        "import os, signal; from pathlib import Path; from cxr_pipeline.datasets.files.archives import *\n"
        "def die(read, parts): read == 2 and os.kill(os.getpid(), signal.SIGKILL)\n"
        f"unpack_archive(Archive(Path({str(tmp_path)!r}), {NAME!r}), on_progress=die)"
    )
    assert subprocess.run([sys.executable, "-c", kill], check=False).returncode == -signal.SIGKILL
    partial = files_below(archive.folder)
    assert 0 < len(partial) < len(FILES)
    assert archive.is_pending
    assert unpack_archive(archive) == len(FILES) - len(set(partial) & set(FILES))
    assert files_below(archive.folder) == FILES
    assert not archive.is_pending


def test_folder_that_someone_unpacked_is_left_alone(tmp_path):
    archive = write_archive(tmp_path)
    (archive.folder / "mine").mkdir(parents=True)
    assert not archive.is_pending


def test_source_without_parts_has_nothing_to_unpack(tmp_path):
    archive = Archive(tmp_path, NAME)
    assert not archive.is_pending
    with pytest.raises(ArchiveError, match=r"no pictures\.part00"):
        unpack_archive(archive)


def test_download_that_is_not_done_is_no_part(tmp_path):
    archive = write_archive(tmp_path)
    last = archive.find_parts()[-1]
    last.rename(last.with_name(f"{last.name}.incomplete"))
    assert [part.name for part in archive.find_parts()] == ["pictures.part00", "pictures.part01"]


@pytest.mark.parametrize("number", [0, 1])
def test_missing_part_is_named(tmp_path, number):
    archive = write_archive(tmp_path)
    archive.find_parts()[number].unlink()
    with pytest.raises(ArchiveError, match=rf"no pictures\.part0{number}, but 2 other parts up to pictures\.part02"):
        unpack_archive(archive)
    assert not archive.folder.exists()


def test_missing_last_part_leaves_the_unpacking_open(tmp_path):
    archive = write_archive(tmp_path)
    last = archive.find_parts()[-1]
    content = last.read_bytes()
    last.unlink()
    with pytest.raises(ArchiveError, match=r"pictures\.part01 ends in the middle.*parts after it are missing"):
        unpack_archive(archive)
    assert archive.is_pending
    last.write_bytes(content)
    unpack_archive(archive)
    assert files_below(archive.folder) == FILES


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("lost", [100, 10_000])
def test_part_that_lost_its_end_is_named(tmp_path, number, lost):
    archive = write_archive(tmp_path)
    part = archive.find_parts()[number]
    part.write_bytes(part.read_bytes()[:-lost])
    with pytest.raises(ArchiveError, match=rf"pictures\.part0{number} "):
        unpack_archive(archive)
    assert archive.is_pending


@pytest.mark.parametrize("where", ["head", "frame"])
def test_damaged_part_is_named(tmp_path, where):
    archive = write_archive(tmp_path)
    part = archive.find_parts()[0 if where == "head" else 1]
    content = bytearray(part.read_bytes())
    content[: 4 if where == "head" else len(content)] = b"\xff" * (4 if where == "head" else len(content))
    part.write_bytes(content)
    with pytest.raises(ArchiveError, match=rf"{part.name} is damaged.*SHA-256"):
        unpack_archive(archive)
    assert archive.is_pending


@pytest.mark.parametrize("seed", range(12))
def test_no_flipped_byte_goes_unseen(tmp_path, seed):
    """Most of a packed picture is stored as it is: only the checksum at the very end sees a change there."""
    archive = write_archive(tmp_path)
    part = archive.find_parts()[seed % 3]
    content = bytearray(part.read_bytes())
    content[(seed * 7_919 + 11) % len(content)] ^= 0x55
    part.write_bytes(content)
    with pytest.raises(ArchiveError):
        unpack_archive(archive)
    assert archive.is_pending


def test_part_that_only_the_checksum_tells_from_a_sound_one_may_be_any(tmp_path):
    archive = write_archive(tmp_path)
    part = archive.find_parts()[1]
    content = bytearray(part.read_bytes())
    content[20_000] ^= 0x55  # in the middle of a picture
    part.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"One of .*pictures\.part00 to pictures\.part02 is damaged"):
        unpack_archive(archive)


@pytest.mark.parametrize("keeps", ["whole files", "whole files and half a header", "a header that is none"])
def test_tar_that_ends_between_two_files_is_refused(tmp_path, keeps):
    data = tar_of(FILES)
    second = data.index(f"{NAME}/a3/".encode())
    kept = {
        "whole files": data[:second],
        "whole files and half a header": data[: second + 200],
        "a header that is none": data[:second] + b"\xff" * 512 + data[second + 512 :],
    }
    archive = write_parts(tmp_path, compress(kept[keeps]))
    with pytest.raises(ArchiveError, match="no sound tar"):
        unpack_archive(archive)
    assert archive.is_pending


def test_git_lfs_pointer_is_told(tmp_path):
    archive = write_parts(tmp_path, b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", parts=1)
    with pytest.raises(ArchiveError, match=r"pictures\.part00 is damaged.*git lfs pull"):
        unpack_archive(archive)


def test_tar_that_was_cut_before_it_was_compressed_is_refused(tmp_path):
    archive = write_parts(tmp_path, compress(tar_of(FILES)[:150_000]))
    with pytest.raises(ArchiveError, match=r"pictures\.part0\d holds no sound tar"):
        unpack_archive(archive)


def test_empty_part_is_refused(tmp_path):
    with pytest.raises(ArchiveError, match=r"pictures\.part00 ends in the middle"):
        unpack_archive(write_parts(tmp_path, b"", parts=1))


@pytest.mark.parametrize(
    "name", ["../escape.png", "/etc/escape.png", f"{NAME}/../escape.png", f"{NAME}/../../escape.png", "metadata/a.json"]
)
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    root = tmp_path / "root"
    with pytest.raises(ArchiveError):
        unpack_archive(write_archive(root, {name: b"harm"}))
    assert {path.name for path in tmp_path.iterdir()} == {"root"}
    assert not list(root.rglob("escape.png"))
    assert not (root / "metadata").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    member = tarfile.TarInfo(f"{NAME}/link.png")
    member.type, member.linkname = kind, f"{NAME}/a0/0.png"
    archive = write_parts(tmp_path, compress(tar_of(FILES, [member])))
    with pytest.raises(ArchiveError, match=r"holds 'pictures/link\.png', expected plain files"):
        unpack_archive(archive)
    assert not (archive.folder / "link.png").exists()


def test_folder_may_be_a_link_to_another_disk(tmp_path):
    (tmp_path / "disk").mkdir()
    archive = write_archive(tmp_path / "root")
    archive.folder.symlink_to(tmp_path / "disk")
    assert unpack_archive(archive) == len(FILES)
    assert files_below(tmp_path / "disk").keys() == {name.replace(NAME, "disk", 1) for name in FILES}


def test_full_disk_is_told_before_anything_is_written(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")(10, 9, 1)  # noqa: PYI024
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda path: usage)
    archive = write_archive(tmp_path)
    with pytest.raises(ArchiveError, match=r"0\.0 GB free; the pictures of 3 parts need 0\.0 GB"):
        unpack_archive(archive)
    assert not archive.folder.exists()
    assert not archive.marker.exists()


def test_space_that_is_used_already_is_not_asked_for_again(tmp_path, monkeypatch):
    archive = write_archive(tmp_path)
    unpack_archive(archive)
    (archive.folder / "a1" / "1.png").unlink()
    usage = namedtuple("usage", "total used free")(10, 9, 65_000)  # noqa: PYI024
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda path: usage)
    assert unpack_archive(archive) == 1


def test_disk_that_fills_up_is_told_and_can_be_gone_on_with(tmp_path, monkeypatch):
    archive, write = write_archive(tmp_path), Path.write_bytes

    def fill_up(path, data):
        if path.name == ".3.png.tmp":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", fill_up)
    with pytest.raises(ArchiveError, match="is full"):
        unpack_archive(archive)
    monkeypatch.undo()
    assert unpack_archive(archive) == 3


def test_folder_that_cannot_be_written_to_is_told(tmp_path):
    archive = write_archive(tmp_path)
    archive.folder.write_text("a file where the folder should be")
    with pytest.raises(ArchiveError, match="Expected to read the parts"):
        unpack_archive(archive)


def test_memory_does_not_grow_with_the_archive(tmp_path):
    import tracemalloc

    archive = write_archive(tmp_path, {f"{NAME}/{n}.png": random_bytes(n, 100_000) for n in range(100)})
    tracemalloc.start()
    unpack_archive(archive)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3_000_000  # of 10 MB
