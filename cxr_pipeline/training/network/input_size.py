"""Which sizes of input a backbone takes. Whether a store holds as many pixels is in `data.sizes`."""

from typing import Any

import timm
import torch
from timm.layers import PatchEmbed
from torch import nn

from cxr_pipeline.errors import TrainingError


def size_arguments(backbone: str, image_size: int) -> dict[str, Any]:
    """What timm has to be told of `image_size`: nothing, unless the backbone is made for one size, and that another.

    Its positions, or those of starting weights, are then interpolated by timm.
    """
    own = _fixed_size(backbone)
    return {} if own in (None, image_size) else {"img_size": image_size}


def check_input_size(network: nn.Module, backbone: str, image_size: int) -> None:
    """Raises TrainingError, with the nearest sizes that work, when `network` does not take all of `image_size` pixels.

    Tried with one black picture: timm's families tell it in ways of their own, or cut the rest of a patch off.
    """
    reason = _refusal(network, image_size)
    if reason:
        raise wrong_size(backbone, image_size, reason)


def wrong_size(backbone: str, image_size: int, reason: str) -> TrainingError:
    """The error that says which sizes `backbone` takes."""
    allowed = " or ".join(map(str, _allowed_sizes(backbone, image_size))) or "another size"
    return TrainingError(
        f"{backbone} does not take image_size {image_size} ({reason}). Set image_size to {allowed}, or choose another "
        "backbone: a convolutional one, as ConvNeXt, takes any."
    )


def _refusal(network: nn.Module, image_size: int) -> str:
    """Why the network does not take pictures of this size; empty where it does."""
    patch = _patch_size(network)
    if image_size % patch:
        return f"no multiple of its patch of {patch} pixels"
    was_training = network.training
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, 1, image_size, image_size))
    except (AssertionError, RuntimeError, IndexError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        network.train(was_training)
    return ""


def _allowed_sizes(backbone: str, image_size: int) -> list[int]:
    """Of the next multiples below and above and the backbone's own size those that it takes."""
    entry = timm.get_pretrained_cfg(backbone)
    patch = _patch_size(timm.create_model(backbone, in_chans=1))
    step = 32 if patch == 1 or image_size % patch == 0 else patch if 16 % patch else 16
    below = image_size // step * step
    own = entry.input_size[-1] if entry else below
    return sorted(size for size in {below, below + step, own} - {image_size} if _is_allowed(backbone, size))


def _is_allowed(backbone: str, image_size: int) -> bool:
    if not 32 <= image_size <= 2048:
        return False
    try:
        network = timm.create_model(backbone, in_chans=1, **size_arguments(backbone, image_size))
    except (AssertionError, RuntimeError, TypeError, ValueError):
        return False
    return not _refusal(network, image_size)


def _patch_size(network: nn.Module) -> int:
    """Pixels a side; 1 where patches overlap, or pictures are padded to whole ones."""
    embedding: Any = getattr(network, "patch_embed", getattr(network, "stem", None))  # the latter in MLP-Mixers
    return int(embedding.patch_size[0]) if isinstance(embedding, PatchEmbed) else 1


def _fixed_size(backbone: str) -> int | None:
    entry = timm.get_pretrained_cfg(backbone)
    return entry.input_size[-1] if entry and entry.fixed_input_size else None
