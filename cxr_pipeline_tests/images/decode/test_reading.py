"""What is no regular file is refused at once: nobody waits for a pipe."""

import os
import socket
from pathlib import Path

import pytest

from cxr_pipeline.errors import ImageError
from cxr_pipeline.images.decode.pixels import read_file
from cxr_pipeline.images.doctor import diagnose, find_files
from cxr_pipeline.storage.files import file_digest


def refusal(path):
    with pytest.raises(ImageError) as error:
        read_file(path)
    return error.value.reason, str(error.value)


def test_a_pipe_a_folder_a_socket_and_a_device_are_no_images(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "linked.png").symlink_to(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.png"))
        for name, kind in {"pipe": "a pipe", "linked": "a pipe", "folder": "a folder", "socket": "a socket"}.items():
            reason, text = refusal(tmp_path / f"{name}.png")
            assert (reason, kind in text) == ("unreadable", True)
    assert refusal(Path("/dev/zero")) == (
        "unreadable",
        "It is a device, expected an image file. Name a file, or leave it out.",
    )
    assert diagnose(tmp_path / "pipe.png", size=32).reason == "unreadable"
    assert find_files([tmp_path]).images == []


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("loop.png", "The link leads to itself"),
        ("file/a.png", "Check the name"),
        ("n" * 300, "Check the name"),
        ("a\0b", "Check the name"),
    ],
)
def test_a_file_that_cannot_be_read_says_what_helps(tmp_path, name, advice):
    (tmp_path / "file").touch()
    (tmp_path / "loop.png").symlink_to("loop.png")
    reason, text = refusal(tmp_path / name)
    assert reason == "unreadable"
    assert advice in text


def test_a_regular_file_is_read_whole(tmp_path):
    path = tmp_path / "some.bin"
    path.write_bytes(b"abc" * 1000)
    assert read_file(path) == b"abc" * 1000
    assert file_digest(path)
