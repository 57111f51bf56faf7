"""The inventory counts what is there, what is missing, and what nobody asked for."""

import gzip
import os
import shutil
from dataclasses import replace

import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.datasets.inventory import Inventory, fingerprint, take_inventory
from cxr_pipeline.datasets.quality import judge_completeness
from cxr_pipeline.errors import SourceNotFoundError, TableError
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables.raw import RawTable
from cxr_pipeline_tests.datasets.realdata import published_file, shared_folder
from cxr_pipeline_tests.datasets.sources import NIH_ROWS, nih_row, write_chexpert, write_image, write_lines, write_nih

NIH = DATASETS["nih"]


@pytest.fixture
def root(tmp_path):
    """Three rows and three files, of which two fit: one row has no file, one file has no row."""
    write_nih(tmp_path / "nih")
    for name in ("00000001_000.png", "00000001_001.png", "00000009_000.png"):
        write_image(tmp_path / "nih" / "images_001" / "images" / name, b"12345")
    return tmp_path / "nih"


def test_every_row_tells_where_its_file_is(root):
    table = take_inventory(NIH, root).table
    assert table.select("image_id", "path", "is_present", "file_bytes").rows() == [
        ("nih/00000001_000", "images_001/images/00000001_000.png", True, 5),
        ("nih/00000001_001", "images_001/images/00000001_001.png", True, 5),
        ("nih/00000002_000", "00000002_000.png", False, None),
    ]
    assert validate_table(table, RawTable).equals(table)


def test_row_without_file_and_file_without_row_are_counted_and_told(root):
    inventory = take_inventory(NIH, root)
    assert (inventory.missing, inventory.extra) == (1, 1)
    assert any("1 of 3 published images have no file" in line for line in inventory.warnings)
    assert any("1 image files" in line and "no published row" in line for line in inventory.warnings)


def test_complete_source_has_no_warnings(tmp_path):
    write_nih(tmp_path, [nih_row("00000001_000.png"), nih_row("00000002_000.png")])
    write_image(tmp_path / "00000002_000.png")
    write_lines(tmp_path / "train_val_list.txt", ["00000001_000.png"])
    write_lines(
        tmp_path / "BBox_List_2017.csv",
        ["Image Index,Finding Label,Bbox [x,y,w,h],,,", "00000001_000.png,Mass,1,2,3,4"],
    )
    write_image(tmp_path / "00000001_000.png")
    (tmp_path / "PHANTOM.txt").touch()  # a rendered collection is as large as it was made
    write_lines(tmp_path / "test_list.txt", ["00000002_000.png"])
    inventory = take_inventory(NIH, tmp_path)
    assert (inventory.missing, inventory.extra, inventory.warnings) == (0, 0, ())


def test_part_of_a_release_is_told_with_its_numbers(tmp_path):
    inventory = take_inventory(NIH, write_nih(tmp_path))
    assert "Data_Entry_2017_v2020.csv has 3 of the 112,120 published images: the source is here in part" in (
        inventory.warnings
    )


def test_absent_optional_metadata_is_told(tmp_path):
    inventory = take_inventory(DATASETS["chexpert"], write_chexpert(tmp_path, valid=None))
    assert any("valid.csv" in line and "official validation set" in line for line in inventory.warnings)


def test_second_copy_of_an_image_counts_as_extra(root):
    write_image(root / "images-224" / "00000001_000.png")
    assert take_inventory(NIH, root).extra == 2


def test_file_that_answers_for_either_part_is_no_extra(tmp_path):
    write_chexpert(tmp_path)
    write_image(tmp_path / "batch2/patient00001/study1/view1_frontal.jpg")
    inventory = take_inventory(DATASETS["chexpert"], tmp_path)
    assert (inventory.missing, inventory.extra) == (3, 0)


def test_warnings_name_no_patient(root):
    assert "0000" not in "".join(take_inventory(NIH, root).warnings).replace(str(root), "")


@pytest.mark.parametrize("is_phantom", [True, False])
def test_marker_makes_every_row_a_phantom(root, is_phantom):
    if is_phantom:
        (root / "PHANTOM.txt").write_text("rendered")
    assert take_inventory(NIH, root).table["is_phantom"].to_list() == [is_phantom] * 3


def test_image_that_is_listed_twice_is_refused(tmp_path):
    write_nih(tmp_path, [nih_row(), nih_row()])
    with pytest.raises(TableError, match=r"Data_Entry_2017_v2020\.csv in .*: 2 of 2 rows .* more than once"):
        take_inventory(NIH, tmp_path)


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=list(DATASETS))
@pytest.mark.parametrize("work", [take_inventory, fingerprint])
def test_missing_root_says_what_to_do(tmp_path, dataset, work):
    with pytest.raises(SourceNotFoundError, match=f"there is no folder .*CXR_{dataset.name.upper()}_ROOT"):
        work(dataset, tmp_path / "absent")


def test_inventory_of_an_unused_source_is_empty_and_valid():
    inventory = Inventory.empty()
    assert (inventory.table.height, inventory.missing, inventory.extra, inventory.warnings) == (0, 0, 0, ())
    assert validate_table(inventory.table, RawTable).height == 0


def test_fingerprint_does_not_depend_on_where_the_root_is(root, tmp_path):
    shutil.copytree(root, tmp_path / "copy")
    assert fingerprint(NIH, root) == fingerprint(NIH, tmp_path / "copy")


@pytest.mark.parametrize("change", ["metadata", "size", "time", "name", "new", "list", "phantom"])
def test_fingerprint_changes_with_the_source(root, change):
    before = fingerprint(NIH, root)
    image = root / "images_001" / "images" / "00000001_000.png"
    changes = {
        "metadata": lambda: write_nih(root, NIH_ROWS[:2]),
        "size": lambda: image.write_bytes(b"123456"),
        "time": lambda: os.utime(image, (1, 1)),
        "name": lambda: image.rename(image.with_name("00000001_002.png")),
        "new": lambda: write_image(root / "00000002_000.png"),
        "list": lambda: write_lines(root / "test_list.txt", ["00000002_000.png"]),
        "phantom": lambda: (root / "PHANTOM.txt").write_text("rendered"),
    }
    changes[change]()
    assert fingerprint(NIH, root) != before


def test_fingerprint_is_the_same_twice(root):
    assert fingerprint(NIH, root) == fingerprint(NIH, root)


@pytest.mark.realdata
@pytest.mark.parametrize(("folder", "images"), [("nih", 248), ("nih-224", 1_081)])
def test_real_images_are_all_there(folder, images):
    inventory = take_inventory(NIH, shared_folder(folder))
    assert (inventory.table.height, inventory.missing, inventory.extra) == (images, 0, 0)
    (in_part,) = inventory.warnings  # both lists and the boxes name these images, and only these
    assert f"has {images:,} of the 112,120 published images" in in_part
    assert not inventory.table["is_phantom"].any()
    assert inventory.table["file_bytes"].min() > 1_000


def test_phantoms_are_counted_against_their_marker(tmp_path):
    write_lines(write_nih(tmp_path) / "PHANTOM.txt", ["images: 4"])
    warnings = take_inventory(NIH, tmp_path).warnings
    assert any("Data_Entry_2017_v2020.csv has 3 images, and PHANTOM.txt says that 4" in line for line in warnings)


def test_part_of_each_official_part_is_told_so_that_a_cut_file_shows(tmp_path):
    (line,) = (
        text for text in take_inventory(DATASETS["chexpert"], write_chexpert(tmp_path)).warnings if "of the" in text
    )
    assert line == (
        "train.csv, valid.csv has 4 of the 223,648 published images: the source is here in part "
        "(train 3 of 223,414, val 1 of 234)"
    )


def test_official_lists_that_are_swapped_are_told(tmp_path):
    dataset = replace(NIH, expected={"images": 3}, expected_parts={"train_val": 2, "test": 1})
    write_nih(tmp_path)
    lists = {"train_val_list.txt": ["00000001_000.png", "00000001_001.png"], "test_list.txt": ["00000002_000.png"]}
    for name, lines in lists.items():
        write_lines(tmp_path / name, lines)
    as_published = take_inventory(dataset, tmp_path)
    for name, lines in zip(reversed(lists), lists.values(), strict=True):
        write_lines(tmp_path / name, lines)
    swapped = take_inventory(dataset, tmp_path)
    (line,) = set(swapped.warnings) - set(as_published.warnings)
    assert "test_list.txt" in line
    assert line.endswith("other official parts than published (train_val 1 of 2, test 2 of 1): are two files swapped?")
    judged = [judge_completeness(dataset, found.table, layout="").passed for found in (as_published, swapped)]
    assert judged == [True, False]


@pytest.mark.parametrize(("images", "boxes", "is_told"), [(3, 2, True), (3, 3, True), (3, 1, False), (4, 2, False)])
def test_boxes_are_counted_where_all_images_are_here(tmp_path, images, boxes, is_told):
    dataset = replace(NIH, expected={"images": images, "boxes": 1})
    rows = [f"00000001_000.png,Mass,{number},2,3,4" for number in range(boxes)]
    write_lines(write_nih(tmp_path) / "BBox_List_2017.csv", ["Image Index,Finding Label,Bbox [x,y,w,h],,,", *rows])
    told = [line for line in take_inventory(dataset, tmp_path).warnings if "were published: is the file cut" in line]
    assert len(told) == is_told
    assert all(f"BBox_List_2017.csv: {boxes} boxes, and 1 were published" in line for line in told)


@pytest.mark.realdata
def test_published_boxes_of_vinbigdata_are_all_there_and_a_mark_that_is_gone_is_told(tmp_path):
    header, *marks = gzip.decompress(published_file("vinbigdata-train.csv.gz").read_bytes()).splitlines(keepends=True)
    readers = [(mark.split(b",")[0], mark.split(b",")[3]) for mark in marks]
    spare = next(place for place, reader in enumerate(readers) if readers.count(reader) > 1)  # the reader keeps another
    warnings = []
    for kept in (marks, marks[:spare] + marks[spare + 1 :]):
        (tmp_path / "train.csv").write_bytes(b"".join([header, *kept]))
        warnings.append(take_inventory(DATASETS["vindr"], tmp_path).warnings)
    assert set(warnings[1]) - set(warnings[0]) == {
        f"{tmp_path / 'train.csv'}: 36,095 boxes, and 36,096 were published: is the file cut, or edited?"
    }


@pytest.mark.parametrize("name", DATASETS)
def test_published_parts_are_the_published_whole(name):
    dataset = DATASETS[name]
    apart = sum(numbers["images"] for numbers in dataset.expected_apart.values())
    parts = sum(dataset.expected_parts.values())
    assert parts in (0, dataset.expected["images"] + apart)
