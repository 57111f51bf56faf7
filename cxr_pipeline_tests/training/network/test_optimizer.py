import json
import math

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau

from cxr_pipeline.training.network.backbone import build_network
from cxr_pipeline.training.network.optimizer import LearningRate, build_optimizer
from cxr_pipeline_tests.training.tiny import TINY


def test_vectors_do_not_decay():
    network = build_network(TINY)
    groups = {group["weight_decay"]: group["params"] for group in build_optimizer(TINY, network).param_groups}
    assert set(groups) == {0.0, TINY.weight_decay}
    assert all(p.ndim > 1 for p in groups[TINY.weight_decay])
    assert all(p.ndim <= 1 for p in groups[0.0])
    assert sum(map(len, groups.values())) == len(list(network.parameters()))


def test_layers_learn_the_slower_the_nearer_to_the_input():
    network = build_network(TINY)
    config = TINY.model_copy(update={"layer_decay": 0.5})
    rates = {id(p): group["lr"] for group in build_optimizer(config, network).param_groups for p in group["params"]}
    named = {name: rates[id(p)] for name, p in network.named_parameters()}
    assert named["head.fc.weight"] == pytest.approx(TINY.lr)
    assert named["stem.0.weight"] == min(rates.values()) < named["stages.1.blocks.0.conv_dw.weight"] < TINY.lr
    steps = sorted({round(math.log(TINY.lr / rate, 2), 6) for rate in rates.values()})
    assert steps == list(range(len(steps)))


def schedule(**changes):
    config = TINY.model_copy(update=changes)
    optimizer = build_optimizer(config, build_network(config))
    return LearningRate(config, optimizer), optimizer


def test_the_warm_up_is_a_straight_line_from_zero():
    rate, optimizer = schedule(warmup_epochs=2)
    for done in (0.25, 1.0, 2.0):
        rate.before_step(done)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(TINY.lr * done / 2)


def rates_of(rate, optimizer, *, steps, epochs, first=1):
    """The rate of the first group at each step of the epochs `first`..`epochs`, whose scores never rise."""
    found = []
    for epoch in range(first, epochs + 1):
        for step in range(1, steps + 1):
            rate.before_step(epoch - 1 + step / steps)
            found.append(optimizer.param_groups[0]["lr"] / TINY.lr)
        rate.after_epoch(0.5, epoch)
    return found


@pytest.mark.parametrize(
    ("warmup", "steps", "expected"),
    [
        (0.5, 3, [2 / 3, 1, 1]),
        (0.5, 1, [1]),
        (1.5, 2, [1 / 3, 2 / 3, 1, 1]),
        (0.7, 3, [1 / 2.1, 2 / 2.1, 1]),
        (0, 2, [1]),
    ],
)
def test_the_peak_is_reached_where_the_warm_up_ends_between_two_steps(warmup, steps, expected):
    rate, optimizer = schedule(warmup_epochs=warmup, plateau_patience=5)
    found = rates_of(rate, optimizer, steps=steps, epochs=3)
    assert found == pytest.approx(expected + [1] * (3 * steps - len(expected)))


def test_the_peak_is_set_once_and_a_resume_neither_misses_nor_repeats_it():
    changes = {"warmup_epochs": 0.5, "plateau_patience": 0, "plateau_factor": 0.5}
    whole = rates_of(*schedule(**changes), steps=3, epochs=5)
    assert whole == pytest.approx([2 / 3, 1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125, 0.125, 0.125])
    for stopped in range(1, 5):
        rate, optimizer = schedule(**changes)
        before = rates_of(rate, optimizer, steps=3, epochs=stopped)
        again, fresh = schedule(**changes)
        again.load_state_dict(json.loads(json.dumps(rate.state_dict())))
        for group, old in zip(fresh.param_groups, optimizer.param_groups, strict=True):
            group["lr"] = old["lr"]
        assert [*before, *rates_of(again, fresh, steps=3, epochs=5, first=stopped + 1)] == pytest.approx(whole)


def test_a_plateau_lowers_all_groups_in_proportion_down_to_their_share_of_the_lowest():
    rate, optimizer = schedule(
        layer_decay=0.1, lr=1e-3, min_lr=1e-5, warmup_epochs=0, plateau_patience=0, plateau_factor=0.5
    )
    peaks = [group["peak_lr"] for group in optimizer.param_groups]
    assert min(peaks) < 1e-5
    for expected in (1, *(0.5**fall for fall in range(1, 7)), 0.01, 0.01):
        rate.after_epoch(0.5, 1)
        parts = [group["lr"] / peak for group, peak in zip(optimizer.param_groups, peaks, strict=True)]
        assert parts == pytest.approx([expected] * len(peaks))


def test_the_cosine_is_that_of_torch_between_warm_up_and_the_end():
    rate, optimizer = schedule(schedule="cosine", warmup_epochs=1, epochs=5, min_lr=1e-5)
    theirs = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=TINY.lr)
    reference = CosineAnnealingLR(theirs, T_max=4, eta_min=1e-5)
    for done in (2, 3, 4, 5):
        theirs.step()
        reference.step()
        rate.before_step(done)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-6)


def test_the_plateau_is_that_of_torch_and_goes_on_from_its_numbers():
    scores = [0.5, 0.6, 0.6, 0.6, 0.6, 0.7, 0.7, 0.7, 0.7]
    rate, optimizer = schedule(plateau_patience=1, plateau_factor=0.1)
    theirs = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=TINY.lr)
    reference = ReduceLROnPlateau(theirs, mode="max", factor=0.1, patience=1, threshold_mode="abs", min_lr=TINY.min_lr)
    for number, score in enumerate(scores, start=1):
        if number == 4:
            again, fresh = schedule(plateau_patience=1, plateau_factor=0.1)
            again.load_state_dict(rate.state_dict())
            for group, old in zip(fresh.param_groups, optimizer.param_groups, strict=True):
                group["lr"] = old["lr"]
            rate, optimizer = again, fresh
        rate.after_epoch(score, number)
        reference.step(score)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(theirs.param_groups[0]["lr"])
