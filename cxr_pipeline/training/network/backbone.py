"""The network: a timm backbone for one grey channel, its starting weights, and its input. Fitting is in `loop`."""

import copy
import json
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from safetensors import SafetensorError
from torch import nn
from torch.nn.functional import interpolate
from torch.nn.modules.batchnorm import _BatchNorm

from cxr_pipeline.errors import CheckpointError, TrainingError
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.training.config import LOCAL_DIR, WEIGHT_SUFFIXES, TrainConfig
from cxr_pipeline.training.network.head import make_exact
from cxr_pipeline.training.network.input_size import check_input_size, size_arguments, wrong_size
from cxr_pipeline.training.network.weights import XRAYVISION_GREY, StartingWeights, load_weights

_STARTED_FROM = "starting_weights"  # in timm's own description of the network, which goes with every copy of it
HEAD_DEVIATION = 0.01  # of the head's first weights; Lin et al. 2017, section 4.1, as is the bias


def build_network(
    config: TrainConfig, *, n_labels: int = len(PATHOLOGIES), bias: np.ndarray | None = None, pretrained: bool = True
) -> nn.Module:
    """One grey channel in, `n_labels` float32 logits out, on the CPU; starting weights as `config.pretrained` says.

    `bias` float [n_labels], or of an equal part of it, is put on the head, whose weights then begin small.
    `pretrained=False` leaves all weights random, for a checkpoint to fill. Raises TrainingError for an unknown
    backbone or a size that it does not take, and CheckpointError when the starting weights cannot be had.
    """
    _check_backbone(config.backbone)
    file = config.weights_file() if pretrained else None
    if file:
        _check_is_there(config, file)
    network = _create(config, n_labels, from_hub=pretrained and config.pretrained == "hub")
    if file:
        _load(network, file, config)
    if pretrained:  # a checkpoint has been trained at its size
        check_input_size(network, config.backbone, config.image_size)
    if bias is not None:
        with torch.no_grad():
            # Small weights, or the prevalence drowns in noise: an EfficientNet's head begins with a deviation of .15.
            nn.init.normal_(_head(network).weight, std=HEAD_DEVIATION)
            _head(network).bias.copy_(torch.from_numpy(bias).tile(n_labels // len(bias)))
    make_exact(network, _head(network))
    return network


def merge_heads(network: nn.Module, knows: np.ndarray) -> nn.Module:
    """A copy of `network`, whose head is the mean of the heads that stand one after the other in its head.

    `knows` is bool [heads, labels]. Heads are linear, so it gives the `mean_of_heads` of their logits.
    """
    merged: Any = copy.deepcopy(network)
    many = _head(merged)
    heads, labels = knows.shape
    with torch.no_grad():
        say = head_say(knows).to(many.weight.device)
        weight = (many.weight.unflatten(0, (heads, labels)) * say[:, :, None]).sum(dim=0)
        bias = (many.bias.unflatten(0, (heads, labels)) * say).sum(dim=0)
        merged.reset_classifier(labels)
        one = _head(merged.to(weight.device))
        one.weight.copy_(weight)
        one.bias.copy_(bias)
    make_exact(merged, one)
    return merged


def mean_of_heads(logits: torch.Tensor, say: torch.Tensor) -> torch.Tensor:
    """[n, labels]: what the merged head gives, out of `logits` [n, heads * labels] and `say` [heads, labels]."""
    return (logits.unflatten(1, say.shape) * say).sum(dim=1)


def head_say(knows: np.ndarray) -> torch.Tensor:
    """float32 [heads, labels]: what each head weighs in the mean of a class; each class sums up to 1.

    `knows` is bool [heads, labels]: whether a head was shown any known cell of the class. One that was not has no say,
    since its answer is a guess; where none was, all are heard.
    """
    heard = knows | ~knows.any(axis=0)
    return torch.from_numpy((heard / heard.sum(axis=0)).astype(np.float32))


def prevalence_bias(targets: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """float32 [14]: log odds of each class over its known cells, so that training starts at the prevalence.

    Lin et al. 2017, section 4.1. One positive and one negative are added, so that a class without either has odds.
    """
    positives = np.where(mask, targets, 0).sum(axis=0) + 1
    known = mask.sum(axis=0) + 2
    return np.log(positives / (known - positives)).astype(np.float32)


def grey_statistics(network: nn.Module) -> tuple[float, float]:
    """(mean, standard deviation) of grey values in 0..1 that the backbone expects: its three channels' average."""
    expected: Any = network.pretrained_cfg
    return float(np.mean(expected["mean"])), float(np.mean(expected["std"]))


def count_batch_norms(network: nn.Module) -> int:
    """How many layers normalise by the images at hand; those of timm and torchvision that are frozen do not."""
    return sum(isinstance(module, _BatchNorm) for module in network.modules())


def prepare(pixels: torch.Tensor, *, image_size: int, mean: float, std: float) -> torch.Tensor:
    """uint8 [n, h, w] on any device -> float32 [n, 1, image_size, image_size], normalised.

    Antialiased bilinear where the store has another size; `mean` and `std` are of grey values in 0..1.
    """
    grey = pixels.unsqueeze(1).float().div_(255)
    if grey.shape[-2:] != (image_size, image_size):
        grey = interpolate(grey, (image_size, image_size), mode="bilinear", antialias=True, align_corners=False)
    return grey.sub_(mean).div_(std)


def starting_weights(network: nn.Module) -> StartingWeights | None:
    """What was loaded from a file when `network` was built; None where no file was named."""
    timm_network: Any = network
    found: StartingWeights | None = timm_network.pretrained_cfg.get(_STARTED_FROM)
    return found


def _check_backbone(backbone: str) -> None:
    """Raises TrainingError, with the nearest names, where timm has no such network, or not with weights of this tag."""
    name, _, tag = backbone.partition(".")
    if not timm.is_model(backbone):
        near = " or ".join(get_close_matches(name, timm.list_models(), n=3))
        hint = f", is it {near}?" if near else ": see timm.list_models()."
        raise TrainingError(f"timm {timm.__version__} has no backbone {backbone!r}{hint}")
    known = [one.partition(".")[2] for one in timm.list_models(f"{name}.*", pretrained=True)]
    if tag and tag not in known:
        expected = f"one of {', '.join(known)}, or {name!r} alone" if known else f"{name!r} alone"
        raise TrainingError(f"timm {timm.__version__} has no weights {tag!r} of {name}: expected {expected}.")


def _check_is_there(config: TrainConfig, file: Path) -> None:
    if file.suffix.lower() in WEIGHT_SUFFIXES and file.is_file():
        return
    found = f"{file} is not there"
    if file.is_dir():
        found = f"{file} is a folder; of one as downloaded from the hub set `{LOCAL_DIR}{file}`"
    elif file.exists():
        found = f"{file} is no file of weights by its name"
    raise CheckpointError(
        f"pretrained is {config.pretrained!r}, and {found}: expected nothing, `hub`, a .safetensors file or "
        f"`{LOCAL_DIR}<folder>` with a model.safetensors or pytorch_model.bin, or a state dict in a .pt, .pth, .ckpt "
        "or .bin file."
    )


def _load(network: Any, file: Path, config: TrainConfig) -> None:
    """Fills the network from `file`, and notes that with the network, with the grey values that it was trained on."""
    try:
        loaded = load_weights(network, file, _head(network))
    except CheckpointError as error:
        raise CheckpointError(
            f"No starting weights for {config.backbone} from {config.pretrained!r}: {error}"
        ) from error
    grey = XRAYVISION_GREY if loaded.is_xrayvision else _grey_beside(file)
    network.pretrained_cfg = {**network.pretrained_cfg, **grey, _STARTED_FROM: loaded}


def _grey_beside(file: Path) -> dict[str, tuple[float, ...]]:
    """Mean and deviation that a checkpoint of ours states beside its weights; nothing beside other files."""
    try:
        stated = json.loads((file.parent / "config.json").read_text())
        is_ours = file.name == "model.safetensors" and "weights_sha256" in stated
        return {name: (float(stated[name]),) * 3 for name in ("mean", "std")} if is_ours else {}
    except (OSError, ValueError):
        return {}


def _create(config: TrainConfig, n_labels: int, *, from_hub: bool) -> nn.Module:
    backbone = config.backbone
    shape: dict[str, Any] = {"in_chans": 1, "num_classes": n_labels, **size_arguments(backbone, config.image_size)}
    if config.drop_path:
        shape["drop_path_rate"] = config.drop_path
    try:
        return timm.create_model(backbone, pretrained=from_hub, **shape)
    except (TypeError, AssertionError) as error:
        if "drop_path_rate" in str(error):
            raise TrainingError(f"{backbone} does not take drop_path ({error}): set it to 0.") from error
        raise wrong_size(backbone, config.image_size, f"{type(error).__name__}: {error}") from error
    except (OSError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"No starting weights for {backbone} from the hub: {error} Where the hub cannot be reached set "
            f"`pretrained` to a file of weights of this backbone, to `{LOCAL_DIR}<folder>`, or to nothing."
        ) from error


def _head(network: nn.Module) -> nn.Linear:
    timm_network: Any = network
    head = timm_network.get_classifier()
    if not isinstance(head, nn.Linear) or head.bias is None:
        raise TrainingError(f"{type(network).__name__} has no linear head with a bias: choose another backbone.")
    return head
