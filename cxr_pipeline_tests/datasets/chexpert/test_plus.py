"""CheXpert Plus gives the rows of CheXpert; labels are joined by path, and what does not fit is counted or refused."""

import json

import polars as pl
import pytest

from cxr_pipeline.datasets.chexpert.source import CHEXPERT
from cxr_pipeline.datasets.inventory import take_inventory
from cxr_pipeline.errors import SourceFormatError
from cxr_pipeline.labels.harmonize import label_table
from cxr_pipeline.labels.labellers import keep_labellers
from cxr_pipeline.labels.policy import LabelPolicy
from cxr_pipeline_tests.datasets.sources import (
    CHEXPERT_FINDINGS,
    CHEXPERT_HEADER,
    CHEXPERT_TRAIN,
    write_chexpert,
    write_image,
    write_lines,
)

HEADER = (
    "path_to_image,path_to_dcm,frontal_lateral,ap_pa,deid_patient_id,patient_report_date_order,report,"
    "section_impression,age,sex,race,split"
)
FIRST, SECOND, VALID = (
    "train/patient00001/study1/view1_frontal.jpg",
    "train/patient00002/study2/view2_lateral.jpg",
    "valid/patient64541/study1/view1_frontal.jpg",
)
WORDS = CHEXPERT_FINDINGS.split(",")


def ids(path):
    patient, study = path.split("/")[1:3]
    return f"chexpert/{path[:-4]}", f"chexpert/{patient}", f"chexpert/{patient}/{study}"


def plus_row(path, *, side="Frontal", projection="AP", deid=None, age="68.0", sex="Female"):
    deid = deid or path.split("/")[1]
    split = path.split("/")[0]
    return (
        f'{path},{path[:-4]}.dcm,{side},{projection},{deid},1,"FINDINGS:\nnone, at all",none,{age},{sex},White,{split}'
    )


ROWS = (
    plus_row(FIRST),
    plus_row(SECOND, side="Lateral", projection="", age="87", sex="Male"),
    plus_row(VALID, projection="PA", age="0.0", sex="Unknown"),
)


def line(path, **values):
    said = {name.replace("_", " "): value for name, value in values.items()}
    return json.dumps({"path_to_image": path, **{word: said.get(word) for word in WORDS}})


LINES = (line(VALID, Edema=0.0), line(SECOND, Edema=-1.0, Pleural_Effusion=1.0), line(FIRST, No_Finding=1))


def write_plus(root, rows=ROWS, lines=LINES, *, labels="chexbert_labels/impression_fixed.json"):
    write_lines(root / "df_chexpert_plus_240401.csv", [HEADER, *rows])
    if labels:
        write_lines(root / labels, lines)
    return root


def test_rows_are_those_of_chexpert(tmp_path):
    root = write_plus(tmp_path)
    for path in (FIRST, VALID):
        write_image(root / "PNG" / "PNG" / path.replace(".jpg", ".png"))
    table = take_inventory(CHEXPERT, root).table
    names = ("image_id", "patient_id", "study_id", "view", "age_years", "sex", "official_split", "is_present")
    assert table.select(*names).rows() == [
        (*ids(FIRST), "AP", 68, "F", "train", True),
        (*ids(SECOND), "LATERAL", 87, "M", "train", False),
        (*ids(VALID), "PA", None, None, "val", True),
    ]
    assert table["labelled_by"].to_list() == ["chexbert"] * 3
    assert CHEXPERT.describe_layout(root).name == "CheXpert Plus"


def test_labels_are_joined_by_path_and_mean_what_those_of_chexpert_mean(tmp_path):
    table = label_table(CHEXPERT, write_plus(tmp_path)).table
    assert table["Edema"].to_list() == [0, -1, 0]
    assert table["Effusion"].to_list() == [0, 1, 0]
    assert [row["Edema"] for row in table["evidence"]] == ["parent", "explicit", "explicit"]


@pytest.mark.parametrize(
    "labels", ["impression_fixed.json", "labels/report_fixed.json", "chexbert_labels/report_fixed.json"]
)
def test_labels_are_found_beside_the_table_or_in_their_folder(tmp_path, labels):
    root = write_plus(tmp_path, labels=labels)
    assert CHEXPERT.find_metadata(root).files["plus labels"] == root / labels
    assert labels.rpartition("/")[2] in CHEXPERT.describe_layout(root).reason


def test_impression_is_preferred_wherever_it_lies(tmp_path):
    root = write_plus(tmp_path)
    write_lines(root / "report_fixed.json", LINES)
    assert CHEXPERT.find_metadata(root).files["plus labels"].name == "impression_fixed.json"


def test_labels_that_are_not_there_are_asked_for(tmp_path):
    root = write_plus(tmp_path, labels=None)
    write_lines(root / "findings_fixed.json", LINES)
    with pytest.raises(SourceFormatError, match=r"impression_fixed\.json.*chexbert_labels\.zip"):
        CHEXPERT.find_metadata(root)


def test_radiologists_labels_replace_those_of_the_validation_set(tmp_path):
    root = write_chexpert(write_plus(tmp_path), train=None)
    images = CHEXPERT.read_images(root).collect()
    assert images.select("official_split", "labelled_by", "sex").rows() == [
        ("train", "chexbert", "F"),
        ("train", "chexbert", "M"),
        ("val", None, "M"),
    ]


def test_release_is_preferred_and_the_other_table_named(tmp_path):
    root = write_chexpert(write_plus(tmp_path), valid=None)
    assert list(CHEXPERT.find_metadata(root).files) == ["train"]
    assert "df_chexpert_plus_240401.csv, of the same images" in CHEXPERT.describe_layout(root).reason


def test_two_patients_of_the_paths_who_are_one_are_one(tmp_path):
    rows = [plus_row(FIRST), plus_row(SECOND, deid="patient00001")]
    images = CHEXPERT.read_images(write_plus(tmp_path, rows)).collect()
    assert images["patient_id"].to_list() == ["chexpert/patient00001"] * 2
    assert images["study_id"].to_list() == ["chexpert/patient00001/study1", "chexpert/patient00002/study2"]


def test_images_without_a_line_and_lines_without_an_image_are_counted(tmp_path):
    stranger = line("train/patient00009/study1/view1_frontal.jpg", Edema=1)
    root = write_plus(tmp_path, lines=[LINES[0], stranger])
    silent, strangers = CHEXPERT.find_gaps(root)
    assert "2 of the 3 images" in silent
    assert "1 of its 2 lines" in strangers
    assert label_table(CHEXPERT, root).table["Edema"].to_list() == [None, None, 0]
    assert CHEXPERT.find_gaps(write_plus(tmp_path)) == []


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([line(FIRST, Edema=2)], "1 of 1 lines hold another value"),
        ([line(FIRST), line(FIRST)], "2 name an image again"),
        ([json.dumps({"path_to_image": FIRST, "Edema": 1})], r"lacks \['No Finding'"),
        ([LINES[0], LINES[1][:40]], "is it cut"),
        (["[", LINES[0], "]"], "cannot be read as lines of JSON"),
    ],
)
def test_lines_that_are_not_as_published_are_refused(tmp_path, lines, problem):
    with pytest.raises(SourceFormatError, match=problem):
        CHEXPERT.read_images(write_plus(tmp_path, lines=lines)).collect()


def test_missing_columns_of_the_table_are_named(tmp_path):
    root = write_plus(tmp_path)
    write_lines(root / "df_chexpert_plus_240401.csv", ["path_to_image,report", f"{FIRST},none"])
    with pytest.raises(SourceFormatError, match=r"df_chexpert_plus_240401\.csv lacks the columns .*frontal_lateral"):
        CHEXPERT.read_images(root).collect()


@pytest.mark.parametrize(("name", "who"), [("train_cheXbert.csv", "chexbert"), ("train_visualCheXbert.csv", "program")])
def test_other_labels_of_the_release_are_read_alone_and_said_so(tmp_path, name, who):
    write_lines(tmp_path / name, [CHEXPERT_HEADER, *(f"CheXpert-v1.0/{row}" for row in CHEXPERT_TRAIN)])
    images = CHEXPERT.read_images(tmp_path).collect()
    assert images["labelled_by"].to_list() == [who] * 3
    assert images["path"][0] == FIRST
    assert name in CHEXPERT.describe_layout(tmp_path).name
    result = label_table(CHEXPERT, tmp_path)
    assert result.table["Consolidation"].to_list() == [0, -1, -1]
    kept = keep_labellers(result, LabelPolicy(labelled_by="physician")).table
    assert kept["Consolidation"].null_count() == 3


def test_labels_of_the_paper_are_preferred_to_those_of_chexbert(tmp_path):
    root = write_chexpert(tmp_path)
    write_lines(root / "train_cheXbert.csv", [CHEXPERT_HEADER, *CHEXPERT_TRAIN])
    assert CHEXPERT.find_metadata(root).files["train"].name == "train.csv"
    assert CHEXPERT.read_images(root).collect()["labelled_by"].null_count() == 4
    assert "train_cheXbert.csv, of the same images, is there too and not read" in CHEXPERT.describe_layout(root).reason


def test_findings_say_the_same_as_the_wide_table(tmp_path):
    root = write_plus(tmp_path)
    findings = CHEXPERT.read_findings(root).collect().filter(pl.col("value") == -1)
    assert findings.select("image_id", "finding").rows() == [(f"chexpert/{SECOND[:-4]}", "Edema")]
