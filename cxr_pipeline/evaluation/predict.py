"""Probabilities of a checkpoint for pictures. Which pictures, and what the probabilities are worth, is elsewhere."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.training.checkpoint.files import CheckpointConfig
from cxr_pipeline.training.checkpoint.temperature import calibrate
from cxr_pipeline.training.data.batches import Cohort
from cxr_pipeline.training.network.backbone import prepare
from cxr_pipeline.training.network.device import autocast


@torch.inference_mode()
def predict(network: nn.Module, batches: Iterable[np.ndarray], config: CheckpointConfig) -> np.ndarray:
    """float32 [n, 14] probabilities for uint8 [b, h, w] batches, in their order, on the network's device.

    Calibrated by the checkpoint's temperature, and in the precision of training: the thresholds were chosen on such
    probabilities.
    """
    parts = [np.empty((0, len(PATHOLOGIES)), dtype=np.float32)]
    for pixels in batches:
        with autocast(device_of(network), config.train.precision):
            logits = network(network_input(pixels, network, config))
        parts.append(calibrate(logits.float().cpu().numpy(), config.temperature))
    return np.concatenate(parts)


def network_input(pixels: np.ndarray, network: nn.Module, config: CheckpointConfig) -> torch.Tensor:
    """uint8 [b, h, w] -> float32 [b, 1, size, size] on the network's device, normalised as in training."""
    on_device = torch.from_numpy(pixels).to(device_of(network))
    return prepare(on_device, image_size=config.train.image_size, mean=config.mean, std=config.std)


def prediction_table(cohort: Cohort, probabilities: np.ndarray) -> pa.Table:
    """The columns of `tables.PredictionTable`, one row per image of `cohort`, in its order."""
    columns = {"image_id": pa.array(cohort.image_ids, pa.string()), "split": pa.array(cohort.splits, pa.string())}
    classes = {name: pa.array(probabilities[:, i], pa.float32()) for i, name in enumerate(PATHOLOGIES)}
    return pa.table(columns | classes)


def device_of(network: nn.Module) -> torch.device:
    return next(network.parameters()).device
