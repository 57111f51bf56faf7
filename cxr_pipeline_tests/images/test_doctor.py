import json
import os
from pathlib import Path

import pytest

from cxr_pipeline.images.doctor import diagnose, diagnose_files, find_files, group_by_reason
from cxr_pipeline_tests.images.conftest import encode, picture
from cxr_pipeline_tests.images.decode.dicom.dicoms import dicom_of, values_of
from cxr_pipeline_tests.images.stores import USABLE, stored_source


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One usable file of each form, a cut one, and files that are no images."""
    (tmp_path / "good.png").write_bytes(encode(picture(0, width=128)))
    (tmp_path / "good.JPG").write_bytes(encode(picture(1), "JPEG"))
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "IM0001").write_bytes(dicom_of(values_of()))
    (tmp_path / "deep" / "cut.png").write_bytes(encode(picture(2))[:300])
    (tmp_path / "deep" / "README").write_text("text")
    (tmp_path / "deep" / "._good.png").write_bytes(b"resource fork")
    (tmp_path / "labels.csv").write_text("a,b")
    return tmp_path


def test_usable_file_is_described_down_to_its_place_in_the_store(folder: Path):
    diagnosis = diagnose(folder / "good.png", size=32)
    assert diagnosis.is_usable
    assert (diagnosis.facts["kind"], diagnosis.facts["size"]) == ("PNG", "128 x 64 pixels")
    assert diagnosis.facts["stored as"].startswith("32 x 16 at (0, 8) of 32 x 32")


def test_unusable_file_has_its_reason_what_to_do_and_what_its_header_says(folder: Path):
    diagnosis = diagnose(folder / "deep" / "cut.png", size=32)
    assert diagnosis.reason == "truncated"
    assert "Fetch it again" in diagnosis.advice
    assert diagnosis.facts["size"] == "64 x 64 pixels"
    assert "stored as" not in diagnosis.facts


@pytest.mark.parametrize(("form", "name"), [("TIFF", "TIFF"), ("WEBP", "WebP"), ("JPEG2000", "JPEG 2000")])
def test_a_whole_picture_of_another_format_is_described_and_to_be_converted(tmp_path: Path, form: str, name: str):
    (tmp_path / "a.jpg").write_bytes(encode(picture(0, width=128), form))
    diagnosis = diagnose(tmp_path / "a.jpg", size=32)
    assert diagnosis.reason == "unsupported"
    assert "Convert it to PNG" in diagnosis.advice
    assert "cxr predict" in diagnosis.advice
    assert (diagnosis.facts["kind"], diagnosis.facts["size"]) == (name, "128 x 64 pixels")


def test_a_cut_picture_of_another_format_is_damaged(tmp_path: Path):
    (tmp_path / "a.tif").write_bytes(encode(picture(0), "TIFF")[:-900])
    assert diagnose(tmp_path / "a.tif", size=32).reason == "damaged"


def test_a_lateral_is_usable_and_to_be_looked_at(tmp_path: Path):
    (tmp_path / "a.dcm").write_bytes(dicom_of(values_of(), ViewPosition="LL"))
    diagnosis = diagnose(tmp_path / "a.dcm", size=32)
    assert diagnosis.is_usable
    assert "lateral" in diagnosis.facts["look at"]


def test_verdicts_are_those_of_the_store(tmp_path: Path):
    source = stored_source(tmp_path)
    paths = [source.root / name for name in source.index["source_path"]]
    found = diagnose_files(paths, size=64)
    assert [one.path for one in found] == paths
    assert [one.reason for one in found] == source.index["quarantine"].to_list()
    assert sum(one.is_usable for one in found) == USABLE


def test_folder_is_searched_by_suffix_and_files_without_one_by_content(folder: Path):
    found = find_files([folder])
    assert [path.name for path in found.images] == ["IM0001", "cut.png", "good.JPG", "good.png"]
    assert found.others == {"no suffix": 1, ".csv": 1}


def test_file_named_by_hand_is_looked_at_whatever_it_is_called(folder: Path):
    found = find_files([folder / "labels.csv"])
    assert found.images == [folder / "labels.csv"]
    assert diagnose(found.images[0], size=32).reason == "not_an_image"


def test_absent_and_unreadable_files_are_explained_and_not_raised(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.png")
    assert diagnose(tmp_path / "gone.png", size=32).reason == "missing"
    assert find_files([tmp_path]).images == []  # a pipe would block forever


def test_reasons_are_grouped_most_frequent_first(folder: Path):
    for number in range(2):
        (folder / f"empty{number}.png").write_bytes(b"")
    groups = group_by_reason(diagnose_files(find_files([folder]).images, size=32))
    assert [(reason, len(files)) for reason, files in groups.items()] == [("empty", 2), ("truncated", 1)]


def test_row_is_plain_json(folder: Path):
    row = json.loads(json.dumps(diagnose(folder / "deep" / "cut.png", size=32).as_row()))
    assert (row["path"], row["reason"], row["is_usable"]) == (str(folder / "deep" / "cut.png"), "truncated", False)


@pytest.mark.realdata
def test_real_radiographs_are_usable(nih_folder: Path):
    found = diagnose_files(find_files([nih_folder]).images[:6], size=64)
    assert [one.reason for one in found] == [None] * 6
    assert {one.facts["size"] for one in found} == {"1,024 x 1,024 pixels"}


def test_links_that_lead_nowhere_are_looked_at(tmp_path: Path):
    (tmp_path / "gone.png").symlink_to(tmp_path / "nothing.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    gone, loop = diagnose_files(find_files([tmp_path]).images, size=32)
    assert (gone.reason, gone.advice[:34]) == ("missing", "The link leads to a file that is n")
    assert (loop.reason, "leads to itself" in loop.advice) == ("unreadable", True)
