"""ReXGradient-160K is read as its readers describe it. Nothing of the real files is on this machine: they are gated."""

import json
import time

import pytest

from cxr_pipeline.datasets.inventory import fingerprint, take_inventory
from cxr_pipeline.datasets.rexgradient import (
    REXGRADIENT,
    describe_layout,
    find_metadata,
    find_pixels,
    read_images,
    read_reports,
)
from cxr_pipeline.datasets.status import find_status
from cxr_pipeline.errors import SourceFormatError, SourceNotFoundError
from cxr_pipeline_tests.datasets.sources import write_image, write_lines

FOLDER = "../deid_png/GRDNAAAA/GRDNBBBB/studies/1.2.3/series/1.2.4/instances"
RECORD = {
    "PatientID": "GRDNAAAA",
    "AccessionNumber": "GRDNBBBB",
    "StudyInstanceUid": "1.2.3",
    "PatientSex": "F",
    "PatientAge": "064Y",
    "StudyDate": 20160411,
    "StudyDescription": "XR CHEST 2 VIEWS",
    "Indication": "Cough.",
    "Comparison": "None",
    "Findings": " Clear lungs. ",
    "Impression": "Normal.",
    "ImagePath": [f"{FOLDER}/1.2.5.png", f"{FOLDER}/1.2.6.png"],
    "ImageModality": ["DX", "DX"],
    "ImageShape": [[730, 600], [730, 600]],
    "ImageBodyPart": ["CHEST", "CHEST"],
    "ImageViewPosition": ["PA", "LATERAL"],
}


def write_json(root, *records, part="train", folder="metadata"):
    studies = {f"pGRDN_aGRDN_s{number}": record for number, record in enumerate(records)}
    write_lines(root / folder / f"{part}_metadata_view_position.json", [json.dumps(studies)])
    return root


def one_image(**fields):
    return RECORD | {"ImagePath": [f"{FOLDER}/1.2.5.png"], "ImageViewPosition": ["AP"]} | fields


def only(root, column):
    return read_images(root).collect()[column].to_list()


def test_each_path_of_a_study_is_an_image(tmp_path):
    images = read_images(write_json(tmp_path, RECORD)).collect()
    assert images.rows(named=True)[0] == {
        "image_id": "rexgradient/1.2.5",
        "patient_id": "rexgradient/GRDNAAAA",
        "study_id": "rexgradient/1.2.3",
        "dataset": "rexgradient",
        "view": "PA",
        "path": "1.2.5.png",
        "age_years": 64.0,
        "sex": "F",
        "official_split": "train",
    }
    assert images.select("image_id", "study_id", "view").row(1) == ("rexgradient/1.2.6", "rexgradient/1.2.3", "LATERAL")


def test_parts_are_the_official_splits(tmp_path):
    for number, part in enumerate(("test", "valid", "train")):
        write_json(tmp_path, one_image(ImagePath=[f"../deid_png/{number}.png"]), part=part)
    assert only(tmp_path, "official_split") == ["train", "val", "test"]
    assert only(tmp_path, "path") == ["2.png", "1.png", "0.png"]
    assert find_metadata(tmp_path).missing == {}


def test_absent_part_is_reported_and_not_an_error(tmp_path):
    write_json(tmp_path, RECORD, part="valid")
    assert list(find_metadata(tmp_path).missing) == [
        "train_metadata_view_position.json",
        "test_metadata_view_position.json",
    ]


@pytest.mark.parametrize("folder", ["metadata", "."])
def test_metadata_is_found_in_its_folder_or_in_the_root(tmp_path, folder):
    assert read_images(write_json(tmp_path, RECORD, folder=folder)).collect().height == 2


@pytest.mark.parametrize(
    "views", [["AP"], ["AP", None], ["AP", float("nan")], ["AP", "N/A"], ["AP", "None"], ["AP", 7]]
)
def test_view_list_that_is_short_or_has_gaps_leaves_the_rest_unknown(tmp_path, views):
    assert only(write_json(tmp_path, RECORD | {"ImageViewPosition": views}), "view") == ["AP", "UNKNOWN"]


@pytest.mark.parametrize("views", [None, [], "AP"])
def test_view_list_that_is_none_leaves_all_unknown(tmp_path, views):
    assert only(write_json(tmp_path, RECORD | {"ImageViewPosition": views}), "view") == ["UNKNOWN", "UNKNOWN"]


def test_study_without_view_list(tmp_path):
    record = {name: value for name, value in RECORD.items() if name != "ImageViewPosition"}
    assert only(write_json(tmp_path, record), "view") == ["UNKNOWN", "UNKNOWN"]


@pytest.mark.parametrize(
    ("word", "view"),
    [
        ("PA", "PA"), ("POSTERO_ANTERIOR", "PA"), ("AP", "AP"), ("LATERAL", "LATERAL"), ("LL", "LATERAL"),
        ("LAT", "LATERAL"), ("LAO", "UNKNOWN"), ("RPO", "UNKNOWN"), ("UNKNOWN", "UNKNOWN"), ("SWIMMERS", "UNKNOWN"),
    ],
)  # fmt: skip
def test_only_known_words_name_a_view(tmp_path, word, view):
    assert only(write_json(tmp_path, one_image(ImageViewPosition=[word])), "view") == [view]


@pytest.mark.parametrize(
    ("body", "modality", "view"),
    [
        ("CHEST", "CR", "AP"), ("PORT CHEST", "DX", "AP"), ("Chest", "DX", "AP"), (None, None, "AP"),
        ("N/A", "nan", "AP"),
        ("ABDOMEN", "DX", "UNKNOWN"), ("SPINE", None, "UNKNOWN"), ("CHEST", "CT", "UNKNOWN"),
    ],
)  # fmt: skip
def test_projection_of_another_body_part_or_modality_is_no_view_of_the_chest(tmp_path, body, modality, view):
    record = one_image(ImageBodyPart=[body], ImageModality=[modality])
    assert only(write_json(tmp_path, record), "view") == [view]


@pytest.mark.parametrize(
    ("age", "years"),
    [
        ("064Y", 64), ("007Y", 7), ("018M", 1.5), ("002D", 2 / 365.25), ("120Y", 120), ("121Y", None), ("old", None),
        ("None", None), (None, None), (float("nan"), None), (64, None),
    ],
)  # fmt: skip
def test_age_in_years_or_null(tmp_path, age, years):
    assert only(write_json(tmp_path, one_image(PatientAge=age)), "age_years") == [pytest.approx(years)]


@pytest.mark.parametrize(("word", "sex"), [("F", "F"), ("M", "M"), ("O", None), (None, None), ("None", None)])
def test_sex_or_null(tmp_path, word, sex):
    assert only(write_json(tmp_path, one_image(PatientSex=word)), "sex") == [sex]


def test_sections_that_are_missing_in_any_spelling_are_left_out(tmp_path):
    spellings = {"Indication": "", "Comparison": "None", "Findings": float("nan"), "Impression": " N/A "}
    write_json(tmp_path, RECORD, RECORD | {"StudyInstanceUid": "9"} | spellings)
    assert read_reports(tmp_path).collect().rows() == [
        ("rexgradient/1.2.3", "indication", "Cough."),
        ("rexgradient/1.2.3", "findings", "Clear lungs."),
        ("rexgradient/1.2.3", "impression", "Normal."),
    ]


def test_source_has_reports_only():
    assert REXGRADIENT.read_findings is None
    assert REXGRADIENT.unstated_is == "unknown"


@pytest.mark.parametrize("folder", ["deid_png/A/B/studies/1/series/2/instances", "images", "."])
def test_pixels_are_found_by_their_name_in_any_folder(tmp_path, folder):
    path = write_image(tmp_path / folder / "1.2.5.png")
    assert tmp_path / find_pixels(tmp_path)["1.2.5.png"] == path


def test_inventory_joins_rows_and_files(tmp_path):
    write_json(tmp_path, RECORD)
    write_image(tmp_path / FOLDER.removeprefix("../") / "1.2.6.png")
    assert take_inventory(REXGRADIENT, tmp_path).table["is_present"].to_list() == [False, True]


@pytest.mark.parametrize(
    ("entries", "pictures"),
    [
        ([], "pictures in other folders, or none"),
        (["deid_png.part00", "deid_png.part01"], "pictures packed in 2 parts"),
        (["deid_png.part00", "deid_png/", ".deid_png.unpacking"], "pictures packed in 1 parts, unpacked to some point"),
        (["deid_png.part00", "deid_png/"], "pictures unpacked, their 1 parts still there"),
        (["deid_png/"], "pictures unpacked"),
    ],
)
def test_layout_tells_packed_pictures_from_unpacked_ones(tmp_path, entries, pictures):
    write_json(tmp_path, RECORD)
    for entry in entries:
        (tmp_path / entry).mkdir() if entry.endswith("/") else write_image(tmp_path / entry)
    assert describe_layout(tmp_path).name == f"JSON of train; {pictures}"
    is_told = "cxr sources unpack rexgradient" in find_metadata(tmp_path).missing.get("deid_png", "")
    assert is_told == ("packed in" in pictures)


def test_source_whose_parts_wait_is_packed_and_says_how_to_unpack(tmp_path):
    write_json(tmp_path, RECORD)
    write_image(tmp_path / "deid_png.part00")
    status = find_status(REXGRADIENT, tmp_path)
    assert (status.state, status.present) == ("packed", 0)
    assert "cxr sources unpack rexgradient" in status.next_step


def test_fingerprint_sees_parts_as_long_as_they_are_to_be_unpacked(tmp_path):
    write_json(tmp_path, RECORD)
    bare = fingerprint(REXGRADIENT, tmp_path)
    write_image(tmp_path / "deid_png.part00")
    assert fingerprint(REXGRADIENT, tmp_path) != bare
    (tmp_path / "deid_png").mkdir()
    assert fingerprint(REXGRADIENT, tmp_path) == bare


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not JSON"),
        ("version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        (json.dumps({"a": RECORD})[:-40], "is not JSON"),
        ("\udcff", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "no object"),
        ("{}", "0 entries"),
        (json.dumps(RECORD), "no object and 1 study"),
        (json.dumps([RECORD]), "no object and 1 study"),
        (f'{{"a": {json.dumps(RECORD)}, "a": {json.dumps(RECORD)}}}', "1 entries and 2 study"),
        (json.dumps({"a": RECORD, "b": {}}), "2 entries and 1 study"),
        (json.dumps({"a": one_image(PatientID=None)}), "'PatientID'"),
        (json.dumps({"a": one_image(StudyInstanceUid="")}), "'StudyInstanceUid'"),
        (json.dumps({"a": one_image(ImagePath=None)}), "'ImagePath'"),
        (json.dumps({"a": one_image(ImagePath="x.png")}), "'ImagePath'"),
        (json.dumps({"a": one_image(ImagePath=["x.dcm"])}), "'ImagePath'"),
    ],
    ids=range(16),
)
def test_file_that_is_not_as_described_is_refused(tmp_path, text, problem):
    path = tmp_path / "train_metadata_view_position.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(SourceFormatError, match=problem) as caught:
        read_images(tmp_path)
    assert "Clear lungs" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_absent_release_is_an_error(tmp_path):
    with pytest.raises(SourceNotFoundError, match=r"metadata/train_metadata_view_position\.json.*CXR_REXGRADIENT_ROOT"):
        find_metadata(tmp_path)


def test_time_grows_with_the_number_of_studies(tmp_path):
    """160,000 studies take 2 CPU-seconds; a row loop that is quadratic or calls polars per study takes minutes."""
    records = [one_image(StudyInstanceUid=f"1.{n}", ImagePath=[f"../deid_png/1.{n}.png"]) for n in range(5_000)]
    write_json(tmp_path, *records)
    started = time.process_time()
    assert read_images(tmp_path).collect().height == 5_000
    assert time.process_time() - started < 1
