from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.images.looks.files import PHANTOMS, write_looks
from cxr_pipeline.images.looks.sheet import SIDE
from cxr_pipeline.images.store.shards import ImageStore
from cxr_pipeline_tests.images.stores import USABLE, stored_source

RESTRICTED = ("rexgradient", "chexpert", "mimic", "padchest", "vindr")


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def test_store_has_two_sheets_and_histograms_and_a_second_run_changes_no_byte(tmp_path: Path):
    source, folder = stored_source(tmp_path), tmp_path / "reports"
    looks = write_looks(source, folder)
    assert [looks.sheet, looks.quarantine_sheet, looks.histograms] == [
        folder / name for name in ("nih.png", "nih-quarantine.png", "nih-histograms.svg")
    ]
    before = contents(folder)
    assert write_looks(source, folder) == looks
    assert contents(folder) == before


def test_sheet_shows_the_stored_pixels_in_the_order_of_the_index(tmp_path: Path):
    source = stored_source(tmp_path)
    looks = write_looks(source, tmp_path / "reports")
    stored = ImageStore(source.store).read_ids(source.stored["image_id"].to_list())
    assert len(stored) == USABLE
    with Image.open(looks.sheet) as sheet:
        first = sheet.crop((14, 47, 14 + SIDE, 47 + SIDE))
    expected = Image.fromarray(stored[0]).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    np.testing.assert_allclose(np.asarray(first, float), np.asarray(expected, float), atol=1)


def test_choice_is_spread_over_the_whole_index_and_is_no_longer_than_a_sheet(tmp_path: Path, monkeypatch):
    source = stored_source(tmp_path)
    monkeypatch.setattr("cxr_pipeline.images.looks.files.SHOWN", 3)
    asked: list[list[str]] = []
    read = ImageStore.read_ids
    monkeypatch.setattr(ImageStore, "read_ids", lambda store, ids: asked.append(list(ids)) or read(store, ids))
    write_looks(source, tmp_path / "reports")
    assert asked == [["nih/0.png", "nih/4.png", "nih/8.png"]]


def test_withheld_source_has_histograms_only_unless_someone_asks(tmp_path: Path):
    source, folder = stored_source(tmp_path, dataset="mimic"), tmp_path / "reports"
    asked = write_looks(source, folder, on_request=True)
    assert asked.sheet
    assert asked.quarantine_sheet
    looks = write_looks(source, folder)
    assert (looks.sheet, looks.quarantine_sheet) == (None, None)
    assert [path.name for path in folder.iterdir()] == ["mimic-histograms.svg"]


def test_phantoms_are_shown_whatever_source_they_stand_for(tmp_path: Path):
    source = stored_source(tmp_path, dataset="mimic", is_phantom=True)
    looks = write_looks(source, tmp_path / "reports")
    assert looks.display == PHANTOMS
    assert looks.sheet
    assert "Phantoms of MIMIC" in looks.histograms.read_text()


def test_sources_under_a_signed_agreement_are_not_shown_and_say_why():
    for name, dataset in DATASETS.items():
        assert dataset.thumbnails.allowed == (name not in RESTRICTED)
        assert dataset.thumbnails.reason


def test_sheet_goes_when_nothing_is_usable_any_more(tmp_path: Path):
    source, folder = stored_source(tmp_path), tmp_path / "reports"
    write_looks(source, folder)
    bad = source.index.filter(pl.col("quarantine").is_not_null())
    looks = write_looks(type(source)(source.dataset, bad, source.store, source.root, False), folder)
    assert (looks.sheet, looks.histograms) == (None, None)
    assert [path.name for path in folder.iterdir()] == ["nih-quarantine.png"]


def test_no_picture_carries_an_id_or_a_file_name(tmp_path: Path):
    write_looks(stored_source(tmp_path), tmp_path / "reports")
    for path in (tmp_path / "reports").iterdir():
        data = path.read_bytes()
        assert b"nih/" not in data
        assert b".png" not in data
        if path.suffix == ".png":
            with Image.open(path) as picture:
                assert picture.info == {}
