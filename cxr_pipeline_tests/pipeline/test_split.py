from pathlib import Path

import polars as pl
import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.errors import TableError
from cxr_pipeline.images.store.shards import StoreForm
from cxr_pipeline.pipeline.images import write_images
from cxr_pipeline.pipeline.labels import count_labels_of_all, write_boxes, write_labels
from cxr_pipeline.pipeline.raw import write_inventory
from cxr_pipeline.pipeline.reports import write_report_evidence
from cxr_pipeline.pipeline.split import write_cohort
from cxr_pipeline.split.config import SplitConfig
from cxr_pipeline.storage.lake import Lake


def test_installation_without_any_source_says_so_at_the_cohort(tmp_path: Path):
    lake = Lake(tmp_path)
    for dataset in DATASETS.values():
        write_inventory(lake, dataset, None)
        write_report_evidence(lake, dataset, None)
        write_labels(lake, dataset, None)
        write_images(lake, dataset, None, form=StoreForm(64))
    assert write_boxes(lake, dict.fromkeys(DATASETS)).is_empty()
    counts = count_labels_of_all(lake)
    assert counts.columns == ["pathology", *DATASETS]
    assert counts.select(pl.exclude("pathology").is_null().all()).row(0) == (True,) * len(DATASETS)
    with pytest.raises(TableError, match="No image can be used"):
        write_cohort(lake, SplitConfig())
