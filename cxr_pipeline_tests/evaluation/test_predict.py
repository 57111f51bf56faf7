import numpy as np
import polars as pl
import pytest
import torch

from cxr_pipeline.evaluation.predict import network_input, predict, prediction_table
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables.evaluation import PredictionTable
from cxr_pipeline.training.checkpoint.files import load_checkpoint
from cxr_pipeline_tests.evaluation.cases import scored_images


@pytest.fixture(scope="module")
def network(world):
    return load_checkpoint(world.inputs.checkpoint)[0]


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (10, 40, 40), dtype=np.uint8)


def test_probabilities_are_the_sigmoid_of_the_logits(world, network, pixels):
    with torch.no_grad():
        expected = torch.sigmoid(network(network_input(pixels, network, world.checkpoint))).numpy()
    found = predict(network, [pixels], world.checkpoint)
    assert (found.shape, found.dtype) == ((10, 14), np.float32)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.ptp(found, axis=0).max() > 0


def test_scores_in_bf16_are_those_of_a_float32_head(world, pixels):
    network = load_checkpoint(world.inputs.checkpoint)[0]
    head, heard = network.get_classifier(), []
    head.register_forward_pre_hook(lambda _, given: heard.append(given[0].float()))
    half = world.checkpoint.model_copy(
        update={"train": world.checkpoint.train.model_copy(update={"precision": "bf16"})}
    )
    found = predict(network, [pixels], half)
    with torch.inference_mode():
        np.testing.assert_allclose(found, torch.sigmoid(head(heard[0])).numpy(), atol=1e-7)


def test_the_checkpoints_temperature_divides_the_logits(world, network, pixels):
    warm = world.checkpoint.model_copy(update={"temperature": 2.5})
    with torch.no_grad():
        expected = torch.sigmoid(network(network_input(pixels, network, warm)) / 2.5).numpy()
    np.testing.assert_allclose(predict(network, [pixels], warm), expected, atol=1e-6)


def test_batches_change_nothing(world, network, pixels):
    together = predict(network, [pixels], world.checkpoint)
    apart = predict(network, [pixels[:3], pixels[3:4], pixels[4:]], world.checkpoint)
    np.testing.assert_allclose(apart, together, atol=1e-6)


def test_input_is_normalised_as_the_checkpoint_says(world, network):
    grey = np.full((1, 32, 32), 255, dtype=np.uint8)
    batch = network_input(grey, network, world.checkpoint)
    assert batch.shape == (1, 1, 32, 32)
    assert batch.unique().tolist() == [(1 - 0.5) / 0.25]


def test_no_batch_gives_no_row(world, network):
    assert predict(network, [], world.checkpoint).shape == (0, 14)


def test_the_table_is_the_declared_one():
    scored = scored_images(5, splits=["val", "test", "test", "val", "test"])
    table = pl.from_arrow(prediction_table(scored.cohort, scored.probabilities))
    assert table.columns == list(PredictionTable.columns())
    valid = validate_table(table, PredictionTable)
    assert valid["split"].to_list() == scored.cohort.splits.tolist()
    np.testing.assert_array_equal(valid.select(table.columns[2:]).to_numpy(), scored.probabilities)
