import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from cxr_pipeline.errors import CheckpointError, CxrError
from cxr_pipeline.evaluation.predict import network_input, predict
from cxr_pipeline.training.checkpoint import export
from cxr_pipeline.training.checkpoint.export import export_onnx
from cxr_pipeline.training.checkpoint.files import CheckpointConfig, load_checkpoint, save_checkpoint
from cxr_pipeline.training.network.backbone import build_network
from cxr_pipeline_tests.training.checkpoint.test_files import CONFIG
from cxr_pipeline_tests.training.tiny import TINY

pytestmark = pytest.mark.long

SIZE = 64


def write_checkpoint(folder, backbone="test_convnext"):
    train = TINY.model_copy(update={"backbone": backbone, "image_size": SIZE})
    stated = CONFIG.model_dump(exclude={"transform", "train"}) | {"temperature": 0.4, "licences": ["nih: as published"]}
    torch.manual_seed(2)
    save_checkpoint(folder, build_network(train), CheckpointConfig(train=train, **stated))
    return folder


def open_session(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module", params=["test_convnext", "resnet10t"])
def exported(request, tmp_path_factory):
    """(checkpoint folder, ONNX file)"""
    folder = write_checkpoint(tmp_path_factory.mktemp("export") / "checkpoint", request.param)
    assert export_onnx(folder, folder.parent / "out" / "model.onnx")
    return folder, folder.parent / "out" / "model.onnx"


@pytest.mark.parametrize("n", [1, 5])
def test_answers_are_those_of_torch_for_any_number_of_pictures(exported, n):
    folder, path = exported
    pixels = np.random.default_rng(n).integers(0, 256, (n, SIZE, SIZE), dtype=np.uint8)
    logits, probabilities = open_session(path).run(["logits", "probabilities"], {"pixels": pixels})
    network, config = load_checkpoint(folder)
    with torch.inference_mode():
        expected = network(network_input(pixels, network, config)).numpy()
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    np.testing.assert_allclose(probabilities, predict(network, [pixels], config), atol=1e-4)


def test_the_file_describes_itself_and_names_no_folder_of_this_machine(exported):
    folder, path = exported
    stored = open_session(path).get_modelmeta().custom_metadata_map
    config = json.loads((folder / "config.json").read_text())
    assert {key: json.loads(stored[key]) for key in config} == config
    data = path.read_bytes()
    assert b"stack_trace" not in data
    assert str(Path(export.__file__).parents[3]).encode() not in data
    assert [file.name for file in path.parent.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize("exported", ["resnet10t"], indirect=True)
def test_exporting_again_changes_no_byte(exported):
    folder, path = exported
    before = path.read_bytes()
    assert not export_onnx(folder, path)
    assert path.read_bytes() == before


def test_a_missing_extra_is_told_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "find_spec", lambda name: None if name == "onnxscript" else object())
    with pytest.raises(CxrError, match=r"^onnxscript not found, .*: pip install cxr-pipeline\[onnx\]$"):
        export_onnx(write_checkpoint(tmp_path / "checkpoint"), tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_more_than_a_file_holds_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "_LARGEST", 1000)
    with pytest.raises(CheckpointError, match="an ONNX file holds less than 2"):
        export_onnx(write_checkpoint(tmp_path / "checkpoint"), tmp_path / "model.onnx")
