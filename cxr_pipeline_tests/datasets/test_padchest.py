"""PadChest is read as published, in all its layouts."""

import gzip

import polars as pl
import pytest

from cxr_pipeline.datasets.inventory import take_inventory
from cxr_pipeline.datasets.padchest import (
    PADCHEST,
    describe_layout,
    find_metadata,
    find_pixels,
    read_findings,
    read_images,
    read_reports,
)
from cxr_pipeline.datasets.quality import judge_patients
from cxr_pipeline.errors import SourceFormatError, SourceNotFoundError
from cxr_pipeline_tests.datasets.padchest_rows import NAME, TABLE, padchest_row, published_padchest, write_padchest
from cxr_pipeline_tests.datasets.sources import write_image


def image_of(root, **cells):
    return read_images(write_padchest(root, [padchest_row(**cells)])).collect().row(0, named=True)


def words_of(root, labels):
    return read_findings(write_padchest(root, [padchest_row(Labels=labels)])).collect()["finding"].to_list()


def test_image_row_carries_ids_that_no_integer_holds(tmp_path):
    image = image_of(tmp_path)
    assert image["image_id"] == f"padchest/{NAME}"
    assert image["patient_id"] == "padchest/313572750430997347502932654319389875966"
    assert image["study_id"] == "padchest/135803415504923515076821959678074435083"
    assert (image["dataset"], image["path"]) == ("padchest", f"{NAME}.png")
    assert (image["view"], image["sex"], image["age_years"], image["official_split"]) == ("PA", "M", 86.0, None)


def test_reports_over_several_lines_are_one_row_each(tmp_path):
    rows = [padchest_row(f"1_{number}", Report=" a .\n b, c .\n\n ") for number in range(3)]
    write_padchest(tmp_path, rows)
    assert (tmp_path / TABLE).read_text().count("\n") == 1 + 3 * 4
    assert read_images(tmp_path).collect()["image_id"].to_list() == ["padchest/1_0", "padchest/1_1", "padchest/1_2"]


@pytest.mark.parametrize(
    ("projection", "view"),
    [
        ("PA", "PA"), ("AP", "AP"), ("AP_horizontal", "AP"), ("L", "LATERAL"),
        ("COSTAL", "UNKNOWN"), ("EXCLUDE", "UNKNOWN"), ("UNK", "UNKNOWN"),
    ],
)  # fmt: skip
def test_lying_patients_are_frontal_and_ribs_are_not_guessed_at(tmp_path, projection, view):
    assert image_of(tmp_path, Projection=projection)["view"] == view


@pytest.mark.parametrize("missing", ["", "nan", "None"])
def test_three_spellings_of_missing(tmp_path, missing):
    image = image_of(tmp_path, PatientSex=missing, PatientBirth=missing)
    assert (image["sex"], image["age_years"]) == (None, None)
    assert words_of(tmp_path, missing) == ["(no labels)"]


def test_third_sex_is_null(tmp_path):
    assert image_of(tmp_path, PatientSex="O")["sex"] is None


@pytest.mark.parametrize(
    ("birth", "years"), [("2015.0", 0), ("2015", 0), ("1895.0", 120), ("1894.0", None), ("2016.0", None)]
)
def test_age_is_the_difference_of_years_where_it_can_be(tmp_path, birth, years):
    assert image_of(tmp_path, PatientBirth=birth)["age_years"] == years


@pytest.mark.parametrize(
    ("birth", "year"), [("1929.0", 1929), ("1929", 1929), ("nan", None), ("None", None), ("", None)]
)
def test_birth_year_is_kept_as_stated(tmp_path, birth, year):
    assert image_of(tmp_path, PatientBirth=birth)["birth_year"] == year


@pytest.mark.parametrize(("method", "labeller"), [("Physician", "physician"), ("RNN_model", "program")])
def test_image_says_who_labelled_it(tmp_path, method, labeller):
    assert image_of(tmp_path, MethodLabel=method)["labelled_by"] == labeller


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ("['normal']", ["normal"]),
        ("['pulmonary fibrosis', 'kyphosis']", ["pulmonary fibrosis", "kyphosis"]),
        ("[' nodule', 'mass ', '  ']", ["nodule", "mass"]),
        ("['nodule', ' nodule', '']", ["nodule"]),
        ("['nodule','mass']", ["nodule", "mass"]),
        ("""["Kerley's lines", 'mass']""", ["Kerley's lines", "mass"]),
        ("['a, b', 'c] [d']", ["a, b", "c] [d"]),
        ("['exclude']", ["exclude"]),
        ("['unchanged', 'nodule']", ["unchanged", "nodule"]),
        ("['suboptimal study', 'nodule']", ["suboptimal study", "nodule"]),
        ("['', ' suboptimal study']", ["suboptimal study", "(suboptimal study alone)"]),
        ("[]", ["(no labels)"]),
        ("['']", ["(no labels)"]),
        ("['', ' ']", ["(no labels)"]),
    ],
)
def test_list_is_taken_apart_into_stripped_words(tmp_path, labels, words):
    assert sorted(words_of(tmp_path, labels)) == sorted(words)


def test_each_image_keeps_its_own_words(tmp_path):
    labels = ["['nodule', 'mass']", "nan", "['mass', 'nodule']", "['nodule', 'mass']"]
    rows = [padchest_row(f"1_{number}", Labels=cell) for number, cell in enumerate(labels)]
    findings = read_findings(write_padchest(tmp_path, rows)).collect().select("image_id", "finding")
    both = {(f"padchest/1_{number}", word) for number in (0, 2, 3) for word in ("nodule", "mass")}
    assert set(findings.rows()) == both | {("padchest/1_1", "(no labels)")}
    assert findings.height == 7


def test_reader_tells_physicians_from_the_network(tmp_path):
    rows = [padchest_row("1_1"), padchest_row("1_2", MethodLabel="RNN_model")]
    findings = read_findings(write_padchest(tmp_path, rows)).collect().sort("image_id")
    assert findings.select("reader", "value").rows() == [("Physician", 1), ("RNN_model", 1)]
    assert findings.schema["value"] == pl.Int8


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ({"Labels": "['nodule'"}, "'Labels'"),
        ({"Labels": "nodule"}, "'Labels'"),
        ({"Labels": "['nodule' 'mass']"}, "'Labels'"),
        ({"Labels": "[nodule]"}, "'Labels'"),
        ({"Labels": "[1, 2]"}, "'Labels'"),
        ({"Labels": "__import__('os').abort()"}, "'Labels'"),
        ({"Labels": r"['nod\'ule']"}, "'Labels'"),
        ({"MethodLabel": "nan"}, "'MethodLabel' holds 'nan'"),
        ({"Projection": "LL"}, "'Projection' holds 'LL'"),
        ({"PatientSex": "female"}, "'PatientSex_DICOM' holds 'female'"),
        ({"PatientBirth": "1929.5"}, "'PatientBirth'"),
        ({"PatientID": "8.398604886942923e+38"}, "'PatientID'"),
        ({"StudyID": ""}, "'StudyID'"),
        ({"StudyID": "12 34"}, "'StudyID'"),  # not what its image's name begins with
        ({"StudyDate": "2015-09-14"}, "'StudyDate_DICOM'"),
        ({"ImageID": "0/1_2.png"}, "'ImageID'"),
    ],
)
def test_cell_that_is_not_as_published_is_refused(tmp_path, cells, problem):
    write_padchest(tmp_path, [padchest_row(**cells)])
    with pytest.raises(SourceFormatError, match=problem):
        _ = read_images(tmp_path), read_findings(tmp_path)


def test_absent_table_is_an_error(tmp_path):
    with pytest.raises(SourceNotFoundError, match=r"has no PADCHEST.*\.csv or .*\.csv\.gz\..*CXR_PADCHEST_ROOT"):
        find_metadata(tmp_path)


def test_gzipped_table(tmp_path):
    write_padchest(tmp_path, [padchest_row()])
    text = (tmp_path / TABLE).read_bytes()
    (tmp_path / TABLE).unlink()
    (tmp_path / f"{TABLE}.gz").write_bytes(gzip.compress(text))
    assert read_images(tmp_path).collect().height == read_findings(tmp_path).collect().height == 1


@pytest.mark.parametrize(
    ("folder", "layout"),
    [
        ("0", "numbered folders"),
        ("54", "numbered folders"),
        ("images/54", "numbered folders below images"),
        (".", "flat"),
        ("images-224", "unknown folders, or none"),
    ],
)
def test_pixels_are_found_in_every_layout(tmp_path, folder, layout):
    write_padchest(tmp_path, [padchest_row()])
    path = write_image(tmp_path / folder / f"{NAME}.png")
    assert {key: tmp_path / path for key, path in find_pixels(tmp_path).items()} == {f"{NAME}.png": path}
    assert describe_layout(tmp_path).name == layout


def test_layout_tells_why_it_was_recognised(tmp_path):
    write_padchest(tmp_path, [padchest_row()])
    write_image(tmp_path / "0" / f"{NAME}.png")
    assert describe_layout(tmp_path).reason == f"{TABLE} is in {tmp_path}; [0-9]*/ is there"


def test_inventory_counts_what_is_there_and_what_is_not(tmp_path):
    write_padchest(tmp_path, [padchest_row("1_1"), padchest_row("1_2")])
    write_image(tmp_path / "7" / "1_2.png")
    write_image(tmp_path / "7" / "1_9.png")
    inventory = take_inventory(PADCHEST, tmp_path)
    assert (inventory.missing, inventory.extra) == (1, 1)
    assert inventory.table["path"].to_list() == ["1_1.png", "7/1_2.png"]


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return published_padchest(tmp_path_factory.mktemp("padchest"))


@pytest.mark.realdata
def test_published_images(published):
    images = read_images(published).collect()
    assert images.height == images["image_id"].n_unique() == PADCHEST.expected["images"] == 160_861
    assert images["patient_id"].n_unique() == PADCHEST.expected["patients"] == 67_625
    assert images["study_id"].n_unique() == 109_931
    # Frontal: 91,728 PA, 4,559 AP, 14,346 AP_horizontal. Unknown: 630 COSTAL, 11 EXCLUDE, 8 UNK.
    views = dict(images["view"].value_counts().rows())
    assert views == {"PA": 91_728, "AP": 18_905, "LATERAL": 49_579, "UNKNOWN": 649}
    assert dict(images["sex"].value_counts().rows()) == {"M": 80_920, "F": 79_919, None: 22}
    assert (images["age_years"].min(), images["age_years"].max(), images["age_years"].null_count()) == (0, 105, 6)


@pytest.mark.realdata
def test_published_patients_of_two_sexes_or_birth_years(published):
    verdict = judge_patients(take_inventory(PADCHEST, published).table)
    assert not verdict.passed
    assert verdict.facts == {
        "patients": 67_625,
        "patients_with_two_sexes": 11,  # and one of F and O, which is null here
        "patients_with_two_birth_years": 356,
    }


@pytest.mark.realdata
def test_published_images_by_labeller(published):
    counts = take_inventory(PADCHEST, published).table["labelled_by"].value_counts()
    assert dict(counts.rows()) == {"program": 121_808, "physician": 39_053}


@pytest.mark.realdata
def test_published_findings(published):
    findings = read_findings(published).collect()
    counts = dict(findings["finding"].value_counts().rows())
    notes = {word: counts.pop(word) for word in list(counts) if word.startswith("(")}
    assert notes == {"(no labels)": 103 + 777, "(suboptimal study alone)": 412}
    assert len(counts) == 193  # 194 with the empty word
    expected = {"normal": 50_616, "unchanged": 14_334, "suboptimal study": 1_839, "exclude": 1_312}
    expected |= {"COPD signs": 23_280, "cardiomegaly": 15_022, "nodule": 3_748, "pseudonodule": 2_241, "mass": 56}
    assert {word: counts[word] for word in expected} == expected
    readers = findings.select("image_id", "reader").unique()["reader"].value_counts()
    assert dict(readers.rows()) == {"RNN_model": 121_808, "Physician": 39_053}


@pytest.mark.realdata
def test_published_rows_that_can_be_used(published):
    findings = read_findings(published).collect()
    says_nothing = ["unchanged", "suboptimal study", "(suboptimal study alone)", "exclude", "(no labels)"]
    excluded = findings.filter(pl.col("finding") == "exclude").select("image_id")
    usable = findings.filter(~pl.col("finding").is_in(says_nothing)).join(excluded, on="image_id", how="anti")
    assert usable["image_id"].n_unique() == 154_531


@pytest.mark.realdata
def test_images_that_the_release_itself_leaves_unlabelled_are_no_gap(published):
    assert PADCHEST.find_gaps(published) == []


def test_a_study_has_one_report_and_a_lost_one_is_left_out(tmp_path):
    rows = [
        padchest_row("1_a", StudyID="1", Report=" derram .\n sin cambi ."),
        padchest_row("1_b", StudyID="1", Report=" derram .\n sin cambi ."),
        padchest_row("2_a", StudyID="2", Report="nan"),
    ]
    reports = read_reports(write_padchest(tmp_path, rows)).collect()
    assert reports.rows() == [("padchest/1", "informe", " derram .\n sin cambi .")]


def test_images_without_a_word_are_counted(tmp_path):
    cells = ("['normal']", "['', ' ']", "[]", "nan", '["bird\'s eye"]', "['', 'nodule']")
    rows = [padchest_row(f"1_{number}", Labels=cell) for number, cell in enumerate(cells)]
    (line,) = PADCHEST.find_gaps(write_padchest(tmp_path, rows))
    assert line.endswith("3 of 6 images have no labels (880 in the release)")
    assert PADCHEST.find_gaps(write_padchest(tmp_path, rows[:1])) == []
