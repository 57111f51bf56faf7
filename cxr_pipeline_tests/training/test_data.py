import threading

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from cxr_pipeline.errors import StoreError, TableError
from cxr_pipeline.pathologies import EVIDENCE, PATHOLOGIES, SPLITS
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables import CohortTable
from cxr_pipeline.training.config import TrainConfig
from cxr_pipeline.training.data import CohortImages, batches, read_cohort, shuffled, targets
from cxr_pipeline_tests.training.tiny import SIZE, write_cohort, write_store


@pytest.fixture(scope="module")
def images(inputs):
    return CohortImages(read_cohort(inputs.cohort), inputs.images)


def polars_cohort():
    """Two images, as the split stage writes them: enums, an evidence struct, nulls."""
    cells = {name: pl.Series([None, k % 3 - 1], dtype=pl.Int8) for k, name in enumerate(PATHOLOGIES)}
    said = ["unobserved", "explicit"]
    evidence = pl.DataFrame(dict.fromkeys(PATHOLOGIES, said), schema=dict.fromkeys(PATHOLOGIES, pl.Enum(EVIDENCE)))
    return pl.DataFrame(
        {
            "image_id": ["nih/b", "chexpert/a"],
            "patient_id": ["nih/2", "chexpert/1"],
            "study_id": ["nih/b", "chexpert/a"],
            "dataset": ["nih", "chexpert"],
            "view": ["PA", "AP"],
            "age_years": [50.0, None],
            "sex": ["F", None],
            "official_split": ["test", None],
            "is_phantom": [False, True],
            **cells,
            "evidence": evidence.to_struct(),
            "reader_share": [None, {name: k / 14 for k, name in enumerate(PATHOLOGIES)}],
            "split": pl.Series(["test", "train"], dtype=pl.Enum(SPLITS)),
            "group": ["nih/2", "chexpert/1"],
            "shard": ["a.arrow", "a.arrow"],
            "row": [0, 0],
        }
    )


def test_reads_what_the_split_stage_writes(tmp_path):
    validate_table(polars_cohort(), CohortTable).write_parquet(tmp_path / "cohort.parquet")
    cohort = read_cohort(tmp_path / "cohort.parquet")
    assert cohort.image_ids.tolist() == ["nih/b", "chexpert/a"]
    assert cohort.patient_ids.tolist() == ["nih/2", "chexpert/1"]
    assert cohort.datasets.tolist() == ["nih", "chexpert"]
    assert cohort.splits.tolist() == ["test", "train"]
    assert cohort.is_phantom.tolist() == [False, True]
    assert cohort.labels.dtype == np.float32
    assert np.isnan(cohort.labels[0]).all()
    assert cohort.labels[1].tolist() == [k % 3 - 1 for k in range(14)]
    assert np.isnan(cohort.shares[0]).all()
    np.testing.assert_allclose(cohort.shares[1], np.arange(14) / 14)


def test_select_keeps_the_rows_of_one_split(inputs):
    cohort = read_cohort(inputs.cohort)
    parts = [cohort.select(split) for split in SPLITS]
    assert [len(part) for part in parts] == [48, 24, 24]
    assert set(parts[1].splits) == {"val"}
    assert sorted(np.concatenate([part.image_ids for part in parts])) == sorted(cohort.image_ids)


def test_an_absent_broken_or_foreign_cohort_is_told(tmp_path, inputs):
    with pytest.raises(TableError, match="materialize the asset split/cohort"):
        read_cohort(tmp_path / "cohort.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    with pytest.raises(TableError, match="not a readable Parquet"):
        read_cohort(tmp_path / "broken.parquet")
    pq.write_table(pq.read_table(inputs.cohort).drop_columns(["split", "Mass"]), tmp_path / "foreign.parquet")
    with pytest.raises(TableError, match="lacks the columns Mass, split"):
        read_cohort(tmp_path / "foreign.parquet")


def test_pixels_come_in_the_order_asked_for_across_stores(images, inputs):
    labels = read_cohort(inputs.cohort).labels
    rows = np.array([95, 0, 1, 50, 0, 33])
    pixels = images.read(rows)
    assert pixels.shape == (6, SIZE, SIZE)
    places = pixels.reshape(6, 4, 8, 4, 8).mean(axis=(2, 4)).reshape(6, 16)[:, :14]
    np.testing.assert_array_equal(places > 150, labels[rows] == 1)


def test_stores_of_different_sizes_are_refused(tmp_path):
    write_store(tmp_path / "nih", ["nih/a", "nih/b"], np.zeros((2, 8, 8), np.uint8))
    write_store(tmp_path / "chexpert", ["chexpert/a", "chexpert/b"], np.zeros((2, 16, 16), np.uint8))
    write_cohort(tmp_path / "c.parquet", ["nih/a", "chexpert/b"], labels=[[0] * 14] * 2)
    with pytest.raises(StoreError, match="'chexpert': 16, 'nih': 8"):
        CohortImages(read_cohort(tmp_path / "c.parquet"), tmp_path)


def test_an_absent_store_is_told(tmp_path, inputs):
    with pytest.raises(StoreError, match="images/chexpert"):
        CohortImages(read_cohort(inputs.cohort), tmp_path)


def test_unknown_is_never_learnt_from_and_uncertain_as_the_config_says():
    config = TrainConfig(uncertain_as_one=["Atelectasis"], uncertain_as_zero=["Cardiomegaly"])
    labels = np.full((4, 14), [[np.nan], [-1], [0], [1]], dtype=np.float32)
    values, mask = targets(labels, np.full_like(labels, np.nan), config)
    assert values.dtype == np.float32
    assert not mask[0].any()
    assert mask[1].tolist() == [True, True] + [False] * 12
    assert values[1, :2].tolist() == [1, 0]
    assert mask[2:].all()
    assert (values[2] == 0).all()
    assert (values[3] == 1).all()
    assert np.isfinite(values).all()


def test_share_of_readers_is_learnt_instead_of_the_label_but_never_of_an_unknown_cell():
    labels = np.full((4, 14), [[np.nan], [-1], [0], [1]], dtype=np.float32)
    shares = np.full_like(labels, np.nan)
    shares[:, 0] = [1 / 3, 1 / 3, 0, 2 / 3]
    values, mask = targets(labels, shares, TrainConfig(uncertain_as_one=[], uncertain_as_zero=[]))
    np.testing.assert_allclose(values[:, 0], [0, 1 / 3, 0, 2 / 3], rtol=1e-6)
    assert mask[:, 0].tolist() == [False, True, True, True]
    assert mask[1, 1:].tolist() == [False] * 13
    assert values[3, 1:].tolist() == [1] * 13


def test_each_epoch_has_its_own_order_and_the_seed_repeats_it():
    first, second = shuffled(50, seed=1, epoch=1), shuffled(50, seed=1, epoch=2)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first.tolist() != second.tolist()
    assert first.tolist() == shuffled(50, seed=1, epoch=1).tolist()
    assert first.tolist() != shuffled(50, seed=2, epoch=1).tolist()


def test_batches_cover_the_order_and_do_not_depend_on_the_threads(images):
    def noise(pixels, seed):
        return pixels + np.random.default_rng(seed).integers(0, 9, pixels.shape).astype(np.uint8)

    order = shuffled(len(images), seed=0, epoch=1)
    one, four = (
        list(batches(images, order, batch_size=7, augment=noise, seed=(0, 1), threads=threads)) for threads in (1, 4)
    )
    assert np.concatenate([rows for rows, _ in one]).tolist() == order.tolist()
    assert [len(rows) for rows, _ in one] == [7] * 13 + [5]
    for (rows, pixels), (same_rows, same_pixels) in zip(one, four, strict=True):
        np.testing.assert_array_equal(rows, same_rows)
        np.testing.assert_array_equal(pixels, same_pixels)
    assert not np.array_equal(one[0][1], images.read(one[0][0]))


def test_batches_without_augmentation_are_the_stored_pixels(images):
    for rows, pixels in batches(images, np.arange(10), batch_size=4):
        np.testing.assert_array_equal(pixels, images.read(rows))


def test_the_next_batch_is_read_while_the_network_works(images):
    """The second batch is already augmented when the first is handed over."""
    began = [threading.Event() for _ in range(3)]
    calls = iter(began)

    def note(pixels, seed):
        next(calls).set()
        return pixels

    stream = batches(images, np.arange(12), batch_size=4, augment=note)
    next(stream)
    assert began[1].wait(timeout=10)
    stream.close()
