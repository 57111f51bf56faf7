"""CheXpert's test set is read beside the release where it is there, and changes nothing where it is not."""

import polars as pl
import pytest

from cxr_pipeline.datasets.chexpert.source import CHEXPERT, find_metadata, read_findings, read_images, read_wide
from cxr_pipeline.datasets.inventory import take_inventory
from cxr_pipeline.datasets.quality import judge_completeness
from cxr_pipeline.errors import SourceFormatError, SourceNotFoundError
from cxr_pipeline.labels.harmonize import label_table
from cxr_pipeline_tests.datasets.sources import CHEXPERT_FINDINGS, write_chexpert, write_image, write_lines

FRONTAL, LATERAL = (f"test/patient64741/study1/view{view}.jpg" for view in ("1_frontal", "2_lateral"))
WORDS = CHEXPERT_FINDINGS.split(",")


def write_test_set(root, *paths, folder="chexlocalize/CheXpert", positives=("Edema",), value="1.0"):
    """`test_labels.csv` as RadHarmony's page shows it: path and findings, no view, sex or age."""
    cells = ",".join(value if word in positives else "0.0" for word in WORDS)
    lines = [f"Path,{CHEXPERT_FINDINGS}", *(f"{path},{cells}" for path in paths or (FRONTAL, LATERAL))]
    write_lines(root / folder / "test_labels.csv", lines)
    return root


@pytest.fixture
def root(tmp_path):
    return write_test_set(write_chexpert(tmp_path))


def test_release_without_the_test_set_is_read_as_before(tmp_path):
    write_chexpert(tmp_path)
    assert CHEXPERT.find_metadata(tmp_path) == find_metadata(tmp_path)
    completed = CHEXPERT.read_images(tmp_path).collect()
    assert completed.select(pl.exclude("labelled_by", "birth_year")).equals(read_images(tmp_path).collect())
    assert completed["labelled_by"].null_count() == completed.height
    assert CHEXPERT.read_findings(tmp_path).collect().equals(read_findings(tmp_path).collect())


@pytest.mark.parametrize("folder", [".", "CheXpert", "chexlocalize", "chexlocalize/CheXpert", "CheXlocalize/CheXpert"])
def test_test_set_is_found_in_the_folders_of_its_zip(tmp_path, folder):
    write_test_set(write_chexpert(tmp_path), folder=folder)
    assert list(CHEXPERT.find_metadata(tmp_path).files) == ["train", "valid", "test"]
    assert CHEXPERT.describe_layout(tmp_path).name.endswith(", with the test set")


def test_images_are_the_official_test_part_labelled_by_physicians(root):
    images = CHEXPERT.read_images(root).collect().filter(pl.col("official_split") == "test")
    assert images.row(0, named=True) == {
        "image_id": "chexpert/test/patient64741/study1/view1_frontal",
        "patient_id": "chexpert/patient64741",
        "study_id": "chexpert/patient64741/study1",
        "dataset": "chexpert",
        "view": "AP",
        "path": FRONTAL,
        "age_years": None,
        "sex": None,
        "official_split": "test",
        "labelled_by": "physician",
        "birth_year": None,
    }
    assert images["view"].to_list() == ["AP", "LATERAL"]


def test_findings_say_the_same_as_the_wide_table(root):
    wide, findings = CHEXPERT.read_wide(root).collect(), CHEXPERT.read_findings(root).collect()
    assert wide.columns[: len(read_wide(root).collect_schema())] == list(read_wide(root).collect_schema())
    test = findings.filter(pl.col("image_id").str.starts_with("chexpert/test/"))
    assert test.height == 2 * len(WORDS)
    assert test.filter(pl.col("value") == 1)["finding"].to_list() == ["Edema", "Edema"]


def test_test_set_alone_is_read_and_the_release_named_as_missing(tmp_path):
    root = write_test_set(tmp_path)
    write_image(root / "chexlocalize" / "CheXpert" / FRONTAL)
    metadata = CHEXPERT.find_metadata(root)
    assert list(metadata.files) == ["test"]
    assert "train.csv" in metadata.missing
    inventory = take_inventory(CHEXPERT, root)
    assert inventory.table["official_split"].to_list() == ["test", "test"]
    assert inventory.table["is_present"].to_list() == [True, False]
    assert label_table(CHEXPERT, root).table["Edema"].to_list() == [1, 1]
    assert CHEXPERT.describe_layout(root).name == "CheXlocalize alone"
    assert any("train.csv is not in" in line for line in inventory.warnings)


@pytest.mark.parametrize("folder", ["CheXpert-v1.0/valid", "val", "CheXpert/val", "valid"])
def test_validation_set_of_chexlocalize_is_that_of_the_release(tmp_path, folder):
    root, path = write_test_set(tmp_path), "patient64541/study1/view1_frontal.jpg"
    cells = ",".join("1.0" if word == "Edema" else "0.0" for word in WORDS)
    lines = [f"Path,{CHEXPERT_FINDINGS}", f"{folder}/{path},{cells}"]
    write_lines(root / "chexlocalize/CheXpert/val_labels.csv", lines)
    write_image(root / "chexlocalize/CheXpert/val" / path)
    table = take_inventory(CHEXPERT, root).table.filter(official_split="val")
    assert table["image_id"].to_list() == [f"chexpert/valid/{path.removesuffix('.jpg')}"]
    assert table["is_present"].to_list() == [True]
    assert "valid" not in CHEXPERT.find_metadata(write_chexpert(root, valid=None)).files


def test_folder_without_either_names_the_release(tmp_path):
    with pytest.raises(SourceNotFoundError, match=r"has no train\.csv"):
        CHEXPERT.find_metadata(tmp_path)


def test_labels_are_explicit(root):
    table = label_table(CHEXPERT, root).table.filter(pl.col("official_split") == "test")
    assert table["Edema"].to_list() == [1, 1]
    assert table["Pneumonia"].to_list() == [0, 0]
    assert {evidence["Pneumonia"] for evidence in table["evidence"]} == {"explicit"}


def test_pictures_are_found_in_their_own_folder_alone(root):
    write_image(root / "chexlocalize" / "CheXpert" / FRONTAL)
    write_image(root / "train/patient00001/study1/view1_frontal.jpg")
    inventory = take_inventory(CHEXPERT, root)
    assert inventory.table.filter("is_present")["path"].to_list() == [
        "train/patient00001/study1/view1_frontal.jpg",
        f"chexlocalize/CheXpert/{FRONTAL}",
    ]
    assert inventory.extra == 0


def test_paths_may_begin_with_the_name_of_the_zip(tmp_path):
    write_test_set(write_chexpert(tmp_path), f"CheXpert-v1.0/{FRONTAL}")
    assert CHEXPERT.read_images(tmp_path).collect()["path"][-1] == FRONTAL


@pytest.mark.parametrize("path", ["valid/patient1/study1/view1_frontal.jpg", "test/patient1/view1.jpg", "test/a.jpg"])
def test_other_paths_are_refused(tmp_path, path):
    with pytest.raises(SourceFormatError, match="'Path'"):
        CHEXPERT.read_images(write_test_set(write_chexpert(tmp_path), path))


@pytest.mark.parametrize("value", ["-1.0", "", "yes"])
def test_uncertain_and_blank_cells_are_refused(tmp_path, value):
    with pytest.raises(SourceFormatError, match="Edema"):
        CHEXPERT.read_wide(write_test_set(write_chexpert(tmp_path), value=value))


def test_complete_release_counts_the_test_set_where_it_is_there(root):
    facts = judge_completeness(CHEXPERT, take_inventory(CHEXPERT, root).table, layout="").facts
    assert (facts["images_published"], facts["patients_published"]) == (224_316, 65_240)
    (root / "chexlocalize/CheXpert/test_labels.csv").unlink()
    facts = judge_completeness(CHEXPERT, take_inventory(CHEXPERT, root).table, layout="").facts
    assert (facts["images_published"], facts["patients_published"]) == (223_648, 64_740)
