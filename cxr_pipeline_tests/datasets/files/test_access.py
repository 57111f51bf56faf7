"""What the system does not let a user read is named, with what to do, and is an error of that source alone."""

import os
import pathlib
from pathlib import Path

import pyarrow as pa
import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.datasets.inventory import take_inventory
from cxr_pipeline.datasets.status import find_status
from cxr_pipeline.errors import SourceNotFoundError
from cxr_pipeline.phantom.write import PhantomRequest, write_phantoms
from cxr_pipeline_tests.datasets.sources import write_image, write_nih


@pytest.fixture
def refuse(monkeypatch):
    """Takes the right to read a path away, which file modes do not for an administrator."""

    def take_away(path: Path) -> None:
        def denied(real):
            def call(first, *rest, **options):
                if os.fspath(first) == str(path):
                    raise PermissionError(13, "Permission denied", *([] if real is pa.memory_map else [str(path)]))
                return real(first, *rest, **options)

            return call

        monkeypatch.setattr(pa, "memory_map", denied(pa.memory_map))
        monkeypatch.setattr(os, "scandir", denied(os.scandir))
        monkeypatch.setattr(pathlib.Path, "read_bytes", denied(pathlib.Path.read_bytes))

    return take_away


@pytest.mark.parametrize("source", DATASETS)
def test_file_that_may_not_be_read_is_named_and_is_no_traceback(source, tmp_path, refuse):
    write_phantoms(PhantomRequest(source, patients=3, seed=1, size=16), tmp_path / "set", workers=1)
    path = next(iter(DATASETS[source].find_metadata(tmp_path / "set").files.values()))
    refuse(path)
    with pytest.raises(
        SourceNotFoundError, match="cannot be read: Permission denied.*give the right to read it"
    ) as told:
        take_inventory(DATASETS[source], tmp_path / "set")
    assert str(path) in str(told.value)
    assert find_status(DATASETS[source], tmp_path / "set").state == "missing"


def test_folder_of_pictures_that_may_not_be_entered_is_named(tmp_path, refuse):
    write_image(write_nih(tmp_path) / "images_001" / "images" / "00000001_000.png")
    refuse(tmp_path / "images_001" / "images/")
    with pytest.raises(SourceNotFoundError, match="cannot be read: Permission denied") as told:
        take_inventory(DATASETS["nih"], tmp_path)
    assert str(tmp_path / "images_001") in str(told.value)
