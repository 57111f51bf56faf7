"""The whole search on small stores: what is found, what is not, and what is said of a pair."""

from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest

from cxr_pipeline.phantom.write import PhantomRequest, write_phantoms
from cxr_pipeline.split.duplicates.config import DEFAULT_SEARCH, DuplicateConfig
from cxr_pipeline.split.duplicates.pairs import find_duplicates
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables.split import DuplicateTable
from cxr_pipeline_tests.datasets.realdata import shared_folder
from cxr_pipeline_tests.images.conftest import picture
from cxr_pipeline_tests.split.duplicates.test_pixel_match import textured
from cxr_pipeline_tests.split.stores import COPIES, cropped, resized, write_store
from cxr_pipeline_tests.split.tables import index_rows, label_rows

Picture = np.ndarray


class Sources:
    """Sources with stores in a folder, and the pairs found among them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.labels: dict[str, pl.DataFrame] = {}
        self.indexes: dict[str, pl.DataFrame] = {}

    def add(self, labels: pl.DataFrame, pictures: list[Picture], **options: object) -> None:
        name = labels["dataset"][0]
        self.labels[name] = labels
        self.indexes[name] = write_store(self.folder / name, labels, pictures, **options)

    def pairs(self, config: DuplicateConfig = DEFAULT_SEARCH) -> pl.DataFrame:
        return validate_table(find_duplicates(self.labels, self.indexes, self.folder, config), DuplicateTable)

    def found(self, config: DuplicateConfig = DEFAULT_SEARCH) -> set[tuple[str, str]]:
        return set(self.pairs(config).select("image_a", "image_b").rows())


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(tmp_path)


def patients(dataset: str, count: int) -> pl.DataFrame:
    return label_rows(dataset, [f"p{i}" for i in range(count)], [None] * count)


def test_copies_of_a_file_are_exact_within_and_across_sources(sources: Sources):
    files = ["same.png", "other.png", "same.png"]
    sources.add(patients("nih", 3), [textured(0), textured(1), textured(0)], files=files)
    sources.add(patients("openi", 1), [textured(0)], files=["same.png"])
    pairs = sources.pairs()
    assert pairs.select("image_a", "image_b", "kind", "distance").rows() == [
        ("nih/p0_000", "nih/p2_002", "exact", 0),
        ("nih/p0_000", "openi/p0_000", "exact", 0),
    ]
    assert pairs["pixel_difference"].to_list() == [0, 0]


def test_equal_pixels_of_different_files_are_exact(sources: Sources):
    sources.add(patients("nih", 2), [textured(0), textured(0)])
    assert sources.pairs().select("kind", "distance").rows() == [("exact", 0)]


@pytest.mark.parametrize("kind", COPIES)
def test_altered_copy_is_found_in_another_source_and_nothing_else(sources: Sources, kind: str):
    originals = [textured(seed) for seed in range(8)]
    sources.add(patients("nih", 8), originals)
    sources.add(patients("vindr", 4), [COPIES[kind](one) for one in originals[:4]])
    pairs = sources.pairs()
    assert [a.split("/")[1] for a in pairs["image_a"]] == [b.split("/")[1] for b in pairs["image_b"]]
    assert set(pairs["image_a"]) == {f"nih/p{i}_00{i}" for i in range(4)}
    assert pairs.select("kind", "same_patient").unique().rows() == [("near", False)]


def test_sketches_find_the_crop_that_hashes_miss(sources: Sources):
    originals = [picture(seed, height=256, width=256) for seed in range(12)]
    sources.add(patients("nih", 12), originals)
    sources.add(patients("vindr", 12), [cropped(one, 0.03) for one in originals])
    by_hash, by_both = sources.found(DuplicateConfig(sketch_distance=0)), sources.found()
    assert by_hash < by_both
    assert len(by_both) >= 11


def test_exposures_of_one_patient_are_compared_by_hash_alone(sources: Sources):
    copies = [cropped(picture(seed, height=256, width=256), 0.03) for seed in range(12)]
    originals = [picture(seed, height=256, width=256) for seed in range(12)]
    names = [f"p{i}" for i in range(12)]
    sources.add(label_rows("nih", names * 2, [None] * 24), originals + copies)
    assert sources.found() == sources.found(DuplicateConfig(sketch_distance=0))


def test_pair_says_whose_it_is_and_where_labels_and_parts_disagree(sources: Sources):
    labels = label_rows("nih", ["p0", "p1", "p1"], ["train_val", "test", "test"]).with_columns(
        Hernia=pl.Series([1, 0, 0], dtype=pl.Int8),
        Mass=pl.Series([1, None, 0], dtype=pl.Int8),
        Edema=pl.Series([-1, 0, 1], dtype=pl.Int8),
        Fibrosis=pl.Series([0, 1, 1], dtype=pl.Int8),
    )
    sources.add(labels, [textured(0), resized(textured(0), 224), textured(0)])
    rows = sources.pairs().select("image_a", "image_b", "same_patient", "labels_disagree", "crosses").rows()
    parts = "nih:test|nih:train_val"
    assert rows == [
        ("nih/p0_000", "nih/p1_001", False, 2, parts),
        ("nih/p0_000", "nih/p1_002", False, 3, parts),
        ("nih/p1_001", "nih/p1_002", True, 1, None),
    ]


def test_quarantined_and_unstored_images_take_no_part(sources: Sources):
    labels = patients("nih", 3)
    sources.add(labels.head(2), [textured(0), textured(0)])
    bad = index_rows(labels.tail(1), quarantined=[labels["image_id"][2]])
    sources.indexes["nih"] = pl.concat([sources.indexes["nih"], bad.with_columns(pl.col("transform"))])
    sources.labels["nih"] = labels
    sources.labels["padchest"], sources.indexes["padchest"] = labels.clear(), bad.clear()
    assert sources.found() == {("nih/p0_000", "nih/p1_001")}


def test_no_images_or_one_give_an_empty_table(sources: Sources):
    empty = patients("nih", 1).clear()
    sources.labels["nih"], sources.indexes["nih"] = empty, index_rows(patients("nih", 1)).clear()
    assert sources.pairs().is_empty()
    sources.add(patients("openi", 1), [textured(0)])
    assert sources.pairs().is_empty()


def test_letterbox_bars_make_no_pair_and_hide_none(sources: Sources):
    wide = [np.hstack([textured(seed), textured(seed + 50)]) for seed in range(3)]
    sources.add(patients("nih", 3), wide)
    sources.add(patients("openi", 3), [COPIES["JPEG quality 50"](one) for one in wide])
    assert sources.found() == {(f"nih/p{i}_00{i}", f"openi/p{i}_00{i}") for i in range(3)}


def test_second_search_gives_the_same_table(sources: Sources):
    sources.add(patients("nih", 6), [textured(seed % 4) for seed in range(6)])
    assert sources.pairs().equals(sources.pairs())


def test_phantoms_of_different_patients_are_not_duplicates(sources: Sources, tmp_path: Path):
    for seed, name in enumerate(("nih", "chexpert", "openi")):
        root = tmp_path / "phantoms" / name
        write_phantoms(PhantomRequest(name, patients=40, seed=seed, size=96), root, workers=1)
        paths = sorted(
            path for path in root.rglob("*") if path.suffix in (".png", ".jpg") and "lateral" not in path.name
        )
        pictures = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths]
        assert len(pictures) >= 40
        sources.add(patients(name, len(pictures)), pictures, size=96)
    assert sources.found() == set()


@pytest.mark.realdata
def test_real_radiographs_pair_with_their_copies_alone(sources: Sources):
    paths = sorted(shared_folder("nih").glob("images_*/images/*.png"))[::5]
    originals = [resized(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), 512) for path in paths]
    count = len(originals)
    sources.add(patients("nih", count), originals, size=256)
    copies = [COPIES[kind](one) for one, kind in zip(originals, list(COPIES) * count, strict=False)]
    sources.add(patients("vindr", count), copies, size=256)
    assert sources.found() == {(f"nih/p{i}_{i:03}", f"vindr/p{i}_{i:03}") for i in range(count)}


@pytest.mark.realdata
def test_the_known_pair_of_nih_is_found_and_no_two_patients_are(sources: Sources):
    paths = sorted(shared_folder("nih-224").glob("images-224/*.png"))
    labels = label_rows("nih", [path.stem for path in paths], [None] * len(paths)).with_columns(
        image_id=pl.Series([f"nih/{path.stem}" for path in paths])
    )
    sources.add(labels, [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths], size=224)
    assert labels.height > 1000
    assert sources.pairs().select("image_a", "image_b", "kind").rows() == [
        ("nih/00002658_001", "nih/00002658_002", "exact")
    ]
