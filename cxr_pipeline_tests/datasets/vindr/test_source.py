"""VinDr-CXR is read as published, in PhysioNet's and Kaggle's form."""

import gzip
import shutil

import polars as pl
import pytest

from cxr_pipeline.datasets.inventory import take_inventory
from cxr_pipeline.datasets.quality import judge_completeness
from cxr_pipeline.datasets.vindr.source import (
    VINDR,
    describe_layout,
    find_box_gaps,
    find_metadata,
    find_pixels,
    read_answers,
    read_boxes,
    read_findings,
    read_images,
)
from cxr_pipeline.datasets.vindr.words import KAGGLE_WORDS, WORDS
from cxr_pipeline.errors import SourceFormatError, SourceNotFoundError
from cxr_pipeline_tests.datasets.realdata import published_file
from cxr_pipeline_tests.datasets.sources import write_image, write_lines

A, B, C = "a" * 32, "b" * 32, "0123456789abcdef" * 2
KAGGLE_HEADER = "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max"
KAGGLE_ROWS = (
    f"{A},No finding,14,R11,,,,",
    f"{B},Cardiomegaly,3,R10,691.0,1375.0,1653.0,1831.0",
    f"{A},No finding,14,R2,,,,",
    f"{B},Nodule/Mass,8,R9,10.5,20.0,30.5,60.0",
    f"{B},Cardiomegaly,3,R9,690.0,1370.0,1650.0,1830.0",
    f"{B},Cardiomegaly,3,R9,1.0,2.0,3.0,4.0",
    f"{A},No finding,14,R7,,,,",
    f"{B},Aortic enlargement,0,R8,1.0,2.0,3.0,4.0",
)


def sheet_row(*ids, words=WORDS, blank=(), **marked):
    """One row of a label file: ids, then 1 for the words named (`_` for a blank), empty for `blank`, else 0."""
    said = {name.replace("_", " "): value for name, value in marked.items()}
    return ",".join([*ids, *("" if word in blank else said.get(word, "0") for word in words)])


def write_physionet(root, train=None, test=(), *, boxes=True, last="Other diseases"):
    train = train or [sheet_row(A, reader, Edema="1") for reader in ("R1", "R2", "R3")]
    words = ",".join(WORDS).replace("Other diseases", last)
    write_lines(root / "annotations" / "image_labels_train.csv", [f"image_id,rad_id,{words}", *train])
    if test:
        words = words.replace(last, "Other disease")
        write_lines(root / "annotations" / "image_labels_test.csv", [f"image_id,{words}", *test])
    if boxes:
        edges = "class_name,x_min,y_min,x_max,y_max"
        rows = [f"{A},R1,Edema,1,2,11,22", f"{A},R2,No finding,,,,"]
        write_lines(root / "annotations" / "annotations_train.csv", [f"image_id,rad_id,{edges}", *rows])
        write_lines(root / "annotations" / "annotations_test.csv", [f"image_id,{edges}", f"{C},Edema,5,6,7,8"])
    return root


def write_kaggle(root, rows=KAGGLE_ROWS, *, header=KAGGLE_HEADER):
    write_lines(root / "train.csv", [header, *rows])
    return root


def stated(root, image, reader):
    """Word -> value, as one reader states it."""
    rows = read_findings(root).filter(pl.col("image_id") == f"vindr/{image}", pl.col("reader") == reader).collect()
    return dict(rows.select("finding", "value").rows())


def test_each_image_is_its_own_patient_and_pa(tmp_path):
    images = read_images(write_kaggle(tmp_path)).collect()
    assert images["image_id"].to_list() == [f"vindr/{A}", f"vindr/{B}"]
    assert images["patient_id"].equals(images["image_id"], check_names=False)
    assert images["study_id"].equals(images["image_id"], check_names=False)
    assert images["view"].to_list() == ["PA", "PA"]
    assert images["path"].to_list() == [f"{A}.dicom", f"{B}.dicom"]
    assert images["official_split"].to_list() == ["train", "train"]
    assert images.select("age_years", "sex").null_count().row(0) == (2, 2)


def test_test_set_comes_after_the_training_set(tmp_path):
    images = read_images(write_physionet(tmp_path, test=[sheet_row(C)])).collect()
    assert images.select("path", "official_split").rows() == [(f"{A}.dicom", "train"), (f"{C}.dicom", "test")]


def test_there_are_28_words_and_15_of_them_in_kaggles_file():
    assert (len(WORDS), len(set(WORDS)), len(KAGGLE_WORDS)) == (28, 28, 15)
    assert set(KAGGLE_WORDS) < set(WORDS)


def test_a_readers_silence_in_kaggles_file_is_a_stated_zero_for_its_words_only(tmp_path):
    root = write_kaggle(tmp_path)
    expected = dict.fromkeys(KAGGLE_WORDS, 0)
    assert stated(root, B, "R10") == expected | {"Cardiomegaly": 1}
    assert stated(root, B, "R9") == expected | {"Cardiomegaly": 1, "Nodule/Mass": 1}
    assert stated(root, A, "R7") == expected | {"No finding": 1}
    assert not {"Edema", "Emphysema", "Pneumonia"} & set(expected)


def test_each_reader_of_physionets_file_answers_28_words(tmp_path):
    train = [sheet_row(A, "R1", Edema="1"), sheet_row(A, "R2", Edema="1.0"), sheet_row(A, "R3", No_finding="1")]
    root = write_physionet(tmp_path, train)
    zeros = dict.fromkeys(WORDS, 0)
    assert stated(root, A, "R1") == stated(root, A, "R2") == zeros | {"Edema": 1}
    assert stated(root, A, "R3") == zeros | {"No finding": 1}


def test_blank_cell_states_nothing(tmp_path):
    train = [sheet_row(A, "R1", blank=["COPD"]), sheet_row(A, "R2"), sheet_row(A, "R3")]
    root = write_physionet(tmp_path, train)
    assert "COPD" not in stated(root, A, "R1")
    assert stated(root, A, "R2")["COPD"] == 0
    assert read_answers(root)["COPD"].to_list() == [None, 0, 0]


def test_test_set_has_one_voice_without_a_name(tmp_path):
    root = write_physionet(tmp_path, test=[sheet_row(C, Pneumonia="1")])
    assert stated(root, C, "") == dict.fromkeys(WORDS, 0) | {"Pneumonia": 1}


@pytest.mark.parametrize("last", ["Other disease", "Other diseases", "Other disease(s)"])
def test_other_diseases_in_all_its_spellings(tmp_path, last):
    assert "Other diseases" in stated(write_physionet(tmp_path, last=last), A, "R1")


def test_boxes_are_corner_and_size_and_rows_without_one_are_left_out(tmp_path):
    assert read_boxes(write_kaggle(tmp_path)).collect().rows() == [
        (f"vindr/{B}", "Cardiomegaly", "R10", 691.0, 1375.0, 962.0, 456.0),
        (f"vindr/{B}", "Nodule/Mass", "R9", 10.5, 20.0, 20.0, 40.0),
        (f"vindr/{B}", "Cardiomegaly", "R9", 690.0, 1370.0, 960.0, 460.0),
        (f"vindr/{B}", "Cardiomegaly", "R9", 1.0, 2.0, 2.0, 2.0),
        (f"vindr/{B}", "Aortic enlargement", "R8", 1.0, 2.0, 2.0, 2.0),
    ]


def test_boxes_of_both_parts_of_physionet(tmp_path):
    assert read_boxes(write_physionet(tmp_path)).collect().rows() == [
        (f"vindr/{A}", "Edema", "R1", 1.0, 2.0, 10.0, 20.0),
        (f"vindr/{C}", "Edema", "", 5.0, 6.0, 2.0, 2.0),
    ]


def test_without_annotation_files_there_are_no_boxes_and_it_is_reported(tmp_path):
    root = write_physionet(tmp_path, boxes=False)
    assert read_boxes(root).collect().is_empty()
    assert list(find_metadata(root).missing) == [
        "image_labels_test.csv",
        "annotations_train.csv",
        "annotations_test.csv",
    ]


@pytest.mark.parametrize("folder", [".", "annotations", "1.0.0/annotations"])
@pytest.mark.parametrize("is_zipped", [False, True])
def test_label_files_are_found_where_they_are_unpacked(tmp_path, folder, is_zipped):
    write_physionet(tmp_path / "source", test=[sheet_row(C)])
    (tmp_path / "root" / folder).mkdir(parents=True, exist_ok=True)
    for path in (tmp_path / "source" / "annotations").iterdir():
        target = tmp_path / "root" / folder / path.name
        if is_zipped:
            target.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        else:
            shutil.copy(path, target)
    assert read_images(tmp_path / "root").collect().height == 2
    assert find_metadata(tmp_path / "root").missing == {}
    assert describe_layout(tmp_path / "root").name == "PhysioNet 1.0.0"


def test_kaggles_layout_is_recognised_and_physionets_preferred(tmp_path):
    layout = describe_layout(write_kaggle(tmp_path))
    assert (layout.name, "train.csv" in layout.reason) == ("Kaggle VinBigData", True)
    layout = describe_layout(write_physionet(tmp_path))
    assert (layout.name, "image_labels_train.csv" in layout.reason) == ("PhysioNet 1.0.0", True)


def test_columns_that_resized_copies_add_are_left_out(tmp_path):
    rows = [f"{row},1024,768" for row in KAGGLE_ROWS]
    assert read_images(write_kaggle(tmp_path, rows, header=f"{KAGGLE_HEADER},width,height")).collect().height == 2


def test_missing_label_file_names_both_forms(tmp_path):
    with pytest.raises(SourceNotFoundError, match=r"image_labels_train\.csv or .* or train\.csv"):
        find_metadata(tmp_path)


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([KAGGLE_ROWS[0]], "1 images do not have 3 rows"),
        ([*KAGGLE_ROWS, f"{A},No finding,14,R4,,,,"], "1 images do not have 3 rows"),
        ([f"{A},Edema,20,R1,,,,"], "'class_name' holds 'Edema'"),
        ([f"{A[:-1]},No finding,14,{reader},,,," for reader in ("R1", "R2", "R3")], "'image_id'"),
        ([f"{A},No finding,14,{reader},,,," for reader in ("", "R2", "R3")], "'rad_id'"),
    ],
)
def test_marks_that_are_not_as_published_are_refused(tmp_path, rows, problem):
    with pytest.raises(SourceFormatError, match=problem):
        read_findings(write_kaggle(tmp_path, rows))


@pytest.mark.parametrize(
    ("train", "problem"),
    [
        ([sheet_row(A, "R1")] * 3, "3 rows repeat a reader"),
        ([sheet_row(A, reader) for reader in ("R1", "R2")], "1 images do not have 3 rows"),
        ([sheet_row(A, "R1", Edema="2"), sheet_row(A, "R2"), sheet_row(A, "R3")], "'Edema' holds '2'"),
    ],
)
def test_label_sheet_that_is_not_as_published_is_refused(tmp_path, train, problem):
    with pytest.raises(SourceFormatError, match=problem):
        read_findings(write_physionet(tmp_path, train))


def test_test_image_with_two_rows_is_refused(tmp_path):
    with pytest.raises(SourceFormatError, match="1 images do not have 1 rows"):
        read_findings(write_physionet(tmp_path, test=[sheet_row(C), sheet_row(C)]))


@pytest.mark.parametrize("row", [f"{B},Cardiomegaly,3,R9,1.0,,3.0,4.0", f"{B},Cardiomegaly,3,R9,1.0,-2.0,3.0,4.0"])
def test_box_with_a_missing_or_negative_edge_is_refused(tmp_path, row):
    with pytest.raises(SourceFormatError, match="'y_min'"):
        read_boxes(write_kaggle(tmp_path, [row]))


@pytest.mark.parametrize(
    "path", [f"train/{A}.dicom", f"test/{A}.dicom", f"{A}.dcm", f"train/train/{A}.png", f"x/{A}.JPG"]
)
def test_pixels_are_found_in_every_layout(tmp_path, path):
    write_image(tmp_path / path)
    write_lines(tmp_path / "train.csv", ["no image"])
    assert {key: found.as_posix() for key, found in find_pixels(tmp_path).items()} == {f"{A}.dicom": path}


def test_original_is_preferred_to_its_resized_copy(tmp_path):
    for path in (f"{A}.jpg", f"{A}.png", f"train/{A}.dicom", "other.png"):
        write_image(tmp_path / path)
    found = {key: path.as_posix() for key, path in find_pixels(tmp_path).items()}
    assert found.pop(f"{A}.dicom") == f"train/{A}.dicom"
    assert sorted(found) == [f"{A}.jpg", f"{A}.png", "other.png"]


def test_images_that_labels_and_boxes_do_not_share_are_counted_both_ways(tmp_path):
    train = [sheet_row(image, reader, Edema="1") for image in (A, B) for reader in ("R1", "R2", "R3")]
    root = write_physionet(tmp_path, train, test=[sheet_row(C)])
    rows = [f"{A},R1,Edema,1,2,11,22", f"{C},R1,Edema,1,2,11,22"]
    edges = "class_name,x_min,y_min,x_max,y_max"
    write_lines(root / "annotations" / "annotations_train.csv", [f"image_id,rad_id,{edges}", *rows])
    unboxed, strangers = find_box_gaps(root)
    assert unboxed.endswith("1 of 2 images of image_labels_train.csv are not there, so no box of them is known")
    assert strangers.endswith("annotations_train.csv: 1 of its 2 images are not in image_labels_train.csv")
    assert find_box_gaps(write_physionet(tmp_path, test=[sheet_row(C)])) == []


def test_boxed_images_without_a_size_and_sizes_of_no_image_are_counted(tmp_path):
    root = write_kaggle(tmp_path)
    write_lines(root / "train_meta.csv", ["image_id,dim0,dim1", f"{A},2000,1000", f"{C},2000,1000"])
    unsized, strangers = find_box_gaps(root)
    assert unsized.endswith("train_meta.csv: 1 of the 1 images with a box have no size there")
    assert strangers.endswith("train_meta.csv: 1 of its 2 images are not in train.csv")
    (root / "train_meta.csv").unlink()
    assert find_box_gaps(root) == []


@pytest.mark.realdata
def test_published_counts(tmp_path):
    shutil.copy(published_file("vinbigdata-train.csv.gz"), tmp_path / "train.csv.gz")
    images, answers, boxes = read_images(tmp_path).collect(), read_answers(tmp_path), read_boxes(tmp_path).collect()
    assert images.height == images["image_id"].n_unique() == 15_000
    assert (answers.height, answers["reader"].n_unique(), answers.width) == (45_000, 17, 2 + 15)
    assert read_findings(tmp_path).collect().height == 45_000 * 15
    busiest = answers["reader"].value_counts().filter(pl.col("reader").is_in(["R8", "R9", "R10"]))["count"]
    assert busiest.sum() / 45_000 == pytest.approx(0.43, abs=0.005)
    votes = answers.group_by("image_id").agg(pl.col("No finding").sum())["No finding"]
    assert dict(votes.value_counts().rows()) == {3: 10_606, 0: 4_394}
    assert boxes.height == 67_914 - 31_818
    assert boxes.select("width", "height").min().row(0) > (0, 0)
    nodules = boxes.filter(pl.col("finding") == "Nodule/Mass").select(pl.max_horizontal("width", "height"))
    assert [nodules.quantile(share).item() for share in (0.5, 0.75)] == [109, 253]


@pytest.mark.parametrize(("images", "is_whole"), [(15_000, True), (14_999, False)])
def test_vinbigdata_is_whole_with_its_15_000_images(tmp_path, images, is_whole):
    ids = [f"{number:032x}" for number in range(images)]
    root = write_kaggle(
        tmp_path, [f"{name},No finding,14,{reader},,,," for name in ids for reader in ("R1", "R2", "R3")]
    )
    inventory = take_inventory(VINDR, root)
    assert judge_completeness(VINDR, inventory.table, layout=describe_layout(root).name).passed == is_whole
    in_part = [line for line in inventory.warnings if "in part" in line]
    assert in_part == [
        f"train.csv has {images:,} of the 15,000 published images: the source is here in part "
        f"(train {images:,} of 15,000)"
        for _ in range(not is_whole)
    ]


def test_training_set_of_physionet_alone_is_a_part(tmp_path):
    rows = [sheet_row(f"{number:032x}", reader) for number in range(15_000) for reader in ("R1", "R2", "R3")]
    root = write_physionet(tmp_path, rows, boxes=False)
    in_part = [line for line in take_inventory(VINDR, root).warnings if "in part" in line]
    assert in_part == [
        "image_labels_train.csv has 15,000 of the 18,000 published images: the source is here in part "
        "(train 15,000 of 15,000)"
    ]


@pytest.mark.parametrize("edges", ["0,0,1,1", "0.0,0.0,1.0,1.0", "0,0,0,0", "-1,-1,-1,-1"])
def test_edges_that_a_mirror_filled_in_where_there_is_no_finding_are_no_box(tmp_path, edges):
    published = read_boxes(write_kaggle(tmp_path)).collect()
    filled = [row.replace(",,,,", f",{edges}") for row in KAGGLE_ROWS]
    assert read_boxes(write_kaggle(tmp_path, filled)).collect().equals(published)
    drawn = [row.replace(",,,,", ",10,20,30,40") for row in KAGGLE_ROWS]
    assert read_boxes(write_kaggle(tmp_path, drawn)).collect().height == published.height + 3  # not lost without a word


def test_files_of_the_test_set_are_known_in_any_case(tmp_path):
    root = write_physionet(tmp_path, test=[sheet_row(C, Edema="1")])
    answers, boxes = read_answers(root), read_boxes(root).collect()
    for path in (root / "annotations").iterdir():
        path.rename(path.with_name(path.name.upper()))
    assert read_answers(root).equals(answers)
    assert read_boxes(root).collect().equals(boxes)
