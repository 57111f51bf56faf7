"""Asset `split/duplicates` through Dagster, on a lake of two small sources."""

from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.defs.duplicates import duplicates
from cxr_pipeline.defs.resources import Installation
from cxr_pipeline.pipeline.images import index_path
from cxr_pipeline.settings import Settings
from cxr_pipeline.storage.files import file_digest
from cxr_pipeline.storage.lake import Lake, write_table
from cxr_pipeline.tables.images import StoreIndex
from cxr_pipeline.tables.labels import LabelTable
from cxr_pipeline_tests.images.conftest import picture
from cxr_pipeline_tests.split.stores import write_store
from cxr_pipeline_tests.split.tables import label_rows


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """A lake where the only image of OpenI is one of NIH's four, and bears its id."""
    lake = Lake(tmp_path / "lake")
    for name in DATASETS:
        write_table(lake.table("labels", name), LabelTable.create_empty(), LabelTable)
        write_table(index_path(lake, name), StoreIndex.create_empty(), StoreIndex)
    nih = label_rows("nih", [f"0000000{i}" for i in range(4)], ["test", None, None, None])
    openi = label_rows("openi", ["1"], [None]).with_columns(image_id=pl.lit("openi/00000000_000"))
    pictures = [picture(seed, height=128, width=128) for seed in range(4)]
    for labels, some in ((nih, pictures), (openi, pictures[:1])):
        name = labels["dataset"][0]
        write_table(lake.table("labels", name), labels, LabelTable)
        write_store(lake.folder("images", name), labels, some)
    return Installation.of(Settings(home=tmp_path), image_size=128)


def materialize(installation: Installation) -> dg.ExecuteInProcessResult:
    return dg.materialize([duplicates], resources={"installation": installation})


def test_page_shows_the_pairs_and_names_no_image(installation: Installation):
    (event,) = materialize(installation).get_asset_materialization_events()
    metadata = event.materialization.metadata
    assert metadata["dagster/row_count"].value == metadata["exact"].value == 1
    assert metadata["pairs_of_two_sources"].value == 1
    assert "nih:test and openi:none" in metadata["across_published_parts"].value
    assert metadata["pictures"].value.startswith("![pairs](data:image/jpeg;base64,")
    assert "00000000_000" not in str(metadata)


def test_source_that_bears_the_ids_of_another_is_warned_of(installation: Installation):
    (check,) = materialize(installation).get_asset_check_evaluations()
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert [value.value for value in check.metadata.values()] == ["1 images"]


def test_second_run_changes_no_byte(installation: Installation):
    table = installation.lake.table("split", "duplicates")
    versions = []
    for _ in range(2):
        (event,) = materialize(installation).get_asset_materialization_events()
        versions.append((event.materialization.tags["dagster/data_version"], table.stat().st_mtime_ns))
    assert versions[0] == versions[1]
    assert versions[0][0] == file_digest(table)
