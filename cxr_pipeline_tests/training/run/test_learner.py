import numpy as np
import pytest
import torch
from torch.nn.functional import linear

from cxr_pipeline.errors import NotFiniteError, TrainingError
from cxr_pipeline.training.data.augment import augmentation
from cxr_pipeline.training.data.batches import CohortImages, Loader, cell_weights, read_cohort, targets
from cxr_pipeline.training.data.sampling import epoch_order
from cxr_pipeline.training.network.backbone import build_network
from cxr_pipeline.training.network.device import autocast, choose_device
from cxr_pipeline.training.network.loss import masked_loss
from cxr_pipeline.training.run.learner import Learner, Part
from cxr_pipeline.training.run.world import World
from cxr_pipeline_tests.training.tiny import TINY


@pytest.fixture(scope="module")
def part(inputs):
    cohort = read_cohort(inputs.cohort).select("val")
    values, mask = targets(cohort.labels, cohort.shares, TINY)
    loader = Loader(CohortImages(cohort, inputs.images), augmentation(TINY))
    yield Part(cohort, loader, values, cell_weights(cohort, mask, TINY))
    loader.close()


def learner(**changes):
    torch.manual_seed(0)
    config = TINY.model_copy(update=changes)
    return Learner(config, build_network(config), torch.device("cpu"))


def trained(part, epochs=(1,), **changes):
    """(the learner after these epochs, its losses)."""
    learning = learner(**changes)
    return learning, [step.loss for epoch in epochs for step in learning.train_epoch(part, epoch)]


def test_training_lowers_the_loss_that_prediction_reports(part):
    learning = learner()
    before, _ = learning.predict(part, 1)
    for epoch in (1, 2, 3):
        list(learning.train_epoch(part, epoch))
    after, _ = learning.predict(part, 3)
    assert after < 0.8 * before


def test_prediction_is_in_the_order_of_the_part_whatever_the_batch_size(part):
    loss, probabilities = learner(batch_size=5).predict(part, 1)
    same_loss, same = learner(batch_size=24).predict(part, 1)
    np.testing.assert_allclose(probabilities, same, rtol=1e-5)
    assert loss == pytest.approx(same_loss, rel=1e-6)
    logits = torch.logit(torch.from_numpy(probabilities))
    expected = masked_loss(logits, torch.from_numpy(part.targets), torch.from_numpy(part.weights), TINY)
    assert loss == pytest.approx(expected.item() / part.weights.sum(), rel=1e-5)


def test_the_learning_rate_rises_during_the_warm_up_and_then_stays(part):
    learning = learner(warmup_epochs=2, batch_size=8)
    list(learning.train_epoch(part, 1))
    assert learning.lr == pytest.approx(TINY.lr / 2)
    list(learning.train_epoch(part, 2))
    assert learning.lr == pytest.approx(TINY.lr)
    for group in learning.optimizer.param_groups:
        group["lr"] = 1e-9
    list(learning.train_epoch(part, 3))
    assert learning.lr == 1e-9


def test_an_epoch_leaves_out_only_what_does_not_fill_a_batch(part):
    steps = list(learner(batch_size=10).train_epoch(part, 1))
    assert [(step.number, step.of, len(step.rows)) for step in steps] == [(1, 2, 10), (2, 2, 10)]
    (only,) = learner(batch_size=64).train_epoch(part, 1)
    assert len(only.rows) == 24


def test_an_epoch_goes_on_after_the_steps_that_are_done(part):
    rows = [step.rows.tolist() for step in learner(batch_size=6).train_epoch(part, 1)]
    assert [step.rows.tolist() for step in learner(batch_size=6).train_epoch(part, 1, done=2)] == rows[2:]


COPIES = {"sampler": "class", "sampler_frequency": 0.99, "batch_size": 8, "brightness": 0.5}


def shown(part, *, rank=0, of=1, done=0):
    """(rows, pixels) that one of several processes is shown in the first epoch, batch by batch."""
    learning = learner(**COPIES)
    learning.world = World(rank, of)
    order = epoch_order(part.cohort.datasets, part.cohort.labels, learning.config, epoch=1)
    return list(learning.own_batches(part, order[: len(order) // 8 * 8], 1, done=done))


def test_copies_of_an_image_in_an_epoch_are_augmented_apart(part):
    rows, pixels = (np.concatenate(column) for column in zip(*shown(part), strict=True))
    images, counts = np.unique(rows, return_counts=True)
    assert counts.max() > 1
    for image, count in zip(images, counts, strict=True):
        assert len({picture.tobytes() for picture in pixels[rows == image]}) == count


def test_an_epoch_looks_the_same_after_a_resume_and_for_several_processes(part):
    whole = shown(part)
    resumed = shown(part, done=2)
    assert len(resumed) == len(whole) - 2
    halves = [shown(part, rank=rank, of=2, done=1) for rank in (0, 1)]
    for (rows, pixels), (same_rows, same) in zip(whole[2:], resumed, strict=True):
        np.testing.assert_array_equal(rows, same_rows)
        np.testing.assert_array_equal(pixels, same)
    for number, (rows, pixels) in enumerate(whole[1:]):
        for rank in (0, 1):
            np.testing.assert_array_equal(halves[rank][number][0], rows[rank::2])
            np.testing.assert_array_equal(halves[rank][number][1], pixels[rank::2])


def test_the_parts_of_a_batch_give_the_gradient_of_the_whole(part):
    whole, losses = trained(part, batch_size=12)
    parts, same = trained(part, batch_size=12, accumulate=3)
    assert same == pytest.approx(losses, rel=1e-5)
    for one, other in zip(whole.network.parameters(), parts.network.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # torch's compiler looks at it
@pytest.mark.long
def test_a_compiled_network_learns_as_written(part):
    assert trained(part, compile="on", batch_size=12)[1] == pytest.approx(trained(part, batch_size=12)[1], rel=1e-4)


def test_gradient_checkpointing_changes_nothing_but_memory(part):
    assert trained(part, gradient_checkpointing=True)[1] == pytest.approx(trained(part)[1], rel=1e-5)


def test_clipping_bounds_the_step_of_the_weights(part):
    learning = learner(clip_norm=1e-3)
    list(learning.train_epoch(part, 1))
    norm = torch.stack([p.grad.norm() for p in learning.network.parameters()]).norm()
    assert norm <= 1e-3 * 1.001
    free = learner()
    list(free.train_epoch(part, 1))
    assert torch.stack([p.grad.norm() for p in free.network.parameters()]).norm() > 1e-2


def test_the_running_mean_is_what_is_judged_and_follows_the_weights(part):
    learning, _ = trained(part, epochs=(1, 2, 3), ema_decay=0.9, batch_size=6)
    assert learning.judged is not learning.network
    decay = [0.0, *(min(0.9, 1 - (1 + step) ** (-2 / 3)) for step in range(1, 12))]
    expected = None
    replay = learner(batch_size=6)
    for epoch in (1, 2, 3):
        for step in replay.train_epoch(part, epoch):
            weights = next(replay.network.parameters()).detach().double()
            kept = decay[(epoch - 1) * step.of + step.number - 1]
            expected = weights.clone() if expected is None else kept * expected + (1 - kept) * weights
    torch.testing.assert_close(next(learning.judged.parameters()).double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("step", ["train_epoch", "predict"])
def test_a_loss_that_is_not_a_number_keeps_its_images_and_tells_no_id(part, step):
    learning = learner(batch_size=24)
    with torch.no_grad():
        next(learning.network.parameters()).fill_(float("nan"))
    with pytest.raises(NotFiniteError, match="not a number in epoch 4") as caught:
        list(getattr(learning, step)(part, 4))
    assert sorted(caught.value.image_ids) == sorted(part.cohort.image_ids)
    assert not any(image_id in str(caught.value) for image_id in part.cohort.image_ids)


def test_bf16_agrees_with_fp32_on_the_cpu(part):
    _, exact = learner().predict(part, 1)
    _, rough = learner(precision="bf16").predict(part, 1)
    assert not np.array_equal(exact, rough)
    np.testing.assert_allclose(exact, rough, atol=0.02)


def test_training_and_prediction_in_bf16_score_with_a_float32_head(part):
    learning = learner(precision="bf16", backbone="resnet10t", batch_size=24)
    head, heard = learning.network.get_classifier(), []
    head.register_forward_pre_hook(lambda _, given: heard.append(given[0].detach().float().numpy()))
    _, probabilities = learning.predict(part, 1)
    expected = torch.sigmoid(linear(torch.from_numpy(heard[0]), head.weight, head.bias)).detach().numpy()
    np.testing.assert_allclose(probabilities, expected, rtol=1e-6)
    assert [len(np.unique(column)) for column in probabilities.T] == [24] * 14
    weight, bias = head.weight.detach().clone(), head.bias.detach().clone()
    (step,) = learning.train_epoch(part, 1)
    targets, weights = (torch.from_numpy(cells[step.rows]) for cells in (part.targets, part.weights))
    loss = masked_loss(linear(torch.from_numpy(heard[1]), weight, bias), targets, weights, TINY) / weights.sum()
    assert step.loss == pytest.approx(loss.item(), rel=1e-6)


def test_fp16_learns_what_fp32_learns_through_a_scaler(part):
    learning, losses = trained(part, precision="fp16", batch_size=12)
    assert learning.scaler.is_enabled()
    assert losses == pytest.approx(trained(part, batch_size=12)[1], rel=0.02)
    assert not learner().scaler.is_enabled()


def test_each_image_teaches_the_head_of_its_source_alone(part):
    heads = np.arange(len(part.cohort)) % 2
    learning = Learner(TINY, build_network(TINY, n_labels=28), torch.device("cpu"))
    own = heads == 1
    weights = part.weights * own[:, None]
    list(learning.train_epoch(Part(part.cohort, part.loader, part.targets, weights, heads), 1))
    gradient = learning.network.get_classifier().weight.grad
    assert (gradient[:14] == 0).all()
    assert (gradient[14:] != 0).any()


def test_precision_and_device_are_automatic_on_a_machine_without_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    with autocast(torch.device("cpu"), "auto"):
        assert not torch.is_autocast_enabled("cpu")
    with pytest.raises(TrainingError, match="torch finds no GPU"):
        choose_device("cuda")
