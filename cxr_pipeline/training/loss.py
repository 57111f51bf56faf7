"""The loss of cells that are partly unknown. Which cells are known is decided in `data.targets`."""

import torch
from torch.nn.functional import binary_cross_entropy_with_logits


def masked_focal_loss(
    logits: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor, *, gamma: float, alpha: float | None = None
) -> torch.Tensor:
    """Mean focal loss over the known cells, float32 scalar; 0, with a gradient of 0, when no cell is known.

    FL = -alpha_t (1 - p_t)^gamma log(p_t), Lin et al. 2017, https://arxiv.org/abs/1708.02002. `logits` and `targets`
    are float [n, 14], `mask` bool [n, 14]. gamma 0 without alpha is binary cross entropy. With soft targets in 0..1
    the weights are their expectation, as in torchvision. What stands in an unknown cell has no influence.
    """
    known = torch.where(mask, logits.float(), 0.0)  # before the loss: NaN * 0 would be NaN
    cross_entropy = binary_cross_entropy_with_logits(known, targets, reduction="none")
    cells = cross_entropy * _focus(known, targets, gamma)
    if alpha is not None:
        cells = cells * (alpha * targets + (1 - alpha) * (1 - targets))
    return torch.where(mask, cells, 0.0).sum() / mask.sum().clamp_min(1)


def _focus(logits: torch.Tensor, targets: torch.Tensor, gamma: float) -> torch.Tensor:
    """(1 - p_t)^gamma. Two sigmoids rather than 1 - p, which is 0 for a sure cell; then gamma < 1 has no slope."""
    missed = targets * torch.sigmoid(-logits) + (1 - targets) * torch.sigmoid(logits)
    return missed.clamp_min(torch.finfo(missed.dtype).tiny) ** gamma
