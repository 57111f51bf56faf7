"""Files are found wherever the published archives put them, once each."""

import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.datasets.files.folders import find_file, index_files, phantom_marker, require_file, walk_files
from cxr_pipeline.errors import SourceNotFoundError
from cxr_pipeline_tests.datasets.sources import write_image


def test_walk_is_shallow_first_and_ignores_case_of_the_suffix(tmp_path):
    for name in ("b/2.png", "a/deep/1.PNG", "9.png", "b/notes.txt"):
        write_image(tmp_path / name)
    assert walk_files(tmp_path, ".png") == ["9.png", "b/2.png", "a/deep/1.PNG"]


def test_hidden_files_and_folders_are_left_out(tmp_path):
    for name in ("images/._1.png", ".Trash/2.png", "images/3.png"):
        write_image(tmp_path / name)
    assert walk_files(tmp_path, ".png") == ["images/3.png"]


def test_linked_folder_is_followed_and_a_loop_is_not(tmp_path):
    write_image(tmp_path / "disk" / "1.png")
    root = tmp_path / "root"
    root.mkdir()
    (root / "images").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "loop").symlink_to(root)
    (root / "broken.png").symlink_to(tmp_path / "nowhere")
    assert walk_files(root, ".png") == ["images/1.png"]


def test_link_in_a_circle_is_no_file(tmp_path):
    write_image(tmp_path / "1.png")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "a.png").symlink_to(tmp_path / "b.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "a.png")
    assert walk_files(tmp_path, ".png") == ["1.png"]


def test_file_is_found_in_any_case_and_the_published_spelling_wins(tmp_path):
    (tmp_path / "TRAIN.CSV").touch()
    assert find_file([tmp_path], ["train.csv"]) == tmp_path / "TRAIN.CSV"
    (tmp_path / "train.csv").touch()
    assert find_file([tmp_path], ["train.csv"]) == tmp_path / "train.csv"


@pytest.mark.parametrize("source", ["nih", "chexpert", "mimic", "padchest", "rexgradient"])
@pytest.mark.parametrize("suffix", [".PNG", ".png", ".JPG", ".jpg", ".jpeg", ".Jpeg"])
def test_pictures_of_a_mirror_are_found_under_the_published_key(tmp_path, source, suffix):
    published = {
        "nih": "00000001_000.png",
        "chexpert": "train/patient00001/study1/view1_frontal.jpg",
        "mimic": "files/p10/p10000032/s50414267/02aa804e-bde0afdd-112c0b34-7bc16630-4e384014.jpg",
        "padchest": "1_2_3.png",
        "rexgradient": "1.2.3.4.png",
    }[source]
    path = published.rpartition(".")[0] + suffix
    write_image(tmp_path / path)
    assert {key: str(found) for key, found in DATASETS[source].find_pixels(tmp_path).items()} == {published: path}


def test_picture_as_published_wins_over_its_mirror(tmp_path):
    for name in ("a/00000001_000.jpg", "b/c/00000001_000.png"):
        write_image(tmp_path / name)
    found = DATASETS["nih"].find_pixels(tmp_path)
    assert str(found["00000001_000.png"]) == "b/c/00000001_000.png"
    assert len(found) == 2  # the other is counted as spare


def test_walk_of_a_missing_folder_finds_nothing(tmp_path):
    assert walk_files(tmp_path / "absent", ".png") == []


def test_second_file_of_a_key_stays_under_its_own_name():
    index = index_files(["x/1.png", "y/1.png"], lambda path: [path[2:]])
    assert {key: str(path) for key, path in index.items()} == {"1.png": "x/1.png", "y/1.png": "y/1.png"}


def test_earlier_folder_wins_over_earlier_name(tmp_path):
    (tmp_path / "inner").mkdir()
    for path in ("inner/first.csv", "second.csv"):
        (tmp_path / path).touch()
    found = find_file([tmp_path, tmp_path / "inner"], ["first.csv", "second.csv"])
    assert found == tmp_path / "second.csv"


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=list(DATASETS))
def test_missing_folder_says_where_it_looked_and_what_to_do(tmp_path, dataset):
    with pytest.raises(SourceNotFoundError) as caught:
        require_file(dataset, [tmp_path / "absent"], ["a.csv"])
    message = str(caught.value)
    assert f"there is no folder {tmp_path / 'absent'}" in message
    assert f"CXR_{dataset.name.upper()}_ROOT" in message
    assert dataset.home_page in message


def test_missing_file_says_what_was_looked_for(tmp_path):
    with pytest.raises(SourceNotFoundError, match=r"has no a\.csv or b\.csv\. .*CXR_NIH_ROOT"):
        require_file(DATASETS["nih"], [tmp_path], ["a.csv", "b.csv"])


def test_marker_is_seen_from_the_root_and_from_its_inner_folder(tmp_path):
    inner = tmp_path / "root" / "CheXpert-v1.0-small"
    inner.mkdir(parents=True)
    assert phantom_marker(inner) is None
    marker = tmp_path / "root" / "PHANTOM.txt"
    marker.touch()
    assert phantom_marker(tmp_path / "root") == marker
    assert phantom_marker(inner) == marker
    assert phantom_marker(tmp_path) is None


def test_root_that_is_a_file_names_its_folder(tmp_path):
    table = tmp_path / "train.csv"
    table.write_text("Path", encoding="utf-8")
    with pytest.raises(SourceNotFoundError, match=f"train.csv is a file.*name {tmp_path}"):
        require_file(DATASETS["chexpert"], [table], ["train.csv"])
