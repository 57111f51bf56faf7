"""Where the network runs, in which precision and compiled or not. No device is chosen before a program asks."""

from typing import Any

import torch
from torch import nn

from cxr_pipeline.errors import TrainingError
from cxr_pipeline.training.network.depthwise import quicken_depthwise


def wants_gpu(name: str) -> bool:
    """Whether `auto`, `cpu` or `cuda` means a GPU on this machine; touches none."""
    return name != "cpu" and torch.cuda.is_available()


def choose_device(name: str, *, local_rank: int = 0) -> torch.device:
    """The device for `auto`, `cpu` or `cuda`; raises TrainingError when a GPU is asked for and there is none."""
    if name == "cuda" and not torch.cuda.is_available():
        raise TrainingError("device is `cuda` but torch finds no GPU: set it to `auto` or `cpu`, or mend the driver.")
    if not wants_gpu(name):
        return torch.device("cpu")
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context of a forward pass. `auto` is bf16 on a GPU that has it, else fp32: a CPU gains nothing (measured).

    bf16 has the range of fp32; fp16 has not, and wants `gradient_scaler`. Raises TrainingError where bf16 cannot be
    had.
    """
    has_bf16 = device.type == "cpu" or torch.cuda.is_bf16_supported()
    if precision == "bf16" and not has_bf16:
        raise TrainingError(f"precision is `bf16` but the device {device} lacks it: set precision to `auto` or `fp16`.")
    is_half = precision == "fp16"
    enabled = is_half or precision == "bf16" or (precision == "auto" and device.type == "cuda" and has_bf16)
    return torch.autocast(device.type, dtype=torch.float16 if is_half else torch.bfloat16, enabled=enabled)


def gradient_scaler(device: torch.device, precision: str) -> torch.amp.GradScaler:
    """Keeps fp16 gradients from vanishing; does nothing in other precisions."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")


def speed_up(network: nn.Module, device: torch.device, *, compiled: str) -> None:
    """Makes `network` on `device` quicker in place, without a change of what it computes; `compiled`: auto, on, off.

    Its blocks are compiled one by one: the 36 of a ConvNeXt have four shapes, so that takes a third of the time that
    the whole network takes, and the result is 4 % quicker (H100). Evaluate under `as_written`.
    """
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        quicken_depthwise(network)
    if compiled == "on" or (compiled == "auto" and device.type == "cuda"):
        for block in _blocks(network):
            block.compile(dynamic=False)


def as_written() -> Any:
    """The context in which compiled blocks run as written: a last batch of another size would compile them again."""
    return torch.compiler.set_stance("force_eager")


def _blocks(network: nn.Module) -> list[nn.Module]:
    """The repeated parts of a timm network, all that stands in a sequence called `blocks`; else the network."""
    sequences = [module for name, module in network.named_modules() if name.split(".")[-1] == "blocks"]
    return [block for sequence in sequences for block in sequence.children()] or [network]
