"""AdamW with the groups that a fine-tuned network wants, and its learning rate over time."""

import math
from typing import Any

import torch
from timm.optim import param_groups_layer_decay, param_groups_weight_decay
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from cxr_pipeline.training.config import TrainConfig


def build_optimizer(config: TrainConfig, network: nn.Module) -> torch.optim.AdamW:
    """AdamW, Loshchilov and Hutter 2019; vectors (norms, biases, layer scales) do not decay.

    With `layer_decay` the groups of layers that timm knows of learn the slower the nearer they are to the input (Clark
    et al. 2020, arXiv 2003.10555). Each group holds its own highest learning rate as `peak_lr`.
    """
    groups: list[dict[str, Any]]
    if config.layer_decay < 1:
        groups = param_groups_layer_decay(network, config.weight_decay, layer_decay=config.layer_decay)
    else:
        groups = param_groups_weight_decay(network, config.weight_decay)
    for group in groups:
        group["peak_lr"] = group["lr"] = config.lr * group.pop("lr_scale", 1.0)
    return torch.optim.AdamW(groups, lr=config.lr, fused=next(network.parameters()).is_cuda)


class LearningRate:
    """The learning rate of each group: a linear rise, then a plateau schedule or a cosine down to `min_lr`."""

    def __init__(self, config: TrainConfig, optimizer: torch.optim.Optimizer) -> None:
        self.config = config
        self.optimizer = optimizer
        self._is_warm = False  # whether the peak was reached
        self.plateau = ReduceLROnPlateau(
            optimizer,
            mode="max",
            factor=config.plateau_factor,
            patience=config.plateau_patience,
            threshold_mode="abs",  # a score may be a negative loss, on which a relative threshold is an easing
            min_lr=[config.min_lr * group["peak_lr"] / config.lr for group in optimizer.param_groups],
            eps=0,  # else a group whose rate is small stays where it is while the others fall
        )

    def before_step(self, epochs_done: float) -> None:
        """Sets the rate of a step that ends after `epochs_done` epochs.

        A plateau's rate is set once past the warm-up, which need not end with a step, and then stays.
        """
        config = self.config
        if epochs_done <= config.warmup_epochs:
            self._set(epochs_done / config.warmup_epochs)
            self._is_warm = epochs_done == config.warmup_epochs
        elif config.schedule == "plateau":
            if not self._is_warm:
                self._set(1.0)
            self._is_warm = True
        else:
            done = (epochs_done - config.warmup_epochs) / (config.epochs - config.warmup_epochs)
            lowest = min(config.min_lr / config.lr, 1.0)
            self._set(lowest + (1 - lowest) * (1 + math.cos(math.pi * done)) / 2)

    def after_epoch(self, score: float, epochs_done: int) -> None:
        """Lowers a plateau's rate when `score`, higher being better, has not risen for long enough."""
        if self.config.schedule == "plateau" and epochs_done >= self.config.warmup_epochs:
            self.plateau.step(score)

    def state_dict(self) -> dict[str, Any]:
        """For JSON; `best` is null before the first epoch."""
        state = {name: self.plateau.state_dict()[name] for name in ("best", "num_bad_epochs", "last_epoch")}
        best = state["best"] if math.isfinite(state["best"]) else None
        return {**state, "best": best, "is_warm": self._is_warm}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._is_warm = state["is_warm"]
        known = {name: value for name, value in state.items() if name != "is_warm" and value is not None}
        self.plateau.load_state_dict(known)

    def _set(self, part: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = part * group["peak_lr"]
