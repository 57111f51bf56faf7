"""MIMIC-CXR-JPG's label files are read as published, and CXR-LT's beside them."""

import polars as pl
import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.datasets.mimic.labels import FINDINGS, STUDIES, UNLABELLED, count_gaps
from cxr_pipeline.datasets.mimic.source import (
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
)
from cxr_pipeline_tests.datasets.sources import write_lines

OTHER = "50000002"


@pytest.fixture
def root(tmp_path):
    """Two images of a labelled study, one of a study without a row."""
    images = [mimic_row(1), mimic_row(2, view="LATERAL"), mimic_row(3, study=OTHER, part="test")]
    return write_mimic(tmp_path, images, [label_row(Edema="1.0", Pneumonia="-1.0", Fracture="0.0")])


def stated(root):
    return set(read_findings(root).collect().rows())


def said(number, finding, value, reader=""):
    return f"mimic/{dicom_id(number)}", finding, value, reader


def test_labels_of_a_study_are_those_of_each_of_its_images(root):
    both = {said(number, *cell) for number in (1, 2) for cell in (("Edema", 1), ("Pneumonia", -1), ("Fracture", 0))}
    assert stated(root) == both | {said(3, "(no labels)", 1)}
    assert read_findings(root).collect().schema["value"] == pl.Int8


def test_row_of_blanks_is_no_label(root):
    write_mimic(root, [mimic_row(1), mimic_row(3, study=OTHER)], [label_row(), label_row(OTHER, Edema="0.0")])
    assert stated(root) == {said(1, "(no labels)", 1), said(3, "Edema", 0)}


def test_columns_go_by_name(root):
    write_lines(
        root / "mimic-cxr-2.0.0-chexpert.csv",
        ["study_id,Support Devices,Pneumothorax,Pneumonia,Pleural Other,Pleural Effusion,No Finding,Lung Opacity,"
         "Lung Lesion,Fracture,Enlarged Cardiomediastinum,Edema,Consolidation,Cardiomegaly,Atelectasis,subject_id",
         f"{STUDY},1.0,,,,,,,,,,,,,0.0,{SUBJECT}"],
    )  # fmt: skip
    assert {row for row in stated(root) if row[0].endswith(dicom_id(1))} == {
        said(1, "Support Devices", 1),
        said(1, "Atelectasis", 0),
    }


def test_studies_without_a_row_and_rows_without_a_study_are_counted(root):
    write_experts(root, label_row("59999999", Edema="1.0"))
    missing, strangers = DATASETS["mimic"].find_gaps(root)
    assert "mimic-cxr-2.0.0-chexpert.csv: 1 of 2 studies have no row and no labels (8 in the release)" in missing
    assert strangers.endswith("1 of its 1 rows are of no study of the metadata")


def test_expert_rows_of_studies_outside_the_test_set_are_counted(root):
    def told():
        return [line for line in DATASETS["mimic"].find_gaps(root) if "outside" in line]

    write_experts(root, label_row(OTHER, Edema="1.0"))  # of the test set
    assert told() == []
    write_experts(root, label_row(Edema="1.0"), label_row(OTHER, Edema="1.0"))
    (line,) = told()
    assert "test-set-labeled.csv: 1 of its 2 rows are of studies outside the official test set" in line


def test_studies_that_the_release_itself_leaves_out_are_no_gap(tmp_path):
    studies = pl.select(pl.int_range(STUDIES).cast(pl.String).str.zfill(8).alias("study_id")).to_series()
    labeler = tmp_path / "mimic-cxr-2.0.0-chexpert.csv"
    for left_out, lines in ((UNLABELLED, 0), (UNLABELLED + 1, 1), (UNLABELLED - 1, 1)):
        rows = studies[left_out:].to_frame().with_columns(pl.lit("1.0").alias(name) for name in FINDINGS)
        rows.write_csv(labeler)
        assert len(count_gaps(studies, labeler, None)) == lines
    rows.tail(10).write_csv(labeler)
    (cut,) = count_gaps(studies[-2 * UNLABELLED - 2 :], labeler, None)  # eight, of a part of the release
    assert "8 of 18 studies" in cut


def test_experts_replace_the_text_labeler_for_the_whole_study(root):
    write_experts(root, label_row(Lung_Opacity="1.0", Pneumonia="0.0"), label_row(OTHER, Edema="-1.0"))
    expected = {said(number, "Lung Opacity", 1, "expert") for number in (1, 2)}
    expected |= {said(number, "Pneumonia", 0, "expert") for number in (1, 2)}
    assert stated(root) == expected | {said(3, "Edema", -1, "expert")}


def test_experts_of_other_studies_change_nothing(root):
    before = stated(root)
    write_experts(root, label_row("59999999", Edema="1.0"))
    assert stated(root) == before


def test_cxr_lt_fills_seven_columns_and_no_other(root):
    everything = {word.replace(" ", "_"): "1" for word in CXR_LT_2023}
    write_cxr_lt(root / "cxr-lt-2024" / "train_labeled.csv", cxr_lt_row(1, **everything))
    write_cxr_lt(root / "cxr-lt-2024" / "test_labeled_task1.csv", cxr_lt_row(3, Hernia="1"))
    filled = {row for row in stated(root) if row[3] == "CXR-LT"}
    seven = ("Emphysema", "Fibrosis", "Hernia", "Infiltration", "Mass", "Nodule", "Pleural Thickening")
    assert filled == {said(1, word, 1, "CXR-LT") for word in seven} | {
        said(3, word, int(word == "Hernia"), "CXR-LT") for word in seven
    }
    assert said(1, "Edema", 1) in stated(root)


@pytest.mark.parametrize(
    "folder", ["cxr-lt-2024", "cxr-lt-iccv-workshop-cvamd/2.0.0/cxr-lt-2024", "cxr-lt-2.0.0/cxr-lt-2024"]
)
def test_cxr_lt_is_found_in_the_folders_in_which_it_is_shipped(root, folder):
    write_cxr_lt(root / folder / "development_labeled_task1.csv", cxr_lt_row(2, Mass="1"))
    assert said(2, "Mass", 1, "CXR-LT") in stated(root)


def test_later_edition_of_cxr_lt_wins(root):
    write_cxr_lt(root / "cxr-lt-2023" / "train.csv", cxr_lt_row(1, words=CXR_LT_2023, Mass="1"), words=CXR_LT_2023)
    assert said(1, "Mass", 1, "CXR-LT") in stated(root)
    write_cxr_lt(root / "cxr-lt-2024" / "train_labeled.csv", cxr_lt_row(1, Nodule="1.0"))
    assert {said(1, "Mass", 0, "CXR-LT"), said(1, "Nodule", 1, "CXR-LT")} <= stated(root)


def test_image_twice_in_cxr_lt_is_refused(root):
    for name in ("train_labeled.csv", "test_labeled_task1.csv"):
        write_cxr_lt(root / "cxr-lt-2024" / name, cxr_lt_row(1))
    with pytest.raises(SourceFormatError, match="more than one row"):
        read_findings(root)


def test_other_csv_files_of_a_root_are_not_taken_for_cxr_lt(root):
    write_lines(root / "train.csv", ["dicom_id,Emphysema", f"{dicom_id(1)},1"])
    assert {row[3] for row in stated(root)} == {""}


def test_wide_form_says_the_same_as_images_and_findings(root):
    write_experts(root, label_row(OTHER, Edema="-1.0"))
    write_cxr_lt(root / "cxr-lt-2024" / "train_labeled.csv", cxr_lt_row(1, Nodule="1"))
    wide, images = read_wide(root).collect(), read_images(root).collect()
    assert wide.select(images.columns).equals(images)
    words = [name for name in wide.columns if name not in images.columns]
    long = wide.unpivot(words, index="image_id", variable_name="finding").drop_nulls("value")
    assert set(long.rows()) == {row[:3] for row in stated(root)}
    assert {wide.schema[word] for word in words} == {pl.Int8}


def test_negbio_is_not_read(root):
    before = stated(root)
    write_lines(root / "mimic-cxr-2.0.0-negbio.csv", ["damaged"])
    assert stated(root) == before


def negbio_alone(root):
    (root / "mimic-cxr-2.0.0-chexpert.csv").rename(root / "mimic-cxr-2.0.0-negbio.csv")
    return root


def test_negbio_alone_is_read_and_said(root):
    negbio_alone(root)
    assert said(1, "Edema", 1, "negbio") in stated(root)
    assert {cell[3] for cell in stated(root)} == {"negbio", ""}  # a study without a row has nobody's labels
    for rows in (read_images(root).collect(), read_wide(root).collect()):
        assert rows["labelled_by"].to_list() == ["negbio"] * 3
    metadata = DATASETS["mimic"].find_metadata(root)
    assert "those of NegBio" in metadata.missing["mimic-cxr-2.0.0-chexpert.csv"]
    assert DATASETS["mimic"].describe_layout(root).name == "release 2.0.0, labels of NegBio"
    (gap,) = DATASETS["mimic"].find_gaps(root)
    assert "negbio.csv: 1 of 2 studies" in gap


def test_experts_replace_negbio_and_are_named(root):
    write_experts(negbio_alone(root), label_row(OTHER, Edema="-1.0"))
    assert read_images(root).collect()["labelled_by"].to_list() == ["negbio", "negbio", "physician"]
    assert said(3, "Edema", -1, "expert") in stated(root)


def test_text_labeler_is_preferred_to_negbio(root):
    write_lines(root / "mimic-cxr-2.0.0-negbio.csv", ["not read"])
    assert said(1, "Edema", 1) in stated(root)
    assert DATASETS["mimic"].read_images(root).collect()["labelled_by"].null_count() == 3


def test_folder_without_either_labeler_names_both(root):
    (root / "mimic-cxr-2.0.0-chexpert.csv").unlink()
    with pytest.raises(SourceNotFoundError, match=r"chexpert\.csv or .*negbio\.csv"):
        read_images(root)


def test_rows_of_cxr_lt_that_are_of_no_image_are_counted(root):
    write_cxr_lt(root / "cxr-lt-2024" / "train_labeled.csv", cxr_lt_row(1, Mass="1"), cxr_lt_row(99, Mass="1"))
    *_, strangers = DATASETS["mimic"].find_gaps(root)
    assert strangers.endswith("train_labeled.csv: 1 of its 2 rows are of no image of the metadata")
