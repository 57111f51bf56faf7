import json

import pytest
import torch

from cxr_pipeline.errors import CheckpointError
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.storage.files import file_digest
from cxr_pipeline.training.checkpoint.files import CheckpointConfig, Transform, load_checkpoint, save_checkpoint
from cxr_pipeline.training.network.backbone import build_network
from cxr_pipeline_tests.training.tiny import SIZE, TINY

CONFIG = CheckpointConfig(
    labels=list(PATHOLOGIES),
    train=TINY,
    thresholds=dict.fromkeys(PATHOLOGIES, 0.25) | {"Hernia": None},
    mean=0.5,
    std=0.25,
    cohort_digest="abc",
    code_version="0.1.0",
    best_epoch=3,
    val_macro_auroc=None,
    sources=["nih"],
    is_phantom=True,
)


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(1)
    network = build_network(TINY).to(memory_format=torch.channels_last)
    save_checkpoint(tmp_path / "checkpoint", network, CONFIG)
    return tmp_path / "checkpoint"


def test_comes_back_as_it_was(tmp_path):
    torch.manual_seed(1)
    network = build_network(TINY).eval()
    signed = save_checkpoint(tmp_path, network, CONFIG)
    loaded, config = load_checkpoint(tmp_path)
    assert config == signed
    assert config.model_copy(update={"weights_sha256": ""}) == CONFIG
    assert config.weights_sha256 == file_digest(tmp_path / "model.safetensors")
    assert not loaded.training
    batch = torch.rand(2, 1, SIZE, SIZE)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(batch), network(batch), rtol=0, atol=0)


def test_is_two_files_and_their_names_are_those_of_the_contract(folder):
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert set(json.loads((folder / "config.json").read_text())) == {
        *("labels", "train", "thresholds", "mean", "std", "cohort_digest", "code_version", "best_epoch"),
        *("val_macro_auroc", "sources", "is_phantom", "weights_sha256", "transform", "temperature", "licences"),
    }


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_told(folder, name):
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"No {name} in"):
        load_checkpoint(folder)


def test_one_flipped_bit_is_found(folder):
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    with pytest.raises(CheckpointError, match="the file is damaged or from another run"):
        load_checkpoint(folder)


def test_a_config_of_something_else_is_told(folder):
    (folder / "config.json").write_text('{"labels": []}')
    with pytest.raises(CheckpointError, match="not a checkpoint's"):
        load_checkpoint(folder)


def test_the_transform_follows_from_the_training_and_cannot_disagree(folder):
    _, config = load_checkpoint(folder)
    assert config.transform == Transform(size=SIZE, mean=0.5, std=0.25)
    stated = json.loads((folder / "config.json").read_text())
    assert stated["transform"] == {"size": SIZE, "channels": 1, "fit": "letterbox", "mean": 0.5, "std": 0.25}
    stated["transform"]["size"] *= 2
    (folder / "config.json").write_text(json.dumps(stated))
    with pytest.raises(CheckpointError, match="but train, mean and std say"):
        load_checkpoint(folder)


@pytest.mark.parametrize("wrong", [{"labels": ["Mass"]}, {"train": TINY.model_copy(update={"backbone": "resnet10t"})}])
def test_weights_of_another_shape_are_told(folder, wrong):
    _, config = load_checkpoint(folder)
    (folder / "config.json").write_text(config.model_copy(update=wrong).model_dump_json())
    with pytest.raises(CheckpointError, match="does not fit"):
        load_checkpoint(folder)


def test_weights_that_are_no_safetensors_file_are_told(folder):
    (folder / "model.safetensors").write_bytes(b"not weights")
    config = json.loads((folder / "config.json").read_text())
    config["weights_sha256"] = file_digest(folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="does not fit"):
        load_checkpoint(folder)


def test_saving_the_same_again_changes_no_byte(folder):
    before = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    network, config = load_checkpoint(folder)
    save_checkpoint(folder, network, config)
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == before
