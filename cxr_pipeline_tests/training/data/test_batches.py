import os
import threading
from contextlib import closing
from dataclasses import replace

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from cxr_pipeline.errors import StoreError, TableError, TrainingError
from cxr_pipeline.pathologies import EVIDENCE, PATHOLOGIES, SPLITS
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables.split import CohortTable
from cxr_pipeline.training.config import TrainConfig
from cxr_pipeline.training.data.augment import Augmentation
from cxr_pipeline.training.data.batches import CohortImages, Loader, cell_weights, read_cohort, targets
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
            "labelled_by": ["physician", None],
            **cells,
            "evidence": evidence.to_struct(),
            "reader_share": [None, {name: k / 14 for k, name in enumerate(PATHOLOGIES)}],
            "duplicate_group": [None, "chexpert/a"],
            "weight": [1.0, 0.5],
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
    assert len(set(cohort.studies)) == 2
    assert cohort.picture_shares.tolist() == [1.0, 0.5]
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


def test_soft_uncertain_and_smoothing_move_the_targets_alone():
    labels = np.full((3, 14), [[-1], [0], [1]], dtype=np.float32)
    config = TrainConfig(
        uncertain_as_one=[], uncertain_as_zero=[], uncertain_as_soft=["Mass"], label_smoothing=0.1, epochs=30
    )
    values, mask = targets(labels, np.full_like(labels, np.nan), config)
    mass = PATHOLOGIES.index("Mass")
    assert mask[0].tolist() == [name == "Mass" for name in PATHOLOGIES]
    assert values[:, mass].tolist() == pytest.approx([0.7 * 0.9 + 0.05, 0.05, 0.95])


def test_weights_of_class_and_source_multiply_and_unknown_cells_have_none(inputs):
    cohort = read_cohort(inputs.cohort)
    mask = np.ones((len(cohort), 14), dtype=bool)
    mask[0, 0] = False
    config = TrainConfig(class_weights={"Mass": 3}, source_weights={"nih": 0.5})
    weights = cell_weights(cohort, mask, config)
    mass, nih = PATHOLOGIES.index("Mass"), cohort.datasets == "nih"
    assert weights.dtype == np.float32
    assert weights[0, 0] == 0
    assert set(weights[nih, mass]) == {1.5}
    assert set(weights[~nih, mass]) == {3}
    assert set(weights[nih, mass + 1]) == {0.5}


@pytest.mark.parametrize(
    ("weigh", "expected"),
    [("images", [1, 1, 1, 1]), ("pictures", [1, 0.5, 0.5, 1]), ("studies", [1 / 3, 1 / 3, 1 / 3, 1])],
)
def test_what_weighs_one_in_the_loss_is_an_image_a_picture_or_a_study(inputs, weigh, expected):
    cohort = replace(
        read_cohort(inputs.cohort).take(np.arange(4)),
        studies=np.array([7, 7, 7, 8]),
        picture_shares=np.array([1, 0.5, 0.5, 1], dtype=np.float32),
    )
    weights = cell_weights(cohort, np.ones((4, 14), dtype=bool), TrainConfig(weigh=weigh))
    np.testing.assert_allclose(weights, np.repeat(np.array(expected)[:, None], 14, axis=1), rtol=1e-6)


def test_study_is_counted_by_the_images_that_are_learnt_from(inputs):
    cohort = replace(read_cohort(inputs.cohort).take(np.arange(4)), studies=np.zeros(4, dtype=np.int64))
    weights = cell_weights(cohort.take(np.arange(2)), np.ones((2, 14), dtype=bool), TrainConfig(weigh="studies"))
    assert set(weights.ravel()) == {0.5}


@pytest.mark.parametrize("processes", [False, True])
def test_batches_cover_the_order_and_depend_neither_on_workers_nor_on_their_size(images, processes):
    order = np.random.default_rng(0).permutation(len(images))
    augment = Augmentation(TrainConfig())
    with (
        closing(Loader(images, augment)) as one,
        closing(Loader(images, augment, workers=2, processes=processes)) as two,
    ):
        alone = list(one.batches(order, batch_size=7, seeds=np.arange(96)))
        together = list(two.batches(order, batch_size=10, seeds=np.arange(96)))
    assert [len(rows) for rows, _ in alone] == [7] * 13 + [5]
    for found, expected in zip(together[0], zip(*alone, strict=True), strict=True):
        np.testing.assert_array_equal(found, np.concatenate(expected)[:10])
    assert np.concatenate([rows for rows, _ in together]).tolist() == order.tolist()
    assert not np.array_equal(alone[0][1], images.read(alone[0][0]))


def test_batches_without_a_seed_are_the_stored_pixels(images):
    with closing(Loader(images, Augmentation(TrainConfig()))) as loader:
        for rows, pixels in loader.batches(np.arange(10), batch_size=4):
            np.testing.assert_array_equal(pixels, images.read(rows))


def test_the_next_batch_is_read_while_the_network_works(images):
    """The second batch is already augmented when the first is handed over."""
    began = [threading.Event() for _ in range(3)]
    calls = iter(began)

    def note(pixels, seeds):
        next(calls).set()
        return pixels

    with closing(Loader(images, note)) as loader:
        stream = loader.batches(np.arange(12), batch_size=4, seeds=np.arange(12))
        next(stream)
        assert began[1].wait(timeout=10)
        stream.close()


def test_a_loader_process_that_dies_is_told(images):
    with closing(Loader(images, _die, processes=True)) as loader, pytest.raises(TrainingError, match="loader_workers"):
        list(loader.batches(np.arange(4), batch_size=4, seeds=np.arange(4)))


def _die(pixels, seeds):
    os._exit(1)
