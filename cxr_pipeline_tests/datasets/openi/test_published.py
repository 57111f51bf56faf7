"""OpenI as it is published: what its images, views, reports and terms are."""

import time

import polars as pl
import pytest

from cxr_pipeline.datasets.openi.source import (
    OPENI,
    read_findings,
    read_images,
    read_reports,
)
from cxr_pipeline_tests.datasets.openi.files import (
    published_openi,
)
from cxr_pipeline_tests.datasets.realdata import published_file


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return published_openi(tmp_path_factory.mktemp("openi"))


@pytest.mark.realdata
def test_published_images(published):
    started = time.process_time()
    images = read_images(published).collect()
    assert time.process_time() - started < 2  # 0.4 CPU-seconds when quiet
    assert images.height == images["image_id"].n_unique() == OPENI.expected["images"] == 7_470
    assert images["patient_id"].n_unique() == OPENI.expected["patients"] == 3_851
    per_report = images.group_by("study_id").len()["len"].value_counts().rows()
    assert dict(per_report) == {1: 446, 2: 3_208, 3: 181, 4: 15, 5: 1}
    assert images["image_id"].head(2).to_list() == ["openi/1_IM-0001-3001", "openi/1_IM-0001-4001"]
    assert images["view"].unique().to_list() == ["UNKNOWN"]


@pytest.mark.realdata
def test_published_views_of_the_first_images(published, tmp_path):
    (tmp_path / "ecgen-radiology").symlink_to(published / "ecgen-radiology")
    (tmp_path / "nlmcxr_tsne_pa.csv.gz").symlink_to(published_file("nlmcxr_tsne_pa.csv.gz"))
    views = read_images(tmp_path).collect()["view"].value_counts().rows()
    assert dict(views) == {"PA": 3_267, "LATERAL": 584, "UNKNOWN": 3_619}


@pytest.mark.realdata
def test_dicom_headers_cannot_be_trusted_with_the_view(published):
    """Why they are not read: most of the laterals of torchxrayvision's list are frontal by their header."""
    headers = pl.read_csv(published_file("nlmcxr_dicom_metadata.csv.gz"), columns=["imageid", "View Position"])
    listed = pl.read_csv(published_file("nlmcxr_tsne_pa.csv.gz"))
    laterals = listed.filter(pl.col("tsne-view") == "L").join(headers, on="imageid").drop_nulls("View Position")
    frontal = laterals.filter(pl.col("View Position").is_in(["PA", "AP"]))
    assert (laterals.height, frontal.height) == (327, 198)


@pytest.mark.realdata
def test_published_reports(published):
    reports = read_reports(published).collect()
    assert reports["study_id"].n_unique() == 3_955 - 28  # which have no text at all
    filled = dict(reports["section"].value_counts().rows())
    assert (filled["findings"], filled["impression"]) == (3_955 - 530, 3_955 - 34)


@pytest.mark.realdata
def test_published_findings_are_of_the_human_indexers(published):
    counts = dict(read_findings(published).collect().group_by("finding").len().rows())
    images = read_images(published).collect()
    assert counts["No Indexing"] == 172
    assert counts["Cardiomegaly"] == 655  # the program (`automatic`) says 493
    assert "(no labels)" not in counts
    assert read_findings(published).collect()["image_id"].n_unique() == images.height
