import numpy as np
import pytest
import torch
import torchvision
from timm.loss import AsymmetricLossMultiLabel
from torch.autograd import gradcheck
from torch.nn.functional import binary_cross_entropy_with_logits

from cxr_pipeline.training.config import TrainConfig
from cxr_pipeline.training.network.loss import cell_losses, masked_loss


@pytest.fixture
def cells():
    """Logits, hard targets and a mask, float64 [6, 14]."""
    torch_rng = torch.Generator().manual_seed(3)
    logits = 3 * torch.randn(6, 14, generator=torch_rng)
    targets = (torch.rand(6, 14, generator=torch_rng) < 0.4).float()
    return logits, targets, torch.rand(6, 14, generator=torch_rng) < 0.7


def focal(logits, targets, mask, *, gamma, alpha=None):
    """The mean over known cells."""
    config = TrainConfig(focal_gamma=gamma, focal_alpha=alpha)
    return masked_loss(logits, targets, mask.float(), config) / mask.sum().clamp_min(1)


def reference(logits, targets, mask, *, gamma, alpha):
    """Lin et al. 2017, equation 5, cell by cell in float64."""
    losses = []
    for z, y, known in zip(*(t.flatten().tolist() for t in (logits, targets, mask)), strict=True):
        if known:
            p = 1 / (1 + np.exp(-z))
            p_t, weight = (p, alpha) if y == 1 else (1 - p, None if alpha is None else 1 - alpha)
            losses.append((1.0 if weight is None else weight) * -((1 - p_t) ** gamma) * np.log(p_t))
    return float(np.mean(losses))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("alpha", [None, 0.25])
def test_equals_the_paper(cells, gamma, alpha):
    expected = reference(*cells, gamma=gamma, alpha=alpha)
    assert focal(*cells, gamma=gamma, alpha=alpha).item() == pytest.approx(expected, rel=1e-6)


def test_without_focus_is_cross_entropy(cells):
    logits, targets, mask = cells
    expected = binary_cross_entropy_with_logits(logits[mask], targets[mask])
    torch.testing.assert_close(focal(logits, targets, mask, gamma=0.0), expected)


def test_soft_targets_weigh_as_in_torchvision(cells):
    logits, targets, _ = cells
    soft = 0.8 * targets + 0.1
    expected = torchvision.ops.sigmoid_focal_loss(logits, soft, alpha=0.3, gamma=2.0, reduction="mean")
    every = torch.ones_like(soft, dtype=torch.bool)
    torch.testing.assert_close(focal(logits, soft, every, gamma=2.0, alpha=0.3), expected)


def test_gradient_is_the_slope(cells):
    logits, targets, mask = cells
    logits.requires_grad_()
    focal(logits, targets, mask, gamma=2.0, alpha=0.3).backward()
    step = 1e-5
    for cell in [(0, 0), (2, 5), (5, 13)]:
        values = logits.detach().double().numpy().copy()
        up, down = values.copy(), values.copy()
        up[cell] += step
        down[cell] -= step
        either = [reference(torch.from_numpy(z), targets, mask, gamma=2.0, alpha=0.3) for z in (up, down)]
        assert logits.grad[cell].item() == pytest.approx((either[0] - either[1]) / (2 * step), rel=1e-3, abs=1e-7)


@pytest.mark.parametrize("unknown", [100.0, float("nan"), float("inf")])
def test_unknown_cells_have_no_influence_and_no_gradient(cells, unknown):
    logits, targets, mask = cells
    expected = focal(logits, targets, mask, gamma=2.0)
    disturbed = torch.where(mask, logits, unknown).requires_grad_()
    loss = focal(disturbed, targets, mask, gamma=2.0)
    loss.backward()
    assert loss.item() == expected.item()
    assert (disturbed.grad[~mask] == 0).all()
    assert (disturbed.grad[mask] != 0).all()


def test_nothing_known_is_zero_with_a_gradient_of_zero(cells):
    logits, targets, mask = cells
    logits.requires_grad_()
    loss = focal(logits, targets, torch.zeros_like(mask), gamma=2.0)
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_sure_cells_keep_a_finite_gradient(gamma):
    logits = torch.tensor([[200.0, -200.0, 200.0, -200.0]], requires_grad=True)
    targets = torch.tensor([[1.0, 0.0, 0.0, 1.0]])
    focal(logits, targets, targets >= 0, gamma=gamma).backward()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[0, 2] > 0 > logits.grad[0, 3]


def test_half_precision_logits_are_summed_in_float32(cells):
    logits, targets, mask = cells
    loss = focal(logits.bfloat16(), targets, mask, gamma=2.0)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, focal(logits, targets, mask, gamma=2.0), rtol=0.02, atol=0.0)


def test_weights_scale_their_cells(cells):
    logits, targets, mask = cells
    config = TrainConfig(loss="bce")
    weights = mask * torch.linspace(0.5, 3, 14)
    each = binary_cross_entropy_with_logits(logits, targets, reduction="none")
    torch.testing.assert_close(masked_loss(logits, targets, weights, config), (each * weights).sum())


def asymmetric(logits, targets, mask, **fields):
    return masked_loss(logits, targets, mask.to(logits.dtype), TrainConfig(loss="asl", **fields))


@pytest.mark.parametrize(("positive", "negative", "margin"), [(1.0, 4.0, 0.05), (0.0, 2.0, 0.2), (2.0, 3.0, 0.0)])
def test_asymmetric_loss_equals_the_paper_cell_by_cell(cells, positive, negative, margin):
    logits, targets, mask = cells
    expected = 0.0
    for z, y, known in zip(*(t.flatten().tolist() for t in (logits, targets, mask)), strict=True):
        p = 1 / (1 + np.exp(-z))
        shifted = max(p - margin, 0)
        cell = (1 - p) ** positive * np.log(p) if y == 1 else shifted**negative * np.log(1 - shifted)
        expected -= cell * known
    fields = {"asl_gamma_positive": positive, "asl_gamma_negative": negative, "asl_margin": margin}
    assert asymmetric(logits, targets, mask, **fields).item() == pytest.approx(expected, rel=1e-6)


def test_asymmetric_loss_equals_timm(cells):
    logits, targets, _ = cells
    expected = AsymmetricLossMultiLabel(gamma_neg=4, gamma_pos=1, clip=0.05)(logits, targets) * len(logits)
    torch.testing.assert_close(asymmetric(logits, targets, torch.ones_like(targets)), expected, rtol=1e-6, atol=1e-6)


def test_asymmetric_loss_keeps_a_finite_gradient_on_sure_cells():
    logits = torch.tensor([[200.0, -200.0, 200.0, -200.0]], requires_grad=True)
    targets = torch.tensor([[1.0, 0.0, 0.0, 1.0]])
    asymmetric(logits, targets, torch.ones_like(targets), asl_margin=0.0).backward()
    assert torch.isfinite(logits.grad).all()


LOGITS = [-30.0, -20.0, -17.5, -8.0, -3.0, -1.0, 0.0, 1.0, 3.0, 8.0, 17.5, 20.0, 30.0]
POWERS = [0.0, 0.3, 0.5, 0.9, 1.0, 2.0]


@pytest.mark.parametrize("margin", [0.0, 0.05])
@pytest.mark.parametrize("positive", POWERS)
def test_the_gradient_of_asymmetric_loss_is_the_difference_quotient(positive, margin):
    """For targets of 1, 0 and between, at each logit up to 30 by itself: a sum would hide the small ones."""
    config = TrainConfig(loss="asl", asl_gamma_positive=positive, asl_gamma_negative=4.0, asl_margin=margin)
    for target in (1.0, 0.0, 0.3):
        logits = torch.tensor(LOGITS, dtype=torch.float64, requires_grad=True)
        targets = torch.full_like(logits, target)
        assert gradcheck(lambda z, t=targets: cell_losses(z, t, config), logits, eps=1e-6, atol=1e-8, rtol=1e-5)


@pytest.mark.parametrize("positive", POWERS)
@pytest.mark.parametrize(("target", "margin"), [(1.0, 0.05), (0.0, 0.05), (0.0, 0.0)])
def test_the_gradient_of_asymmetric_loss_in_float32_is_that_in_float64(positive, target, margin):
    config = TrainConfig(loss="asl", asl_gamma_positive=positive, asl_gamma_negative=4.0, asl_margin=margin)
    slopes = []
    for dtype in (torch.float32, torch.float64):
        logits = torch.tensor(LOGITS, dtype=dtype, requires_grad=True)
        cell_losses(logits, torch.full_like(logits, target), config).sum().backward()
        slopes.append(logits.grad.double())
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-4, atol=1e-6)
    if (target, margin) == (0.0, 0.0):
        assert slopes[0][-1] == pytest.approx(1.0)  # a sure and wrong negative is still corrected


@pytest.mark.parametrize(("positive", "negative"), [(0.5, 0.5), (0.0, 0.0), (1e-3, 1e-3)])
@pytest.mark.parametrize("logit", [-200.0, -30.0, -17.5, 0.0, 17.5, 30.0, 200.0])
def test_asymmetric_loss_with_a_power_below_one_keeps_a_finite_gradient(positive, negative, logit):
    logits = torch.full((1, 2), logit, requires_grad=True)
    fields = {"asl_gamma_positive": positive, "asl_gamma_negative": negative}
    loss = asymmetric(logits, torch.tensor([[1.0, 0.0]]), torch.ones(1, 2), **fields)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()
