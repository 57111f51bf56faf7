"""A step that reads a table which was made from others than those that are there says so, and what to run."""

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from cxr_pipeline.cli.main import app
from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.errors import OriginError, StoreError
from cxr_pipeline.images.store.shards import StoreForm
from cxr_pipeline.phantom.write import PhantomRequest, write_phantoms
from cxr_pipeline.pipeline.images import index_path, write_images
from cxr_pipeline.pipeline.labels import write_labels
from cxr_pipeline.pipeline.origins import check_cohort, check_indexes, check_sources
from cxr_pipeline.pipeline.raw import write_inventory
from cxr_pipeline.pipeline.reports import write_imported_states, write_report_evidence
from cxr_pipeline.pipeline.split import write_cohort, write_duplicates
from cxr_pipeline.split.config import SplitConfig
from cxr_pipeline.storage.files import file_digest
from cxr_pipeline.storage.lake import Lake
from cxr_pipeline.storage.origins import write_origin
from cxr_pipeline_tests.pipeline.lakes import NIH, prepare, split, write_nih
from cxr_pipeline_tests.shards import write_pixels


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    lake = Lake(folder / "lake")
    prepare(lake, write_nih(folder / "nih", patients=12))
    split(lake)
    return folder


@pytest.fixture
def home(prepared: Path, tmp_path: Path) -> Path:
    """`lake` with its cohort and `nih` with its files, to change."""
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def lake(home: Path) -> Lake:
    return Lake(home / "lake")


def relabel(home: Path) -> None:
    """NIH publishes another finding for some images, and its labels are made again."""
    table = home / "nih" / "Data_Entry_2017_v2020.csv"
    table.write_text(table.read_text().replace("No Finding", "Hernia"))
    write_labels(Lake(home / "lake"), NIH, home / "nih")


def test_lake_with_one_used_source_fits_together(lake: Lake):
    check_cohort(lake)


def test_training_on_a_cohort_older_than_its_labels_is_refused_until_it_is_split_again(home: Path, lake: Lake):
    relabel(home)
    with pytest.raises(OriginError, match=r"cohort\.parquet was made from labels/nih .*run `cxr split`"):
        check_cohort(lake)
    split(lake)
    check_cohort(lake)


def test_cxr_train_says_so(home: Path, monkeypatch: pytest.MonkeyPatch):
    relabel(home)
    monkeypatch.chdir(home)
    monkeypatch.setenv("CXR_HOME", str(home))
    with pytest.raises(OriginError, match="run `cxr split`"):
        CliRunner().invoke(app, ["train"], catch_exceptions=False)
    assert not (home / "lake" / "training").exists()


def test_store_of_another_inventory_is_refused(home: Path, lake: Lake):
    next((home / "nih").rglob("*.png")).unlink()
    write_inventory(lake, NIH, home / "nih")
    for step in (lambda: write_duplicates(lake), lambda: write_cohort(lake, SplitConfig()), lambda: check_cohort(lake)):
        with pytest.raises(OriginError, match=r"index\.parquet was made from raw/nih .*`cxr images nih`"):
            step()
    write_images(lake, NIH, home / "nih", form=StoreForm(32))
    split(lake)
    check_cohort(lake)


def test_duplicates_of_another_store_are_refused(home: Path, lake: Lake):
    write_images(lake, NIH, home / "nih", form=StoreForm(48))
    with pytest.raises(OriginError, match=r"duplicates\.parquet was made from images/nih"):
        write_cohort(lake, SplitConfig())
    with pytest.raises(OriginError, match=r"cohort\.parquet was made from images/nih"):
        check_cohort(lake)


def test_cohort_made_before_duplicates_were_searched_for_is_refused(lake: Lake):
    lake.table("split", "duplicates").unlink()
    write_cohort(lake, SplitConfig())
    check_cohort(lake)
    write_duplicates(lake)
    with pytest.raises(OriginError, match="was made from split/duplicates nothing"):
        check_cohort(lake)


def test_labels_older_than_the_reports_they_are_read_from_are_refused(lake: Lake, tmp_path: Path):
    source, root = DATASETS["rexgradient"], tmp_path / "rexgradient"
    write_phantoms(PhantomRequest("rexgradient", patients=4, seed=1, size=64), root, workers=1)
    write_inventory(lake, source, root)
    write_report_evidence(lake, source, root)
    write_imported_states(lake, source, root, None)
    write_labels(lake, source, root)
    write_images(lake, source, root, form=StoreForm(32))
    split(lake)
    write_report_evidence(lake, source, None)
    with pytest.raises(OriginError, match="was made from labels/reports_rexgradient .*`cxr labels rexgradient`"):
        check_sources(lake)


def test_cohort_of_another_lake_is_refused(lake: Lake):
    path = lake.table("split", "cohort")
    pl.read_parquet(path).head(-1).write_parquet(path)
    with pytest.raises(OriginError, match="was replaced"):
        check_cohort(lake)


def test_training_on_the_shard_of_another_store_is_refused(home: Path, lake: Lake):
    """The shard has as many images, in another order."""
    (shard,) = lake.folder("images", "nih").glob("*.arrow")
    ids = pl.read_parquet(index_path(lake, "nih")).sort("row", descending=True)["image_id"].to_list()
    write_pixels(shard, ids, np.zeros((len(ids), 32, 32), dtype=np.uint8))
    with pytest.raises(StoreError, match="holds other images than .*`cxr images nih`"):
        check_cohort(lake)
    shard.unlink()
    with pytest.raises(StoreError, match="is missing"):
        check_cohort(lake)
    write_images(lake, NIH, home / "nih", form=StoreForm(32))
    check_cohort(lake)


def test_index_of_another_store_is_refused(lake: Lake):
    index = index_path(lake, "nih")
    place = pl.read_parquet(index).select("shard", "row")
    rolled = pl.read_parquet(index).with_columns(pl.concat([place.tail(1), place.head(-1)]))
    rolled.write_parquet(index)
    for check in (check_indexes, check_sources, check_cohort):
        with pytest.raises(OriginError, match="index.*was replaced"):
            check(lake)


def test_cohort_that_comes_out_the_same_from_other_labels_keeps_its_bytes(lake: Lake):
    cohort, labels = file_digest(lake.table("split", "cohort")), lake.table("labels", "nih")
    pl.read_parquet(labels).write_parquet(labels, compression="uncompressed")
    write_origin(labels, {})
    with pytest.raises(OriginError, match="made from labels/nih"):
        check_cohort(lake)
    split(lake)
    check_cohort(lake)
    assert file_digest(lake.table("split", "cohort")) == cohort


def test_second_run_writes_nothing(home: Path, lake: Lake):
    notes = list(lake.root.rglob("*.origin.json"))
    before = {path: path.stat().st_mtime_ns for path in notes}
    prepare(lake, home / "nih")
    split(lake)
    assert {path: path.stat().st_mtime_ns for path in notes} == before
