"""CheXpert is read as published, in all its layouts."""

import gzip

import polars as pl
import pytest

from cxr_pipeline.datasets.base import NO_LABELS
from cxr_pipeline.datasets.chexpert.source import CHEXPERT, find_metadata, find_pixels, read_findings, read_images
from cxr_pipeline.errors import SourceFormatError, SourceNotFoundError
from cxr_pipeline_tests.datasets.realdata import published_chexpert
from cxr_pipeline_tests.datasets.sources import (
    CHEXPERT_HEADER,
    CHEXPERT_TRAIN,
    chexpert_row,
    write_chexpert,
    write_image,
    write_lines,
)

KEY = "train/patient00001/study1/view1_frontal.jpg"
PUBLISHED_FINDINGS = {  # 1, 0, -1
    "No Finding": (22_381, 0, 0),
    "Enlarged Cardiomediastinum": (10_798, 21_638, 12_403),
    "Cardiomegaly": (27_000, 11_116, 8_087),
    "Lung Opacity": (105_581, 6_599, 5_598),
    "Lung Lesion": (9_186, 1_270, 1_488),
    "Edema": (52_246, 20_726, 12_984),
    "Consolidation": (14_783, 28_097, 27_742),
    "Pneumonia": (6_039, 2_799, 18_770),
    "Atelectasis": (33_376, 1_328, 33_739),
    "Pneumothorax": (19_448, 56_341, 3_145),
    "Pleural Effusion": (86_187, 35_396, 11_628),
    "Pleural Other": (3_523, 316, 2_653),
    "Fracture": (9_040, 2_512, 642),
    "Support Devices": (116_001, 6_137, 1_079),
}


@pytest.mark.parametrize("prefix", ["CheXpert-v1.0-small/", "CheXpert-v1.0/", ""])
def test_ids_do_not_depend_on_the_name_of_the_zip(tmp_path, prefix):
    images = read_images(write_chexpert(tmp_path, prefix=prefix)).collect()
    assert images["image_id"][0] == "chexpert/train/patient00001/study1/view1_frontal"
    assert images["study_id"][0] == "chexpert/patient00001/study1"
    assert images["patient_id"][0] == "chexpert/patient00001"
    assert images["path"][0] == KEY


def test_image_rows_tell_view_sex_age_and_official_split(tmp_path):
    images = read_images(write_chexpert(tmp_path)).collect()
    assert images.select("view", "sex", "age_years", "official_split").rows() == [
        ("AP", "F", 68.0, "train"),
        ("PA", "M", 87.0, "train"),
        ("LATERAL", "M", 87.0, "train"),
        ("AP", "M", 73.0, "val"),
    ]


@pytest.mark.parametrize(
    ("orientation", "projection", "view"),
    [
        ("Frontal", "AP", "AP"), ("Frontal", "PA", "PA"), ("Lateral", "", "LATERAL"), ("Lateral", "AP", "LATERAL"),
        ("Frontal", "LL", "LATERAL"), ("Frontal", "RL", "LATERAL"), ("Frontal", "", "UNKNOWN"),
    ],
)  # fmt: skip
def test_view_is_frontal_only_where_the_row_agrees_with_itself(tmp_path, orientation, projection, view):
    write_chexpert(tmp_path, [chexpert_row(orientation=orientation, projection=projection)])
    assert read_images(tmp_path).collect()["view"][0] == view


@pytest.mark.parametrize(("cell", "years"), [("68", 68), ("0", None), ("", None), ("90", 90)])
def test_age_zero_is_unknown_and_ninety_stays(tmp_path, cell, years):
    assert read_images(write_chexpert(tmp_path, [chexpert_row(age=cell)])).collect()["age_years"][0] == years


def test_unknown_sex_is_null(tmp_path):
    assert read_images(write_chexpert(tmp_path, [chexpert_row(sex="Unknown")])).collect()["sex"][0] is None


def test_blank_cell_states_nothing(tmp_path):
    row = chexpert_row(Edema="1.0", Pneumonia="-1.0", Fracture="0.0")
    findings = read_findings(write_chexpert(tmp_path, [row], valid=None)).collect()
    image = "chexpert/train/patient00001/study1/view1_frontal"
    assert set(findings.rows()) == {(image, "Edema", 1, ""), (image, "Pneumonia", -1, ""), (image, "Fracture", 0, "")}
    assert findings.schema["value"] == pl.Int8


def test_valid_has_a_statement_in_every_cell(tmp_path):
    findings = read_findings(write_chexpert(tmp_path)).collect()
    valid = findings.filter(pl.col("image_id").str.starts_with("chexpert/valid/"))
    assert (valid.height, valid["value"].sum()) == (14, 3)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (chexpert_row(Edema="2.0"), "holds '2.0'"),
        (chexpert_row(Edema="yes"), "holds 'yes'"),
        (chexpert_row(sex="F"), "'Sex' holds 'F'"),
        (chexpert_row(projection="LLD"), "'AP/PA' holds 'LLD'"),
        (chexpert_row(orientation="frontal"), "'Frontal/Lateral' holds 'frontal'"),
        (chexpert_row(age="68.5"), "'Age'"),
        (chexpert_row("patient00001/study1/view1_frontal.jpg"), "'Path'"),
        (chexpert_row("train/patient00001/view1_frontal.jpg"), "'Path'"),
    ],
)
def test_cell_that_is_not_as_published_is_refused(tmp_path, row, problem):
    write_chexpert(tmp_path, [row], prefix="")
    with pytest.raises(SourceFormatError, match=problem):
        _ = read_images(tmp_path), read_findings(tmp_path)


def test_row_below_another_folder_than_the_first_is_refused(tmp_path):
    rows = [chexpert_row(f"{zip_name}{KEY}") for zip_name in ("CheXpert-v1.0/", "CheXpert-v2.0/")]
    write_chexpert(tmp_path, rows, prefix="")
    with pytest.raises(SourceFormatError, match="'Path' are not as published"):
        read_images(tmp_path)


def test_absent_valid_is_reported_and_not_an_error(tmp_path):
    write_chexpert(tmp_path, valid=None)
    assert find_metadata(tmp_path).missing == {"valid.csv": "the official validation set is left out"}
    assert read_images(tmp_path).collect().height == 3


def test_valid_is_the_one_beside_train(tmp_path):
    write_chexpert(tmp_path / "CheXpert-v1.0", train=None)
    write_chexpert(tmp_path / "CheXpert-v1.0-small")
    files = find_metadata(tmp_path).files
    assert {path.parent.name for path in files.values()} == {"CheXpert-v1.0-small"}


def test_absent_train_is_an_error(tmp_path):
    with pytest.raises(SourceNotFoundError, match=r"has no train\.csv .*CXR_CHEXPERT_ROOT"):
        find_metadata(tmp_path)


def test_gzipped_train(tmp_path):
    text = "\n".join([CHEXPERT_HEADER, *CHEXPERT_TRAIN]).encode()
    (tmp_path / "train.csv.gz").write_bytes(gzip.compress(text))
    assert read_images(tmp_path).collect().height == 3


@pytest.mark.parametrize(
    "inner", [".", "CheXpert-v1.0-small", "CheXpert-v1.0", "CheXpert-v1.0 batch 1 (validate & csv)"]
)
def test_metadata_is_found_in_the_root_or_in_the_folder_of_the_zip(tmp_path, inner):
    write_chexpert(tmp_path / inner)
    assert read_images(tmp_path).collect().height == 4


@pytest.mark.parametrize(
    "folder",
    [
        "CheXpert-v1.0-small/train",
        "train",
        "CheXpert-v1.0 batch 2 (train 1)",
        "CheXpert-v1.0 batch 2 (train 1)/train",
        "batch2",
        "valid backup/train",
    ],
)
def test_pixels_are_found_in_every_layout(tmp_path, folder):
    path = write_image(tmp_path / folder / "patient00001/study1/view1_frontal.jpg")
    assert tmp_path / find_pixels(tmp_path)[KEY] == path


def test_valid_pixels_of_a_batch_are_not_taken_for_training(tmp_path):
    write_image(tmp_path / "CheXpert-v1.0 batch 1 (validate & csv)/patient64541/study1/view1_frontal.jpg")
    assert find_pixels(tmp_path).keys() == {"valid/patient64541/study1/view1_frontal.jpg"}


def test_equal_base_names_stay_apart(tmp_path):
    names = [f"train/patient0000{patient}/study{study}/view1_frontal.jpg" for patient in (1, 2) for study in (1, 2)]
    for name in names:
        write_image(tmp_path / "CheXpert-v1.0-small" / name)
    found = find_pixels(tmp_path)
    assert {key: path.as_posix() for key, path in found.items()} == {n: f"CheXpert-v1.0-small/{n}" for n in names}


def test_other_pictures_are_kept_under_their_own_name(tmp_path):
    write_image(tmp_path / "train" / "overview.jpg")
    assert find_pixels(tmp_path).keys() == {"train/overview.jpg"}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return published_chexpert(tmp_path_factory.mktemp("chexpert"))


@pytest.mark.realdata
def test_published_images(published):
    images = read_images(published).collect()
    assert images.height == images["image_id"].n_unique() == 223_414
    assert (images["study_id"].n_unique(), images["patient_id"].n_unique()) == (187_641, 64_540)
    # 32,387 lateral rows, and 17 frontal rows whose projection is lateral.
    assert dict(images["view"].value_counts().rows()) == {"AP": 161_590, "PA": 29_420, "LATERAL": 32_404}
    assert dict(images["sex"].value_counts().rows()) == {"M": 132_636, "F": 90_777, None: 1}
    assert images["age_years"].null_count() == 3
    assert (images["age_years"].min(), images["age_years"].max()) == (18, 90)
    assert images.filter(pl.col("age_years") == 90).height == 7_579
    assert images["official_split"].unique().to_list() == ["train"]


@pytest.mark.realdata
def test_published_findings(published):
    said = read_findings(published).collect()
    findings = said.filter(pl.col("finding") != NO_LABELS)
    counts = findings.group_by("finding").agg(
        (pl.col("value") == value).sum().alias(str(value)) for value in (1, 0, -1)
    )
    assert {row[0]: row[1:] for row in counts.rows()} == PUBLISHED_FINDINGS
    assert 223_414 - findings["image_id"].n_unique() == 12  # blank in every column
    assert said.height - findings.height == 12  # and each of them says so


def test_published_totals_are_those_of_train_and_valid():
    assert CHEXPERT.expected == {"images": 223_414 + 234, "patients": 64_540 + 200}


def test_metadata_named_by_another_source_is_refused(tmp_path):
    write_lines(tmp_path / "train.csv", ["image_id,class_name,class_id", "abc,No finding,14"])
    with pytest.raises(SourceFormatError, match="lacks the columns"):
        read_images(tmp_path)


def test_age_with_a_decimal_is_read_and_a_wrong_one_is_refused_in_one_line(tmp_path):
    assert read_images(write_chexpert(tmp_path, [chexpert_row(age="68.0")], None)).collect()["age_years"].item() == 68
    write_chexpert(tmp_path, [chexpert_row(age="old")], None)
    with pytest.raises(SourceFormatError, match="holds 'old': expected .* or one of") as caught:
        read_images(tmp_path)
    assert len(str(caught.value)) < 300
