"""A checkpoint as one ONNX file for programs without torch: pixels in, logits and calibrated probabilities out."""

import json
import warnings
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from cxr_pipeline.errors import CheckpointError, CxrError
from cxr_pipeline.storage.files import write_atomically
from cxr_pipeline.training.checkpoint.files import CheckpointConfig, load_checkpoint
from cxr_pipeline.training.network.backbone import prepare

INPUT, OUTPUTS = "pixels", ("logits", "probabilities")
OPSET = 18  # of 2022: what the exporter writes without conversion, and what runtimes since then read

_PACKAGES = ("onnx", "onnxscript")
_LARGEST = 2**31  # bytes of one protobuf message


class ExportedNetwork(nn.Module):
    """The network with the rest of the checkpoint around it, so that nobody can normalise or calibrate otherwise."""

    def __init__(self, network: nn.Module, config: CheckpointConfig) -> None:
        super().__init__()
        self.network = network
        self.transform = config.transform
        self.temperature = config.temperature or 1.0

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """uint8 [n, size, size], letterboxed -> float32 logits and probabilities, both [n, labels]."""
        size, mean, std = self.transform.size, self.transform.mean, self.transform.std
        logits = self.network(prepare(pixels, image_size=size, mean=mean, std=std))
        return logits, torch.sigmoid(logits / self.temperature)


def export_onnx(checkpoint: Path, out: Path) -> bool:
    """Writes the checkpoint folder as `out`, atomically; whether the file changed.

    Its input is `pixels`, uint8 [n, size, size] with any n; its outputs are `logits` and `probabilities`, float32
    [n, labels]. What `config.json` says stands in the file's metadata, one JSON value a key. Raises CxrError when the
    extra `onnx` is not installed, CheckpointError when the checkpoint cannot be used or exceeds ONNX's 2 GiB.
    """
    _check_packages()
    network, config = load_checkpoint(checkpoint)
    size = sum(tensor.nbytes for tensor in network.state_dict().values())
    if size >= _LARGEST:
        raise CheckpointError(f"{checkpoint} has {size / 2**30:.1f} GiB of weights: an ONNX file holds less than 2.")
    return write_atomically(out, lambda temporary: _export(network, config, temporary))


def _check_packages() -> None:
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise CxrError(f"{' and '.join(missing)} not found, which exporting needs: pip install cxr-pipeline[onnx]")


def _export(network: nn.Module, config: CheckpointConfig, path: Path) -> None:
    exported = ExportedNetwork(network, config).eval()
    pixels = torch.zeros((2, config.transform.size, config.transform.size), dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about itself
        program = torch.onnx.export(
            exported,
            (pixels,),
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_shapes={"pixels": {0: torch.export.Dim("n")}},
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    if program is None:  # torch's signature allows for the exporter that writes files itself
        raise CheckpointError(f"torch {torch.__version__} gave no program: use torch 2.9 or later.")
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # stack traces, with the paths of this machine
    program.model.metadata_props.update(_metadata(config))
    program.save(str(path), external_data=False)


def _metadata(config: CheckpointConfig) -> dict[str, str]:
    """One JSON value a key, which is what ONNX has place for."""
    return {key: json.dumps(value) for key, value in config.model_dump(mode="json").items()}
