import numpy as np
import pytest
import torch

from cxr_pipeline.errors import TrainingError
from cxr_pipeline.training.data import CohortImages, read_cohort, targets
from cxr_pipeline.training.device import autocast, choose_device
from cxr_pipeline.training.learner import Learner, Part, build_optimizer
from cxr_pipeline.training.loss import masked_focal_loss
from cxr_pipeline.training.network import build_network
from cxr_pipeline_tests.training.tiny import TINY


@pytest.fixture(scope="module")
def part(inputs):
    cohort = read_cohort(inputs.cohort).select("val")
    return Part(cohort, CohortImages(cohort, inputs.images), *targets(cohort.labels, cohort.shares, TINY))


def learner(**changes):
    torch.manual_seed(0)
    config = TINY.model_copy(update=changes)
    return Learner(config, build_network(config), torch.device("cpu"))


def test_vectors_do_not_decay():
    network = build_network(TINY)
    decaying, other = build_optimizer(TINY, network).param_groups
    assert (decaying["weight_decay"], other["weight_decay"]) == (TINY.weight_decay, 0.0)
    assert all(p.ndim > 1 for p in decaying["params"])
    assert all(p.ndim <= 1 for p in other["params"])
    assert len(decaying["params"]) + len(other["params"]) == len(list(network.parameters()))


def test_training_lowers_the_loss_that_prediction_reports(part):
    learning = learner()
    before, _ = learning.predict(part, 1)
    for epoch in (1, 2, 3):
        learning.train_epoch(part, epoch)
    after, _ = learning.predict(part, 3)
    assert after < 0.8 * before


def test_prediction_is_in_the_order_of_the_part_whatever_the_batch_size(part):
    loss, probabilities = learner(batch_size=5).predict(part, 1)
    same_loss, same = learner(batch_size=24).predict(part, 1)
    np.testing.assert_allclose(probabilities, same, rtol=1e-5)
    assert loss == pytest.approx(same_loss, rel=1e-6)
    logits = torch.logit(torch.from_numpy(probabilities))
    expected = masked_focal_loss(logits, torch.from_numpy(part.targets), torch.from_numpy(part.mask), gamma=2.0)
    assert loss == pytest.approx(expected.item(), rel=1e-5)


def test_the_learning_rate_rises_during_the_warm_up_and_then_stays(part):
    learning = learner(warmup_epochs=2, batch_size=8)
    learning.train_epoch(part, 1)
    assert learning.lr == pytest.approx(TINY.lr / 2)
    learning.train_epoch(part, 2)
    assert learning.lr == pytest.approx(TINY.lr)
    learning.optimizer.param_groups[0]["lr"] = 1e-9
    learning.train_epoch(part, 3)
    assert learning.lr == 1e-9


def test_an_epoch_leaves_out_only_what_does_not_fill_a_batch(part, monkeypatch):
    seen = []
    learning = learner(batch_size=10)
    loss = learning._loss
    monkeypatch.setattr(learning, "_loss", lambda part, rows, logits: seen.append(rows) or loss(part, rows, logits))
    learning.train_epoch(part, 1)
    assert [len(rows) for rows in seen] == [10, 10]
    seen.clear()
    learner_of_few = learner(batch_size=64)
    loss = learner_of_few._loss
    monkeypatch.setattr(
        learner_of_few, "_loss", lambda part, rows, logits: seen.append(rows) or loss(part, rows, logits)
    )
    learner_of_few.train_epoch(part, 1)
    assert [len(rows) for rows in seen] == [24]


@pytest.mark.parametrize("step", ["train_epoch", "predict"])
def test_a_loss_that_is_not_a_number_names_images_and_no_patient(part, step):
    learning = learner(batch_size=24)
    with torch.no_grad():
        next(learning.network.parameters()).fill_(float("nan"))
    with pytest.raises(TrainingError, match="not a number in epoch 4") as caught:
        getattr(learning, step)(part, 4)
    assert all(image_id in str(caught.value) for image_id in part.cohort.image_ids)
    assert not any(patient in str(caught.value) for patient in part.cohort.patient_ids)


def test_bf16_agrees_with_fp32_on_the_cpu(part):
    _, exact = learner().predict(part, 1)
    _, rough = learner(precision="bf16").predict(part, 1)
    assert not np.array_equal(exact, rough)
    np.testing.assert_allclose(exact, rough, atol=0.02)


def test_precision_and_device_are_automatic_on_a_machine_without_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    with autocast(torch.device("cpu"), "auto"):
        assert not torch.is_autocast_enabled("cpu")
    with pytest.raises(TrainingError, match="torch finds no GPU"):
        choose_device("cuda")
