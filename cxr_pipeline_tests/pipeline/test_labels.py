from pathlib import Path

import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.errors import TableError
from cxr_pipeline.pipeline.labels import write_adjudicated, write_labels
from cxr_pipeline.storage.lake import Lake
from cxr_pipeline_tests.datasets.sources import write_lines

ADJUDICATED = (
    "Image Index,Finding Labels,OriginalImageWidth,OriginalImageHeight,Fracture,Pneumothorax,Airspace opacity,"
    "Nodule or mass,Set Id",
    "00000013_008.png,No Finding,3056,2544,NO,NO,YES,NO,test",
)


def test_adjudicated_labels_are_read_where_their_file_lies_beside_nih(tmp_path: Path):
    lake = Lake(tmp_path / "lake")
    assert write_adjudicated(lake, tmp_path).is_empty()
    write_lines(tmp_path / "google2019_nih-chest-xray-labels.csv", ADJUDICATED)
    table = write_adjudicated(lake, tmp_path)
    assert table.select("image_id", "set_id", "Airspace_opacity", "Fracture").rows() == [
        ("nih/00000013_008", "test", 1, 0)
    ]
    assert write_adjudicated(lake, None).is_empty()


def test_reports_come_before_the_labels_that_are_made_from_them(tmp_path: Path):
    with pytest.raises(TableError, match="labels/reports_rexgradient first"):
        write_labels(Lake(tmp_path), DATASETS["rexgradient"], tmp_path)
