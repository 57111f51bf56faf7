"""OpenI is read as published, in its XML and in Kaggle's tables."""

import gzip

import pytest

from cxr_pipeline.datasets.inventory import take_inventory
from cxr_pipeline.datasets.openi.source import (
    OPENI,
    describe_layout,
    find_metadata,
    find_pixels,
    read_findings,
    read_images,
    read_reports,
)
from cxr_pipeline.errors import SourceFormatError, SourceNotFoundError
from cxr_pipeline_tests.datasets.openi.files import (
    TEXTS,
    write_kaggle,
    write_projections,
    write_xml,
    xml_text,
)
from cxr_pipeline_tests.datasets.sources import write_image, write_lines

KEY = "12_IM-0003-1001"
KAGGLE_REPORTS = (
    '12,Cardiomegaly/mild;Pulmonary Atelectasis/base/left,Cardiomegaly;Pulmonary Atelectasis,"Chest, 2 views",'
    ',None.,The heart is large.,"Big < small & XXXX."',
)
KAGGLE_PROJECTIONS = ("12,12_IM-0003-1001.dcm.png,Frontal", "12,12_IM-0003-2001.dcm.png,Lateral")


def terms(root):
    return read_findings(root).collect().sort("image_id", "finding").select("image_id", "finding").rows()


def test_image_row_of_the_xml(tmp_path):
    images = read_images(write_xml(tmp_path)).collect()
    assert images["image_id"].to_list() == ["openi/12_IM-0003-1001", "openi/12_IM-0003-2001"]
    assert images["patient_id"].to_list() == images["study_id"].to_list() == ["openi/12", "openi/12"]
    assert images["path"].to_list() == ["12_IM-0003-1001", "12_IM-0003-2001"]
    assert images.select("age_years", "sex", "official_split").null_count().row(0) == (2, 2, 2)


def test_both_layouts_give_the_same_images_findings_and_reports(tmp_path):
    xml = write_projections(write_xml(tmp_path / "xml"), KAGGLE_PROJECTIONS)
    kaggle = write_kaggle(tmp_path / "kaggle", KAGGLE_REPORTS, KAGGLE_PROJECTIONS)
    assert read_images(xml).collect().equals(read_images(kaggle).collect())
    assert terms(xml) == terms(kaggle)
    sections = [read_reports(root).sort("section").collect().rows() for root in (xml, kaggle)]
    assert sections[0] == sections[1]


def test_doubled_number_of_patient_1_is_one_number(tmp_path):
    text = xml_text(1, images=["CXR1_1_IM-0001-3001"])
    assert read_images(write_xml(tmp_path, text, name="1.xml")).collect()["path"].to_list() == ["1_IM-0001-3001"]


def test_reports_come_by_number(tmp_path):
    for uid in (10, 9, 101):
        write_xml(tmp_path, xml_text(uid, images=[f"CXR{uid}_IM-0001-1001"]), name=f"{uid}.xml")
    assert read_images(tmp_path).collect()["study_id"].to_list() == ["openi/9", "openi/10", "openi/101"]


def test_report_without_images_has_no_image_and_keeps_its_text(tmp_path):
    write_xml(tmp_path, xml_text(images=[]))
    assert read_images(tmp_path).collect().is_empty()
    assert read_findings(tmp_path).collect().is_empty()
    assert read_reports(tmp_path).collect().height == 3


def test_without_a_list_of_views_they_are_unknown_and_that_is_reported(tmp_path):
    write_xml(tmp_path)
    assert read_images(tmp_path).collect()["view"].to_list() == ["UNKNOWN", "UNKNOWN"]
    [(name, loss)] = find_metadata(tmp_path).missing.items()
    assert name == "indiana_projections.csv"
    assert "all views are UNKNOWN" in loss


def test_projections_of_kaggle_tell_the_views_of_the_xml(tmp_path):
    write_projections(write_xml(tmp_path), KAGGLE_PROJECTIONS[1:])
    assert read_images(tmp_path).collect()["view"].to_list() == ["UNKNOWN", "LATERAL"]
    assert find_metadata(tmp_path).missing == {}


def test_list_of_torchxrayvision_tells_the_views_that_the_projections_do_not(tmp_path):
    write_xml(tmp_path)
    text = "imageid,tsne-view\nCXR12_IM-0003-1001,L\nCXR12_IM-0003-2001,L\n"
    (tmp_path / "nlmcxr_tsne_pa.csv.gz").write_bytes(gzip.compress(text.encode()))
    assert "others are UNKNOWN" in find_metadata(tmp_path).missing["indiana_projections.csv"]
    assert read_images(tmp_path).collect()["view"].to_list() == ["LATERAL", "LATERAL"]
    write_projections(tmp_path, KAGGLE_PROJECTIONS[:1])
    assert read_images(tmp_path).collect()["view"].to_list() == ["PA", "LATERAL"]


@pytest.mark.parametrize(
    ("term", "findings"),
    [
        ("Mass/breast/right", ["Mass/breast"]),
        ("Mass/lung/upper lobe/right", ["Mass"]),
        ("Thickening/pleura/apex/bilateral", ["Thickening/pleura"]),
        ("Thickening/bronchovascular", ["Thickening"]),
        ("Cardiac Shadow/enlarged/mild", ["Cardiac Shadow/enlarged"]),
        ("Opacity/lung/base/left", ["Opacity/lung"]),
        ("Lung/hyperdistention/mild", ["Lung/hyperdistention"]),
        ("Lung/hypoinflation", ["Lung"]),
        ("Cicatrix/lung/lingula", ["Cicatrix/lung"]),
        ("Costophrenic Angle/sulcus/left/blunted", ["Costophrenic Angle/blunted"]),
        ("markings/lung/Interstitial", ["markings/Interstitial"]),
        ("Hernia, Hiatal/large", ["Hernia, Hiatal"]),
        ("Lung, Hyperlucent", ["Lung, Hyperlucent"]),
        ("Technical Quality of Image Unsatisfactory ", ["Technical Quality of Image Unsatisfactory"]),
        ("Subcutaneous  Emphysema/left", ["Subcutaneous Emphysema"]),
    ],
)
def test_term_is_given_by_its_compounds_or_its_head(tmp_path, term, findings):
    write_xml(tmp_path, xml_text(terms=[term], images=["CXR12_IM-0003-1001"]))
    assert [finding for _, finding in terms(tmp_path)] == findings


def test_each_image_has_each_finding_of_its_report_once(tmp_path):
    write_xml(tmp_path, xml_text(terms=["Nodule/lung/left", "Nodule/lung/right", "normal"]))
    images = ["openi/12_IM-0003-1001", "openi/12_IM-0003-2001"]
    assert terms(tmp_path) == [(image, finding) for image in images for finding in ("Nodule", "normal")]
    assert read_findings(tmp_path).collect().select("value", "reader").unique().rows() == [(1, "")]


@pytest.mark.parametrize("stated", [[], [""], [" "]])
def test_report_without_terms_has_no_labels(tmp_path, stated):
    write_xml(tmp_path, xml_text(terms=stated))
    assert {finding for _, finding in terms(tmp_path)} == {"(no labels)"}


@pytest.mark.parametrize("cell", ["", "nan"])
def test_row_of_kaggle_without_terms_has_no_labels(tmp_path, cell):
    write_kaggle(tmp_path, [f"12,{cell},,,,,,"], KAGGLE_PROJECTIONS)
    assert {finding for _, finding in terms(tmp_path)} == {"(no labels)"}


def test_image_of_kaggle_without_a_report_has_no_labels(tmp_path):
    write_kaggle(tmp_path, ["13,normal,normal,,,,,"], KAGGLE_PROJECTIONS)
    assert {finding for _, finding in terms(tmp_path)} == {"(no labels)"}
    assert read_images(tmp_path).collect().height == 2


def test_terms_of_kaggle_hold_commas(tmp_path):
    row = '12,"Catheters, Indwelling/right;Hernia, Hiatal/large","Catheters, Indwelling;Hernia, Hiatal",,,,,'
    write_kaggle(tmp_path, [row], KAGGLE_PROJECTIONS[:1])
    assert [finding for _, finding in terms(tmp_path)] == ["Catheters, Indwelling", "Hernia, Hiatal"]


def test_sections_that_are_not_empty_are_read(tmp_path):
    rows = read_reports(write_xml(tmp_path)).collect()
    assert rows["study_id"].unique().to_list() == ["openi/12"]
    assert dict(rows.select("section", "text").rows()) == {
        name.lower(): text for name, text in TEXTS.items() if name != "INDICATION"
    }


@pytest.mark.parametrize("folder", ["ecgen-radiology", "NLMCXR_reports/ecgen-radiology", "."])
def test_xml_is_found_in_each_folder(tmp_path, folder):
    write_xml(tmp_path, folder=folder)
    write_xml(tmp_path, "not a report", name="._12.xml", folder=folder)  # what macOS archives add
    assert read_images(tmp_path).collect().height == 2
    layout = describe_layout(tmp_path)
    assert layout.name == "official XML"
    assert "nothing tells their views" in layout.reason


def test_kaggle_is_recognised(tmp_path):
    layout = describe_layout(write_kaggle(tmp_path, KAGGLE_REPORTS, KAGGLE_PROJECTIONS))
    assert layout.name == "Kaggle CSV"
    assert "indiana_projections.csv" in layout.reason


@pytest.mark.parametrize(
    "path",
    [
        "NLMCXR_png/CXR12_IM-0003-1001.png",
        "images/images_normalized/12_IM-0003-1001.dcm.png",
        "12/12_IM-0003-1001.dcm",
        "CXR12_IM-0003-1001.PNG",
    ],
)
def test_pixels_are_found_in_every_layout(tmp_path, path):
    write_image(tmp_path / path)
    assert {key: found.as_posix() for key, found in find_pixels(tmp_path).items()} == {KEY: path}


def test_png_is_preferred_to_dicom_and_both_are_counted(tmp_path):
    for path in ("12/12_IM-0003-1001.dcm", "z/CXR12_IM-0003-1001.png"):
        write_image(tmp_path / path)
    found = {key: path.as_posix() for key, path in find_pixels(tmp_path).items()}
    assert found == {KEY: "z/CXR12_IM-0003-1001.png", "12/12_IM-0003-1001.dcm": "12/12_IM-0003-1001.dcm"}


def test_inventory_joins_rows_and_files(tmp_path):
    write_xml(tmp_path)
    write_image(tmp_path / "NLMCXR_png/CXR12_IM-0003-2001.png")
    write_image(tmp_path / "NLMCXR_png/overview.png")
    inventory = take_inventory(OPENI, tmp_path)
    assert inventory.table["is_present"].to_list() == [False, True]
    assert inventory.extra == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (xml_text(13), "has the id '13'"),
        (xml_text(texts={"FINDINGS": "x"}), "the sections findings"),
        (xml_text()[:-20], "not well-formed"),
        ("version https://git-lfs.github.com/spec/v1", "not well-formed"),
        (" ", "not well-formed"),
        (xml_text(images=["CXR13_IM-0003-1001"]), "1 images are named after another report"),
        (xml_text(images=["CXR12_1001"]), "1 of 1 cells of 'name'"),
        (xml_text(prolog='<!DOCTYPE a [<!ENTITY b "c">]>'), "declares a document type"),
    ],
)
def test_file_that_is_no_published_report_is_refused(tmp_path, text, problem):
    write_xml(tmp_path, text)
    with pytest.raises(SourceFormatError, match=problem):
        read_images(tmp_path)


def test_entities_are_never_expanded(tmp_path):
    lol = "".join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(9))
    write_xml(tmp_path, xml_text(terms=["&l9;"], prolog=f'<!DOCTYPE a [<!ENTITY l0 "lol">{lol}]>'))
    with pytest.raises(SourceFormatError, match="document type"):
        read_findings(tmp_path)


@pytest.mark.parametrize(
    ("reports", "projections", "problem"),
    [
        (KAGGLE_REPORTS * 2, KAGGLE_PROJECTIONS, "more than once"),
        (KAGGLE_REPORTS, ["12,12_IM-0003-1001.dcm.png,PA"], "'projection' holds 'PA'"),
        (KAGGLE_REPORTS, ["13,12_IM-0003-1001.dcm.png,Frontal"], "named after another report"),
        (KAGGLE_REPORTS, ["12,12.png,Frontal"], "'name'"),
        (["x,normal,,,,,,"], KAGGLE_PROJECTIONS, "'uid'"),
    ],
)
def test_cell_of_kaggle_that_is_not_as_published_is_refused(tmp_path, reports, projections, problem):
    write_kaggle(tmp_path, reports, projections)
    with pytest.raises(SourceFormatError, match=problem):
        read_findings(tmp_path)


def test_absent_release_is_an_error(tmp_path):
    with pytest.raises(SourceNotFoundError, match=r"ecgen-radiology.*indiana_reports\.csv.*CXR_OPENI_ROOT"):
        find_metadata(tmp_path)


def test_packed_reports_are_to_be_unpacked(tmp_path):
    write_lines(tmp_path / "NLMCXR_reports.tgz", ["packed"])
    with pytest.raises(SourceNotFoundError, match=r"tar -xzf NLMCXR_reports\.tgz"):
        find_metadata(tmp_path)


def test_images_of_no_report_and_reports_without_an_image_are_counted(tmp_path):
    reports = [*KAGGLE_REPORTS, "13,normal,normal,Chest,,,clear,clear"]
    root = write_kaggle(tmp_path, reports, [*KAGGLE_PROJECTIONS, "14,14_IM-0001-1001.dcm.png,Frontal"])
    unreported, alone = OPENI.find_gaps(root)
    assert unreported == "indiana_projections.csv: 1 of its 3 images are of no report of indiana_reports.csv"
    assert alone == "indiana_reports.csv: 1 of 2 reports have no image (0 in the release)"
    assert OPENI.find_gaps(write_kaggle(tmp_path, KAGGLE_REPORTS, KAGGLE_PROJECTIONS)) == []


def test_images_of_the_xml_without_a_view_and_views_of_no_image_are_counted(tmp_path):
    root = write_projections(write_xml(tmp_path), [KAGGLE_PROJECTIONS[0], "14,14_IM-0001-1001.dcm.png,Frontal"])
    unseen, strangers = OPENI.find_gaps(root)
    assert "1 of the 2 images of the reports have no row" in unseen
    assert strangers.endswith("1 of its 2 rows are of no image of the reports")
    assert OPENI.find_gaps(write_projections(root, KAGGLE_PROJECTIONS)) == []
