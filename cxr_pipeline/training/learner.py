"""One network on one device: a training epoch, and predictions. When to stop and what to keep is in `loop`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from cxr_pipeline.errors import TrainingError
from cxr_pipeline.training.augment import augmentation
from cxr_pipeline.training.config import TrainConfig
from cxr_pipeline.training.data import Cohort, CohortImages, batches, shuffled
from cxr_pipeline.training.device import autocast
from cxr_pipeline.training.loss import masked_focal_loss
from cxr_pipeline.training.network import grey_statistics, prepare

# On two CPU cores 0-40 % faster for resnet10t, efficientnet_lite0 and densenet121, no slower for ConvNeXts (measured,
# torch 2.14); a GPU's tensor cores want it.
LAYOUT = torch.channels_last


@dataclass(frozen=True)
class Part:
    """The images of one split, with what is to be learnt from them: float32 targets and bool mask, both [n, 14]."""

    cohort: Cohort
    images: CohortImages
    targets: np.ndarray
    mask: np.ndarray


class Learner:
    """A network and its optimizer on a device, fed from parts of the cohort."""

    def __init__(self, config: TrainConfig, network: nn.Module, device: torch.device) -> None:
        self.config = config
        self.device = device
        self.mean, self.std = grey_statistics(network)
        self.network = network.to(device).to(memory_format=LAYOUT)
        self.optimizer = build_optimizer(config, network)
        self._augment = augmentation(config)

    def train_epoch(self, part: Part, epoch: int) -> float:
        """One pass in the order of `epoch` (from 1); the mean loss of its batches.

        Raises TrainingError, naming the images, when a loss is not a number.
        """
        self.network.train()
        order = _whole_batches(shuffled(len(part.images), seed=self.config.seed, epoch=epoch), self.config.batch_size)
        per_epoch = -(-len(order) // self.config.batch_size)
        losses = []
        for step, (rows, pixels) in enumerate(self._batches(part, order, epoch=epoch), start=1):
            self._warm_up(epoch - 1 + step / per_epoch)
            loss = self._loss(part, rows, self._logits(pixels))
            _check_finite(loss, part, rows, epoch)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return float(np.mean(losses))

    @torch.inference_mode()
    def predict(self, part: Part, epoch: int) -> tuple[float, np.ndarray]:
        """(mean loss over the part's known cells, float32 [n, 14] probabilities in the part's order)."""
        self.network.eval()
        logits = []
        for rows, pixels in self._batches(part, np.arange(len(part.images))):
            logits.append(self._logits(pixels).float())
            _check_finite(logits[-1], part, rows, epoch)
        every = torch.cat(logits)
        loss = self._loss(part, np.arange(len(part.images)), every)
        return loss.item(), torch.sigmoid(every).cpu().numpy()

    @property
    def lr(self) -> float:
        return self.optimizer.param_groups[0]["lr"]

    def _batches(
        self, part: Part, order: np.ndarray, *, epoch: int | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Augmented for a training `epoch`, as stored without one."""
        return batches(
            part.images,
            order,
            batch_size=self.config.batch_size,
            threads=self.config.loader_threads,
            augment=None if epoch is None else self._augment,
            seed=(self.config.seed, epoch or 0),
        )

    def _logits(self, pixels: np.ndarray) -> torch.Tensor:
        on_device = torch.from_numpy(pixels).to(self.device)
        batch = prepare(on_device, image_size=self.config.image_size, mean=self.mean, std=self.std)
        with autocast(self.device, self.config.precision):
            return self.network(batch.contiguous(memory_format=LAYOUT))

    def _loss(self, part: Part, rows: np.ndarray, logits: torch.Tensor) -> torch.Tensor:
        targets, mask = (torch.from_numpy(cells[rows]).to(self.device) for cells in (part.targets, part.mask))
        return masked_focal_loss(logits, targets, mask, gamma=self.config.focal_gamma, alpha=self.config.focal_alpha)

    def _warm_up(self, epochs_done: float) -> None:
        """A linear rise; afterwards the learning rate is the scheduler's."""
        if epochs_done <= self.config.warmup_epochs:
            for group in self.optimizer.param_groups:
                group["lr"] = self.config.lr * epochs_done / self.config.warmup_epochs


def build_optimizer(config: TrainConfig, network: nn.Module) -> torch.optim.AdamW:
    """AdamW, Loshchilov and Hutter 2019; vectors (norms, biases, layer scales) do not decay."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, fused=parameters[0].is_cuda)


def _whole_batches(order: np.ndarray, batch_size: int) -> np.ndarray:
    """Drops the last, smaller batch of the shuffled order: batch norm fails on a single image."""
    return order[: len(order) // batch_size * batch_size] if len(order) > batch_size else order


def _check_finite(values: torch.Tensor, part: Part, rows: np.ndarray, epoch: int) -> None:
    if not torch.isfinite(values).all():
        raise TrainingError(
            f"The network's output is not a number in epoch {epoch}, on the images "
            f"{', '.join(part.cohort.image_ids[rows])}. Lower lr, or set precision to `fp32`."
        )
