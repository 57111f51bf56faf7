"""The steps between rooms, where no room's own test looks."""

from pathlib import Path

import polars as pl
import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.errors import CheckpointError, TableError
from cxr_pipeline.pipeline import (
    count_labels_of_all,
    current_checkpoint,
    write_adjudicated,
    write_boxes,
    write_cohort,
    write_images,
    write_inventory,
    write_labels,
    write_report_evidence,
)
from cxr_pipeline.split.config import SplitConfig
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


def test_installation_without_any_source_says_so_at_the_cohort(tmp_path: Path):
    lake = Lake(tmp_path)
    for dataset in DATASETS.values():
        write_inventory(lake, dataset, None)
        write_report_evidence(lake, dataset, None)
        write_labels(lake, dataset, None)
        write_images(lake, dataset, None, size=64)
    assert write_boxes(lake, dict.fromkeys(DATASETS)).is_empty()
    counts = count_labels_of_all(lake)
    assert counts.columns == ["pathology", *DATASETS]
    assert counts.select(pl.exclude("pathology").is_null().all()).row(0) == (True,) * len(DATASETS)
    with pytest.raises(TableError, match="No image can be used"):
        write_cohort(lake, SplitConfig())


def test_reports_come_before_the_labels_that_are_made_from_them(tmp_path: Path):
    with pytest.raises(TableError, match="labels/reports_rexgradient first"):
        write_labels(Lake(tmp_path), DATASETS["rexgradient"], tmp_path)


def test_evaluation_without_a_checkpoint_says_what_to_run(tmp_path: Path):
    with pytest.raises(CheckpointError, match="cxr train"):
        current_checkpoint(Lake(tmp_path))
