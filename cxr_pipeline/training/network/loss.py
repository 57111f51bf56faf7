"""Losses of cells that are partly unknown. Which cells are known, and what they weigh, is decided in `data.targets`."""

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from cxr_pipeline.training.config import TrainConfig


def masked_loss(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, config: TrainConfig
) -> torch.Tensor:
    """Sum of `weights` x loss over the known cells, float32 scalar; 0, with a gradient of 0, when none is known.

    `logits` and `targets` are float [n, 14], `weights` float [n, 14] with 0 for unknown cells, whose logits and
    targets have no influence. Divide by the weights' sum for the mean: it is left to the caller, who may hold only a
    part of the batch.
    """
    is_known = weights > 0
    known = torch.where(is_known, logits.float(), 0.0)  # before the loss: NaN * 0 would be NaN
    return torch.where(is_known, cell_losses(known, targets, config) * weights, 0.0).sum()


def cell_losses(logits: torch.Tensor, targets: torch.Tensor, config: TrainConfig) -> torch.Tensor:
    """The loss of each cell [n, 14] that `config.loss` names."""
    if config.loss == "bce":
        return binary_cross_entropy_with_logits(logits, targets, reduction="none")
    if config.loss == "asl":
        return _asymmetric(logits, targets, config)
    return _focal(logits, targets, gamma=config.focal_gamma, alpha=config.focal_alpha)


def _focal(logits: torch.Tensor, targets: torch.Tensor, *, gamma: float, alpha: float | None) -> torch.Tensor:
    """FL = -alpha_t (1 - p_t)^gamma log(p_t), Lin et al. 2017, https://arxiv.org/abs/1708.02002.

    gamma 0 without alpha is binary cross entropy. With soft targets in 0..1 the weights are their expectation, as in
    torchvision. Two sigmoids rather than 1 - p, which is 0 for a sure cell; then gamma < 1 has no slope.
    """
    cells = binary_cross_entropy_with_logits(logits, targets, reduction="none")
    missed = targets * torch.sigmoid(-logits) + (1 - targets) * torch.sigmoid(logits)
    cells = cells * missed.clamp_min(torch.finfo(missed.dtype).tiny) ** gamma
    return cells if alpha is None else cells * (alpha * targets + (1 - alpha) * (1 - targets))


def _asymmetric(logits: torch.Tensor, targets: torch.Tensor, config: TrainConfig) -> torch.Tensor:
    """ASL, Ridnik et al. 2021, https://arxiv.org/abs/2009.14119, equations 4 to 7.

    Negatives whose probability lies below the margin cost nothing; the rest lose the margin from it. As in `_focal` a
    power below 1 has no slope at 0, which 1 - p and the shifted probability both reach: neither gets there here. And 1
    less the shifted probability is taken from sigmoid(-z): a sure and wrong negative would have no slope else.
    """
    tiny = torch.finfo(logits.dtype).tiny
    missed = torch.sigmoid(-logits).clamp_min(tiny)
    shifted = (torch.sigmoid(logits) - config.asl_margin).clamp_min(tiny)
    positives = -(missed**config.asl_gamma_positive) * logsigmoid(logits)
    negatives = -(shifted**config.asl_gamma_negative) * torch.log((missed + config.asl_margin).clamp_max(1.0))
    return targets * positives + (1 - targets) * negatives
