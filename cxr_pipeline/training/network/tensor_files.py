"""Reads files of tensors without running code of theirs. What of them fits a network is in `weights`."""

import pickle
import re
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from cxr_pipeline.errors import CheckpointError


def read_tensors(file: Path) -> Any:
    """What a .safetensors file, or one of `torch.save`, holds, on the CPU; dictionaries, lists, numbers and tensors.

    Raises CheckpointError when it is damaged, or holds objects whose reading would run code.
    """
    try:
        if file.suffix.lower() == ".safetensors":
            return safetensors.torch.load_file(file)
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(_refusal(file, str(error))) from error
    except (OSError, EOFError, ValueError, KeyError, IndexError, TypeError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"{file} cannot be read ({_first_line(error)}): expected a state dict in a .safetensors file, or as "
            "`torch.save` writes it. TorchScript and damaged files hold none."
        ) from error


def _refusal(file: Path, told: str) -> str:
    unsafe = re.search(r"GLOBAL ([\w.]+)", told)
    if not unsafe:
        return f"{file} is no file of tensors ({_starts_as(file)}): expected a state dict as `torch.save` writes it."
    target = file.with_name(f"{file.stem}-tensors.pt")
    program = (
        f"import torch; x = torch.load({str(file)!r}, map_location='cpu', weights_only=False); "
        "x = x.get('state_dict', x.get('model', x)) if isinstance(x, dict) else x; "
        "x = x.state_dict() if hasattr(x, 'state_dict') else x; "
        f"torch.save({{k: v for k, v in x.items() if isinstance(v, (dict, torch.Tensor))}}, {str(target)!r})"
    )
    return (
        f"{file} holds a pickled {unsafe[1]}, as a network that was saved whole does (torchxrayvision's files do), or "
        "settings that were saved beside the weights: to read it would run code of the file, so it was not read. "
        "Expected a state dict. Only if you trust who made it, "
        f'write one where its program is installed, and name that file: python -c "{program}"'
    )


def _starts_as(file: Path) -> str:
    """What a file that no pickle is may be; torch's own words speak of its `weights_only` instead."""
    with file.open("rb") as opened:
        start = opened.read(64)
    if start.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS: fetch the file behind it with `git lfs pull`"
    if start.lstrip()[:5].lower() in (b"<!doc", b"<html"):
        return "it is a web page, perhaps of an error or a login: download the file again"
    return f"it starts with {start[:16]!r}"


def _first_line(error: object) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
