"""NIH ChestX-ray14 is read as published, in all its editions and layouts."""

import gzip

import polars as pl
import pytest

from cxr_pipeline.datasets.nih.source import NIH, find_metadata, find_pixels, read_boxes, read_findings, read_images
from cxr_pipeline.errors import SourceFormatError, SourceNotFoundError
from cxr_pipeline_tests.datasets.realdata import published_nih, shared_folder
from cxr_pipeline_tests.datasets.sources import NIH_HEADER, NIH_ROWS, nih_row, write_image, write_lines, write_nih

PUBLISHED_FINDINGS = {
    "No Finding": 60_361,
    "Infiltration": 19_894,
    "Effusion": 13_317,
    "Atelectasis": 11_559,
    "Nodule": 6_331,
    "Mass": 5_782,
    "Pneumothorax": 5_302,
    "Consolidation": 4_667,
    "Pleural_Thickening": 3_385,
    "Cardiomegaly": 2_776,
    "Emphysema": 2_516,
    "Edema": 2_303,
    "Fibrosis": 1_686,
    "Pneumonia": 1_431,
    "Hernia": 227,
}


def test_image_row_carries_namespaced_ids_in_published_order(tmp_path):
    images = read_images(write_nih(tmp_path)).collect()
    assert images["image_id"].to_list() == ["nih/00000001_000", "nih/00000001_001", "nih/00000002_000"]
    assert images["patient_id"].to_list() == ["nih/00000001", "nih/00000001", "nih/00000002"]
    assert images["study_id"].equals(images["image_id"])
    assert images["path"].to_list() == ["00000001_000.png", "00000001_001.png", "00000002_000.png"]
    assert images["view"].to_list() == ["PA", "PA", "AP"]
    assert images["age_years"].to_list() == [57.0, 58.0, 80.0]
    assert images["sex"].to_list() == ["M", "M", "F"]
    assert images["dataset"].unique().to_list() == ["nih"]


def test_header_with_unquoted_commas_shifts_no_column(tmp_path):
    assert NIH_HEADER.count(",") == 10 == NIH_ROWS[0].count(",")
    assert read_images(write_nih(tmp_path)).collect()["view"].to_list() == ["PA", "PA", "AP"]


def test_edition_of_2017_with_an_empty_twelfth_column(tmp_path):
    rows = [f"{row}," for row in NIH_ROWS]
    write_lines(tmp_path / "Data_Entry_2017.csv", [f"{NIH_HEADER},", *rows])
    assert read_images(tmp_path).collect()["age_years"].to_list() == [57.0, 58.0, 80.0]


def test_patient_sex_is_the_other_name_of_patient_gender(tmp_path):
    write_nih(tmp_path, header=NIH_HEADER.replace("Patient Gender", "Patient Sex"))
    assert read_images(tmp_path).collect()["sex"].to_list() == ["M", "M", "F"]


def test_gzipped_entry_list(tmp_path):
    text = "\n".join([NIH_HEADER, *NIH_ROWS]).encode()
    (tmp_path / "Data_Entry_2017.csv.gz").write_bytes(gzip.compress(text))
    assert read_images(tmp_path).collect().height == 3


def test_sample_of_kaggle(tmp_path):
    header = NIH_HEADER.replace("[Width,Height]", "Width,OriginalImageHeight").replace("[x,y]", "_x,Spacing_y")
    write_lines(tmp_path / "sample_labels.csv", [header, nih_row("00000013_005.png", age="060Y")])
    assert read_images(tmp_path).select("image_id", "age_years").collect().row(0) == ("nih/00000013_005", 60.0)


@pytest.mark.parametrize(
    ("cell", "years"),
    [
        ("57", 57), ("057", 57), ("060Y", 60), ("018M", 1.5), ("000Y", 0), ("120", 120),
        ("121", None), ("414", None), ("", None),
    ],
)  # fmt: skip
def test_age_in_years_or_null(tmp_path, cell, years):
    assert read_images(write_nih(tmp_path, [nih_row(age=cell)])).collect()["age_years"].to_list() == [years]


def test_age_in_days(tmp_path):
    age = read_images(write_nih(tmp_path, [nih_row(age="004D")])).collect()["age_years"].item()
    assert age == pytest.approx(4 / 365.25)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (nih_row(age="old"), "'Patient Age'"),
        (nih_row(age="-3"), "'Patient Age'"),
        (nih_row(sex="X"), "'Patient Sex' holds 'X'"),
        (nih_row(view="LL"), "'View Position' holds 'LL'"),
        (nih_row("00000001_000.jpg"), "'Image Index'"),
        (nih_row("00000001_000.png", patient="1.0"), "'Patient ID'"),
        (nih_row("00000001_000.png", patient="2"), "named after another patient"),
        (nih_row(labels=""), "'Finding Labels'"),
        (nih_row(labels="Mass|"), "'Finding Labels'"),
    ],
)
def test_cell_that_is_not_as_published_is_refused(tmp_path, row, problem):
    write_nih(tmp_path, [row])
    with pytest.raises(SourceFormatError, match=problem):
        read_images(tmp_path)


def test_missing_entry_list_names_the_editions(tmp_path):
    with pytest.raises(SourceNotFoundError, match=r"Data_Entry_2017_v2020\.csv or .*Data_Entry_2017\.csv"):
        find_metadata(tmp_path)


def test_findings_are_the_terms_between_the_bars(tmp_path):
    write_nih(tmp_path, [nih_row(labels="Cardiomegaly|Pleural_Thickening"), nih_row("00000002_000.png")])
    assert read_findings(tmp_path).collect().rows() == [
        ("nih/00000001_000", "Cardiomegaly", 1, ""),
        ("nih/00000001_000", "Pleural_Thickening", 1, ""),
        ("nih/00000002_000", "No Finding", 1, ""),
    ]


def test_without_lists_the_official_split_is_null_and_reported(tmp_path):
    write_nih(tmp_path)
    assert read_images(tmp_path).collect()["official_split"].to_list() == [None, None, None]
    assert list(find_metadata(tmp_path).missing) == ["train_val_list.txt", "test_list.txt", "BBox_List_2017.csv"]


def test_lists_split_what_they_name(tmp_path):
    write_nih(tmp_path)
    write_lines(tmp_path / "test_list.txt", ["00000002_000.png", "00009999_000.png"])
    write_lines(tmp_path / "train_val_list.txt", ["00000001_001.png", "00000001_000.png"])
    assert read_images(tmp_path).collect()["official_split"].to_list() == ["train_val", "train_val", "test"]
    assert find_metadata(tmp_path).missing == {"BBox_List_2017.csv": "there are no boxes"}


def test_image_in_both_lists_is_refused(tmp_path):
    write_nih(tmp_path)
    for name in ("test_list.txt", "train_val_list.txt"):
        write_lines(tmp_path / name, ["00000002_000.png"])
    with pytest.raises(SourceFormatError, match="more than once"):
        read_images(tmp_path)


def write_lists(root, *, train_val, test, names=("train_val_list.txt", "test_list.txt")):
    write_nih(root)
    write_lines(root / names[0], train_val)
    write_lines(root / names[1], test)
    return root


@pytest.mark.parametrize(
    "spell",
    [
        "{}.png", "images/{}.png", "images_001/images/{}.png", "images\\{}.png", "{}.PNG", "{}.jpg",
        "{}.png 0 1 0 0", "{}.png,1,0", "{}.png\t0", '"{}.png"', "./{}.png;0",
    ],
)  # fmt: skip
def test_lists_are_read_in_the_forms_of_their_mirrors(tmp_path, spell):
    train_val, test = ["00000001_000", "00000001_001"], ["00000002_000"]
    root = write_lists(tmp_path, train_val=map(spell.format, train_val), test=map(spell.format, test))
    assert read_images(root).collect()["official_split"].to_list() == ["train_val", "train_val", "test"]


@pytest.mark.parametrize(
    "names",
    [("train_val_list_NIH.txt", "test_list_NIH.txt"), ("Train_Val_List.TXT", "TEST_LIST.txt")],
)
def test_lists_and_boxes_are_found_under_the_names_of_their_mirrors(tmp_path, names):
    root = write_lists(
        tmp_path, train_val=["00000001_000.png", "00000001_001.png"], test=["00000002_000.png"], names=names
    )
    write_lines(root / "BBox_List_2017_Official_NIH.csv", [BOX_HEADER, "00000001_000.png,Mass,1,2,3,4"])
    assert read_images(root).collect()["official_split"].to_list() == ["train_val", "train_val", "test"]
    assert read_boxes(root).collect().height == 1


@pytest.mark.parametrize(
    ("train_val", "test", "problem"),
    [
        (["00000001_000.png"], ["00000002_000.png"], r"name 2 images, and not 1 of the 3 images"),
        (["00000001_000.png", "00000001_001.png"], ["00009999_000.png"], r"not 1 of the 3 images"),
        (["00000001_000.png", "00000001_001.png"], ["0000000"], r"test_list\.txt: 1 of 1 lines name no image"),
        (["Image Index", "00000001_000.png"], ["00000002_000.png"], r"train_val_list\.txt: 1 of 2 lines name no image"),
    ],
    ids=["cut at a row", "of other images", "cut at a byte", "with a header"],
)
def test_lists_that_do_not_decide_for_every_image_are_refused(tmp_path, train_val, test, problem):
    with pytest.raises(SourceFormatError, match=problem):
        read_images(write_lists(tmp_path, train_val=train_val, test=test))


@pytest.mark.parametrize("name", ["train_val_list.txt", "test_list.txt"])
def test_one_list_without_the_other_is_refused(tmp_path, name):
    write_nih(tmp_path)
    write_lines(tmp_path / name, ["00000002_000.png"])
    with pytest.raises(SourceFormatError, match="expected both lists, or neither"):
        read_images(tmp_path)


def test_names_of_other_images_in_lists_and_boxes_are_counted(tmp_path):
    root = write_lists(
        tmp_path, train_val=["00000001_000.png", "00000001_001.png"], test=["00000002_000.png", "00000009_000.png"]
    )
    write_lines(root / "BBox_List_2017.csv", [BOX_HEADER, "00000009_000.png,Mass,1,2,3,4"])
    lists, boxes = *NIH.find_gaps(root), *NIH.find_box_gaps(root)
    assert lists.endswith("test_list.txt: 1 of its 2 names are no image of the entry list")
    assert boxes.endswith("BBox_List_2017.csv: 1 of its 1 boxes are of no image of the entry list")


BOX_HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,"


def write_boxes(root, *rows, header=BOX_HEADER):
    write_lines(write_nih(root) / "BBox_List_2017.csv", [header, *rows])
    return root


def test_boxes_under_the_ragged_header_keep_their_word(tmp_path):
    root = write_boxes(
        tmp_path, "00000001_000.png,Infiltrate,225.08,547.0,86.78,79.19", "00000002_000.png,Mass,1,2,3,4"
    )
    boxes = read_boxes(root).collect()
    assert boxes.select("image_id", "finding", "reader").rows() == [
        ("nih/00000001_000", "Infiltrate", ""),
        ("nih/00000002_000", "Mass", ""),
    ]
    assert boxes.select("x", "y", "width", "height").row(1) == (1.0, 2.0, 3.0, 4.0)
    assert "BBox_List_2017.csv" in find_metadata(root).files


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("00000001_000.png,Mass,1,2,3", "1 of 1 rows do not have 6 cells"),
        ("00000001_000.png,Mass,1,2,3,4,,,", "1 of 1 rows do not have 6 cells"),
        ("00000001_000.png,Mass,1,2,3,-4", "'height'"),
        ("00000001_000.jpg,Mass,1,2,3,4", "'name'"),
    ],
)
def test_box_that_is_not_as_published_is_refused(tmp_path, row, problem):
    with pytest.raises(SourceFormatError, match=problem):
        read_boxes(write_boxes(tmp_path, row))


def test_box_list_with_another_header_is_refused(tmp_path):
    with pytest.raises(SourceFormatError, match="the header is 'Image Index,x'"):
        read_boxes(write_boxes(tmp_path, "00000001_000.png,Mass,1,2,3,4", header="Image Index,x"))


@pytest.mark.parametrize("folder", ["images_001/images", "images_012/images", "images", "images-224", "."])
def test_pixels_are_found_in_every_layout(tmp_path, folder):
    path = write_image(tmp_path / folder / "00000001_000.png")
    found = find_pixels(tmp_path)
    assert found.keys() == {"00000001_000.png"}
    assert tmp_path / found["00000001_000.png"] == path


def test_original_is_preferred_to_its_small_copy(tmp_path):
    for folder in ("images_001/images", "images-224"):
        write_image(tmp_path / folder / "00000001_000.png")
    found = {key: path.as_posix() for key, path in find_pixels(tmp_path).items()}
    assert found["00000001_000.png"] == "images_001/images/00000001_000.png"
    assert len(found) == 2


@pytest.mark.realdata
def test_published_counts(tmp_path):
    published_nih(tmp_path)
    images, findings = read_images(tmp_path).collect(), read_findings(tmp_path).collect()
    assert images.height == images["image_id"].n_unique() == NIH.expected["images"] == 112_120
    assert images["patient_id"].n_unique() == NIH.expected["patients"] == 30_805
    assert dict(images["view"].value_counts().rows()) == {"PA": 67_310, "AP": 44_810}
    assert dict(images["sex"].value_counts().rows()) == {"M": 63_340, "F": 48_780}
    assert (images["age_years"].min(), images["age_years"].max(), images["age_years"].null_count()) == (0, 95, 0)
    assert images.group_by("patient_id").len()["len"].max() == 184
    assert dict(findings["finding"].value_counts().rows()) == PUBLISHED_FINDINGS
    assert findings.group_by("image_id").len()["len"].max() == 9


@pytest.mark.realdata
@pytest.mark.parametrize(("folder", "train_val", "test"), [("nih", 164, 84), ("nih-224", 920, 161)])
def test_real_images_have_rows_files_and_an_official_split(folder, train_val, test):
    root = shared_folder(folder)
    images = read_images(root).collect()
    assert set(images["path"]) == find_pixels(root).keys()
    assert dict(images["official_split"].value_counts().rows()) == {"train_val": train_val, "test": test}
    assert images.group_by("patient_id").agg(pl.col("official_split").n_unique())["official_split"].max() == 1
