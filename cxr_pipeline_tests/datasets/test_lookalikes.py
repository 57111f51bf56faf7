"""A copy of the images without labels is named, with what to get instead."""

import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.errors import SourceNotFoundError
from cxr_pipeline_tests.datasets.sources import write_chexpert, write_lines


@pytest.mark.parametrize(
    ("source", "name", "instead"),
    [
        ("mimic", "annotation.json", "mimic-cxr-2.0.0-metadata.csv.gz"),
        ("mimic", "cxr-record-list.csv.gz", "MIMIC-CXR-JPG"),
        ("openi", "annotation.json", "NLMCXR_reports.tgz"),
        ("chexpert", "annotation.json", "chexbert_labels.zip"),
    ],
)
@pytest.mark.parametrize("folder", ["", "mimic_cxr", "data/iu_xray"])
def test_lookalike_is_named_with_what_to_get_instead(tmp_path, source, name, instead, folder):
    seen = write_lines(tmp_path / folder / name, ["{}"])
    with pytest.raises(SourceNotFoundError) as refused:
        DATASETS[source].find_metadata(tmp_path)
    assert f"{seen} is " in str(refused.value)
    assert instead in str(refused.value)


def test_release_below_is_named_before_a_lookalike(tmp_path):
    write_lines(tmp_path / "annotation.json", ["{}"])
    table = write_chexpert(tmp_path / "stanford") / "train.csv"
    with pytest.raises(SourceNotFoundError, match=f"{table} is there"):
        DATASETS["chexpert"].find_metadata(tmp_path)
