"""The small source and its store, of three images a shard."""

import time

import pytest

from cxr_pipeline.images.prepare import digests
from cxr_pipeline.images.prepare.digests import SETTLED_NS
from cxr_pipeline.images.store import parts
from cxr_pipeline_tests.images.conftest import encode, picture
from cxr_pipeline_tests.images.prepare.small_store import COUNT


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


@pytest.fixture
def read(monkeypatch):
    """Names of the files that were read to be digested; the clock is ahead, so that fresh files are trusted."""
    names, file_digest = [], digests.file_digest
    monkeypatch.setattr(digests, "time_ns", lambda: time.time_ns() + 2 * SETTLED_NS)
    monkeypatch.setattr(digests, "file_digest", lambda path: names.append(path.name) or file_digest(path))
    return names
