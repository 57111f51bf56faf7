"""MIMIC-CXR-JPG is read as published, in both releases, with the patients of MIMIC-IV."""

import pytest

from cxr_pipeline.datasets.inventory import fingerprint, take_inventory
from cxr_pipeline.datasets.mimic.source import (
    MIMIC,
    describe_layout,
    find_metadata,
    find_pixels,
    read_findings,
    read_images,
    read_wide,
)
from cxr_pipeline.errors import SourceFormatError, SourceNotFoundError
from cxr_pipeline_tests.datasets.mimic.rows import (
    CXR_LT_2023,
    STUDY,
    SUBJECT,
    cxr_lt_row,
    dicom_id,
    label_row,
    mimic_row,
    write_cxr_lt,
    write_experts,
    write_mimic,
    zip_all,
)
from cxr_pipeline_tests.datasets.sources import write_image, write_lines

KEY = f"files/p10/p{SUBJECT}/s{STUDY}/{dicom_id(1)}.jpg"
OTHER = "50000002"


@pytest.fixture
def root(tmp_path):
    """Two images of a labelled study, one of a study without a row."""
    images = [mimic_row(1), mimic_row(2, view="LATERAL"), mimic_row(3, study=OTHER, part="test")]
    return write_mimic(tmp_path, images, [label_row(Edema="1.0", Pneumonia="-1.0", Fracture="0.0")])


def test_image_row_carries_namespaced_ids_and_the_published_path(root):
    image = read_images(root).collect().row(0, named=True)
    assert image["image_id"] == f"mimic/{dicom_id(1)}"
    assert (image["patient_id"], image["study_id"]) == ("mimic/p10000032", "mimic/s50414267")
    assert (image["dataset"], image["path"], image["view"]) == ("mimic", KEY, "PA")
    assert (image["age_years"], image["sex"]) == (None, None)


def test_validate_is_the_validation_set(tmp_path):
    images = [mimic_row(number, part=part) for number, part in enumerate(("train", "validate", "test"))]
    write_mimic(tmp_path, images, [label_row(Edema="1.0")])
    assert read_images(tmp_path).collect()["official_split"].to_list() == ["train", "val", "test"]


@pytest.mark.parametrize(
    ("position", "view"),
    [
        ("PA", "PA"), ("PA LLD", "PA"), ("PA RLD", "PA"), ("AP", "AP"), ("AP LLD", "AP"), ("AP RLD", "AP"),
        ("AP AXIAL", "AP"), ("LATERAL", "LATERAL"), ("XTABLE LATERAL", "LATERAL"), ("LL", "LATERAL"),
        ("RL", "LATERAL"), ("", "UNKNOWN"), ("LAO", "UNKNOWN"), ("RAO", "UNKNOWN"), ("LPO", "UNKNOWN"),
        ("SWIMMERS", "UNKNOWN"), ("PA OBLIQUE", "UNKNOWN"), ("AP|PA", "UNKNOWN"),
    ],
)  # fmt: skip
def test_view_is_frontal_in_upright_lying_and_tilted_position_and_not_guessed(tmp_path, position, view):
    write_mimic(tmp_path, [mimic_row(1, view=position)], [label_row(Edema="1.0")])
    assert read_images(tmp_path).collect()["view"].to_list() == [view]


def test_patients_of_mimic_iv_tell_age_and_sex(root):
    write_lines(
        root / "hosp" / "patients.csv",
        ["subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod", f"{SUBJECT},F,52,2178,2014 - 2016,"],
    )
    write_mimic(root, [mimic_row(1), mimic_row(2, subject="10000099")], [label_row(Edema="1.0")])
    images = read_images(root).collect()
    assert images["sex"].to_list() == ["F", None]
    assert images["age_years"].to_list() == [54.0, None]  # the study is of 2180


@pytest.mark.parametrize(
    ("folder", "is_zipped"), [(".", True), ("mimic-iv-3.1/hosp", True), ("mimiciv/3.1/hosp", False), ("hosp", True)]
)
def test_patients_are_found_in_the_folders_in_which_they_are_shipped(root, folder, is_zipped):
    lines = ["subject_id,gender,anchor_age,anchor_year", f"{SUBJECT},M,52,2178"]
    write_lines(root / folder / "patients.csv", lines)
    if is_zipped:
        zip_all(root / folder)
    assert read_images(root).collect()["sex"].to_list() == ["M", "M", "M"]


def test_patient_twice_is_refused(root):
    lines = ["subject_id,gender,anchor_age,anchor_year", f"{SUBJECT},M,52,2178", f"{SUBJECT},F,52,2178"]
    write_lines(root / "patients.csv", lines)
    with pytest.raises(SourceFormatError, match="more than one row"):
        read_images(root)


@pytest.mark.parametrize("home", [".", "2.1.0", "2.0.0", "mimic-cxr-jpg/2.1.0", "mimic-cxr-jpg-2.1.0.physionet.org"])
@pytest.mark.parametrize("is_zipped", [True, False])
def test_release_is_found_plain_or_gzipped_in_the_root_or_its_own_folder(tmp_path, home, is_zipped):
    write_mimic(tmp_path / home, [mimic_row(1)], [label_row(Edema="1.0")])
    if is_zipped:
        zip_all(tmp_path / home)
    assert read_wide(tmp_path).collect().height == 1


def test_later_release_is_read_where_both_are_there(tmp_path):
    for release, view in (("2.0.0", "AP"), ("2.1.0", "PA")):
        write_mimic(tmp_path / release, [mimic_row(1, view=view)], [label_row(Edema="1.0")])
    assert read_images(tmp_path).collect()["view"].to_list() == ["PA"]


def test_release_is_told_by_the_labels_of_the_experts(root):
    assert describe_layout(root).name == "release 2.0.0"
    write_experts(root, label_row(Edema="1.0"))
    write_cxr_lt(root / "cxr-lt-2024" / "train_labeled.csv", cxr_lt_row(1))
    layout = describe_layout(root)
    assert layout.name == "release 2.1.0"
    assert layout.reason == (
        f"mimic-cxr-2.1.0-test-set-labeled.csv is in {root}; cxr-lt-2024/train_labeled.csv is there"
    )


def test_what_is_lost_without_the_optional_files_is_told(root):
    assert find_metadata(root).missing.keys() == {
        "mimic-cxr-2.1.0-test-set-labeled.csv",
        "patients.csv",
        "cxr-lt-2024",
    }
    write_cxr_lt(root / "cxr-lt-2023" / "train.csv", cxr_lt_row(1, words=CXR_LT_2023), words=CXR_LT_2023)
    write_experts(root, label_row(Edema="1.0"))
    assert find_metadata(root).missing.keys() == {
        "patients.csv",
        "cxr-lt-2023/development.csv",
        "cxr-lt-2023/test.csv",
    }


def test_optional_file_changes_the_fingerprint(root):
    before = fingerprint(MIMIC, root)
    write_cxr_lt(root / "cxr-lt-2024" / "train_labeled.csv", cxr_lt_row(1))
    assert fingerprint(MIMIC, root) != before


@pytest.mark.parametrize("name", ["metadata", "split", "chexpert"])
def test_absent_table_is_an_error(root, name):
    (root / f"mimic-cxr-2.0.0-{name}.csv").unlink()
    with pytest.raises(SourceNotFoundError, match=rf"has no mimic-cxr-2\.0\.0-{name}\.csv\.gz or .*CXR_MIMIC_ROOT"):
        find_metadata(root)


@pytest.mark.parametrize(
    ("image", "label", "problem"),
    [
        (mimic_row(1, part="valid"), label_row(), "'split' holds 'valid'"),
        (mimic_row(1, subject="1"), label_row(), "'subject_id'"),
        (mimic_row(1, study="50414267.0"), label_row(), "'study_id'"),
        (("x", SUBJECT, STUDY, "PA", "train"), label_row(), "'dicom_id'"),
        (mimic_row(1), label_row(Edema="2.0"), "'Edema' holds '2.0'"),
        (mimic_row(1), label_row("s50414267", Edema="1.0"), "'study_id'"),
        (mimic_row(1), f"{label_row(Edema='1.0')}\n{label_row(Edema='0.0')}", "more than one row"),
    ],
)
def test_cell_that_is_not_as_published_is_refused(tmp_path, image, label, problem):
    write_mimic(tmp_path, [image], [label])
    with pytest.raises(SourceFormatError, match=problem):
        _ = read_images(tmp_path), read_findings(tmp_path)


def test_split_of_another_release_is_refused(root):
    lines = (root / "mimic-cxr-2.0.0-split.csv").read_text().splitlines()
    for broken in (lines[:-1], [*lines, lines[-1]]):
        write_lines(root / "mimic-cxr-2.0.0-split.csv", broken)
        with pytest.raises(SourceFormatError, match="not each of the 3 images"):
            read_images(root)


@pytest.mark.parametrize(
    "files", ["files", "files-512", "2.1.0/files", "physionet.org/files/mimic-cxr-jpg/2.1.0/files", "."]
)
def test_pixels_are_found_whatever_lies_above_the_first_patient_folder(tmp_path, files):
    path = write_image(tmp_path / files / KEY.removeprefix("files/"))
    assert {key: tmp_path / found for key, found in find_pixels(tmp_path).items()} == {KEY: path}


def test_inventory_counts_what_is_there_and_what_is_not(root):
    write_image(root / KEY)
    write_image(root / "files" / "overview.jpg")
    inventory = take_inventory(MIMIC, root)
    assert (inventory.missing, inventory.extra) == (2, 1)
    assert len([line for line in inventory.warnings if " is not in " in line]) == 3
