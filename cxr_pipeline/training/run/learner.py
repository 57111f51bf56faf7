"""One network on one device: the steps of an epoch, and predictions. When to stop and what to keep is in `loop`."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from timm.utils import ModelEmaV3
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from cxr_pipeline.errors import NotFiniteError, TrainingError
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.training.config import TrainConfig
from cxr_pipeline.training.data.batches import Batch
from cxr_pipeline.training.data.sampling import epoch_order, epoch_seeds
from cxr_pipeline.training.network.backbone import grey_statistics, head_say, mean_of_heads, prepare
from cxr_pipeline.training.network.device import as_written, autocast, gradient_scaler, speed_up
from cxr_pipeline.training.network.loss import masked_loss
from cxr_pipeline.training.network.optimizer import LearningRate, build_optimizer
from cxr_pipeline.training.run.parts import Part
from cxr_pipeline.training.run.world import World

# On two CPU cores 0-40 % faster for resnet10t, efficientnet_lite0 and densenet121, no slower for ConvNeXts (measured,
# torch 2.14); a GPU's tensor cores want it.
LAYOUT = torch.channels_last


@dataclass(frozen=True)
class Step:
    """One optimizer step that was begun; on a GPU it may not have ended."""

    epoch: int  # from 1
    number: int  # within the epoch, from 1
    of: int
    rows: np.ndarray  # of this process's images
    waited: float  # seconds for pixels
    _loss: torch.Tensor  # scalar on the host, which the device may not have filled yet
    _filled: torch.cuda.Event | None

    @property
    def loss(self) -> float:
        """The batch's mean loss over its known cells; waits until the step has ended."""
        if self._filled:
            self._filled.synchronize()
        return self._loss.item()


class Learner:
    """A network and its optimizer on a device, fed from parts of the cohort.

    `knows` [heads, 14] is that of the training part, where the network has several heads.
    """

    def __init__(
        self,
        config: TrainConfig,
        network: nn.Module,
        device: torch.device,
        world: World | None = None,
        knows: np.ndarray | None = None,
    ) -> None:
        self.config = config
        self.device = device
        self.world = world or World()
        self.knows = np.ones((1, len(PATHOLOGIES)), dtype=bool) if knows is None else knows
        self._say = head_say(self.knows).to(device)
        self.mean, self.std = grey_statistics(network)
        self.network = network.to(device).to(memory_format=LAYOUT)
        self.optimizer = build_optimizer(config, network)
        self.learning_rate = LearningRate(config, self.optimizer)
        self.scaler = gradient_scaler(device, config.precision)
        self.steps_done = 0
        # Before anything is compiled or wrapped: it is a copy of the network.
        self.ema = (
            ModelEmaV3(network, config.ema_decay, use_warmup=True, exclude_buffers=True) if config.ema_decay else None
        )
        if config.gradient_checkpointing:
            _checkpoint_gradients(network)
        speed_up(network, device, compiled=config.compile)
        self._trained = DistributedDataParallel(network) if self.world.size > 1 else network

    @property
    def judged(self) -> nn.Module:
        """The network that predicts and is kept: the running mean of the weights where there is one."""
        return self.ema.module if self.ema else self.network

    @property
    def lr(self) -> float:
        """The highest of the groups."""
        return max(group["lr"] for group in self.optimizer.param_groups)

    def train_epoch(self, part: Part, epoch: int, *, done: int = 0) -> Iterator[Step]:
        """The steps of one pass in the order of `epoch` (from 1), beginning after the first `done`.

        Raises NotFiniteError when a loss is not a number, TrainingError when the device's memory does not suffice.
        """
        size = self.config.batch_size
        order = _whole_batches(epoch_order(part.cohort.datasets, part.cohort.labels, self.config, epoch=epoch), size)
        starts = range(0, len(order), size)
        batches = self.own_batches(part, order, epoch, done=done)
        before: Step | None = None
        self._trained.train()
        for number, start in enumerate(islice(starts, done, None), start=done + 1):
            began = time.perf_counter()
            rows, pixels = next(batches)
            waited = time.perf_counter() - began
            self.learning_rate.before_step(epoch - 1 + number / len(starts))
            loss = self._step(part, rows, pixels, total=float(part.weights[order[start : start + size]].sum()))
            step = Step(epoch, number, len(starts), rows, waited, *_to_host(loss))
            # One step late: to look at this step's loss now would keep the GPU waiting for the next.
            check_finite(before, part)
            yield step
            before = step
        check_finite(before, part)

    @torch.inference_mode()
    def predict(self, part: Part, epoch: int) -> tuple[float, np.ndarray]:
        """(mean loss over the part's known cells, float32 [n, 14] probabilities in the part's order)."""
        self.judged.eval()
        order = np.arange(len(part.cohort))[self.world.rank :: self.world.size]
        logits = []
        with as_written():
            for rows, pixels in part.loader.batches(order, batch_size=self.config.batch_size):
                logits.append(mean_of_heads(self._logits(self.judged, pixels).float(), self._say))
                _check_finite(logits[-1], part, rows, epoch)
        every = self.world.gather_rows(order, torch.cat(logits), n=len(part.cohort))
        loss = self._loss(part, np.arange(len(part.cohort)), every) / float(part.weights.sum())
        return loss.item(), torch.sigmoid(every).cpu().numpy()

    def own_batches(self, part: Part, order: np.ndarray, epoch: int, *, done: int) -> Iterator[Batch]:
        """This process's share of each batch of `order`, after the first `done`; the places give the seeds."""
        size = min(self.config.batch_size, len(order))
        places = self.world.own(np.arange(done * size, len(order)), size)
        seeds = epoch_seeds(len(order), self.config, epoch=epoch)[places]
        return part.loader.batches(order[places], batch_size=_own_size(size, self.world), seeds=seeds)

    def _step(self, part: Part, rows: np.ndarray, pixels: np.ndarray, *, total: float) -> torch.Tensor:
        """One optimizer step on this process's `rows` of a batch whose weights sum up to `total`."""
        self.optimizer.zero_grad(set_to_none=True)
        losses = []
        try:
            for one in np.array_split(np.arange(len(rows)), self.config.accumulate):
                logits = _own_head(self._logits(self._trained, pixels[one]), part, rows[one])
                loss = self._loss(part, rows[one], logits)
                # The processes' gradients are averaged, where the batch's mean needs their sum.
                self.scaler.scale(loss * (self.world.size / max(total, 1e-12))).backward()
                losses.append(loss.detach())
        except torch.OutOfMemoryError as error:
            raise TrainingError(
                f"The GPU's memory does not hold {len(rows) // self.config.accumulate} images at once: double "
                "`accumulate` (same result, without batch norm), or set `gradient_checkpointing` (same result, slower)."
            ) from error
        if self.config.clip_norm:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.steps_done += 1
        if self.ema:
            self.ema.update(self.network, step=self.steps_done)
        return self.world.sum(torch.stack(losses).sum() / max(total, 1e-12))

    def _logits(self, network: nn.Module, pixels: np.ndarray) -> torch.Tensor:
        on_device = _to(torch.from_numpy(pixels), self.device)
        batch = prepare(on_device, image_size=self.config.image_size, mean=self.mean, std=self.std)
        with autocast(self.device, self.config.precision):
            return network(batch.contiguous(memory_format=LAYOUT))

    def _loss(self, part: Part, rows: np.ndarray, logits: torch.Tensor) -> torch.Tensor:
        targets, weights = (_to(torch.from_numpy(cells[rows]), self.device) for cells in (part.targets, part.weights))
        return masked_loss(logits, targets, weights, self.config)


def check_finite(step: Step | None, part: Part) -> None:
    """Raises NotFiniteError, which holds the image ids, when the step's loss is not a number; waits for the loss."""
    if step is not None:
        _check_finite(torch.tensor(step.loss), part, step.rows, step.epoch)


def _own_head(logits: torch.Tensor, part: Part, rows: np.ndarray) -> torch.Tensor:
    """[n, 14] of the head of each image's source, out of [n, heads * 14]."""
    if part.heads is None:
        return logits
    heads = _to(torch.from_numpy(part.heads[rows]), logits.device)
    return logits.unflatten(1, (-1, len(PATHOLOGIES)))[torch.arange(len(heads), device=logits.device), heads]


def _to(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """On a GPU through pinned memory: copied while the GPU computes, where an ordinary copy would wait for it."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values


def _to_host(loss: torch.Tensor) -> tuple[torch.Tensor, torch.cuda.Event | None]:
    """A copy that waits for nobody, and the event that says when it is there."""
    copied = loss.to("cpu", non_blocking=True)
    if loss.device.type != "cuda":
        return copied, None
    filled = torch.cuda.Event()
    filled.record()
    return copied, filled


def _own_size(batch_size: int, world: World) -> int:
    if batch_size % world.size:
        raise TrainingError(f"A batch of {batch_size} images cannot be shared by {world.size} processes: change it.")
    return batch_size // world.size


def _checkpoint_gradients(network: nn.Module) -> None:
    timm_network: Any = network
    if not hasattr(network, "set_grad_checkpointing"):
        raise TrainingError(f"{type(network).__name__} has no gradient checkpointing: set it to false.")
    timm_network.set_grad_checkpointing(True)


def _whole_batches(order: np.ndarray, batch_size: int) -> np.ndarray:
    """Drops the last, smaller batch of the shuffled order: batch norm fails on a single image."""
    return order[: len(order) // batch_size * batch_size] if len(order) > batch_size else order


def _check_finite(values: torch.Tensor, part: Part, rows: np.ndarray, epoch: int) -> None:
    if not torch.isfinite(values).all():
        raise NotFiniteError(
            f"The network's output is not a number in epoch {epoch}. Lower lr, or set precision to `fp32`.",
            image_ids=part.cohort.image_ids[rows].tolist(),
        )
