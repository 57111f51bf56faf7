"""Where the network runs and in which precision. No device is chosen before a program asks."""

import torch

from cxr_pipeline.errors import TrainingError


def choose_device(name: str) -> torch.device:
    """The device for `auto`, `cpu` or `cuda`; raises TrainingError when a GPU is asked for and there is none."""
    if name == "cuda" and not torch.cuda.is_available():
        raise TrainingError("device is `cuda` but torch finds no GPU: set it to `auto` or `cpu`, or mend the driver.")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context of a forward pass. `auto` is bf16 on a GPU that has it, else fp32: a CPU gains nothing (measured).

    bf16 has the range of fp32, so there is no gradient scaler. Raises TrainingError where bf16 cannot be had.
    """
    has_bf16 = device.type == "cpu" or torch.cuda.is_bf16_supported()
    if precision == "bf16" and not has_bf16:
        raise TrainingError(f"precision is `bf16` but the device {device} lacks it: set precision to `auto` or `fp32`.")
    enabled = precision == "bf16" or (precision == "auto" and device.type == "cuda" and has_bf16)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)
