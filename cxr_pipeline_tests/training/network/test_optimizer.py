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
