import numpy as np
import pytest
import torch
import torchvision
from torch.nn.functional import binary_cross_entropy_with_logits

from cxr_pipeline.training.loss import masked_focal_loss


@pytest.fixture
def cells():
    """Logits, hard targets and a mask, float64 [6, 14]."""
    torch_rng = torch.Generator().manual_seed(3)
    logits = 3 * torch.randn(6, 14, generator=torch_rng)
    targets = (torch.rand(6, 14, generator=torch_rng) < 0.4).float()
    return logits, targets, torch.rand(6, 14, generator=torch_rng) < 0.7


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
    assert masked_focal_loss(*cells, gamma=gamma, alpha=alpha).item() == pytest.approx(expected, rel=1e-5)


def test_without_focus_is_cross_entropy(cells):
    logits, targets, mask = cells
    expected = binary_cross_entropy_with_logits(logits[mask], targets[mask])
    torch.testing.assert_close(masked_focal_loss(logits, targets, mask, gamma=0.0), expected)


def test_soft_targets_weigh_as_in_torchvision(cells):
    logits, targets, _ = cells
    soft = 0.8 * targets + 0.1
    expected = torchvision.ops.sigmoid_focal_loss(logits, soft, alpha=0.3, gamma=2.0, reduction="mean")
    every = torch.ones_like(soft, dtype=torch.bool)
    torch.testing.assert_close(masked_focal_loss(logits, soft, every, gamma=2.0, alpha=0.3), expected)


def test_gradient_is_the_slope(cells):
    logits, targets, mask = cells
    logits.requires_grad_()
    masked_focal_loss(logits, targets, mask, gamma=2.0, alpha=0.3).backward()
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
    expected = masked_focal_loss(logits, targets, mask, gamma=2.0)
    disturbed = torch.where(mask, logits, unknown).requires_grad_()
    loss = masked_focal_loss(disturbed, targets, mask, gamma=2.0)
    loss.backward()
    assert loss.item() == expected.item()
    assert (disturbed.grad[~mask] == 0).all()
    assert (disturbed.grad[mask] != 0).all()


def test_nothing_known_is_zero_with_a_gradient_of_zero(cells):
    logits, targets, mask = cells
    logits.requires_grad_()
    loss = masked_focal_loss(logits, targets, torch.zeros_like(mask), gamma=2.0)
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_sure_cells_keep_a_finite_gradient(gamma):
    logits = torch.tensor([[200.0, -200.0, 200.0, -200.0]], requires_grad=True)
    targets = torch.tensor([[1.0, 0.0, 0.0, 1.0]])
    masked_focal_loss(logits, targets, targets >= 0, gamma=gamma).backward()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[0, 2] > 0 > logits.grad[0, 3]


def test_half_precision_logits_are_summed_in_float32(cells):
    logits, targets, mask = cells
    loss = masked_focal_loss(logits.bfloat16(), targets, mask, gamma=2.0)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, masked_focal_loss(logits, targets, mask, gamma=2.0), rtol=0.02, atol=0.0)
