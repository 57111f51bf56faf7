import json

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from cxr_pipeline.errors import CheckpointError, TrainingError
from cxr_pipeline.training.config import TrainConfig
from cxr_pipeline.training.network.backbone import (
    build_network,
    grey_statistics,
    head_say,
    mean_of_heads,
    merge_heads,
    prepare,
    prevalence_bias,
)
from cxr_pipeline_tests.training.tiny import TINY

BACKBONE = "test_convnext"


def config(pretrained=""):
    return TrainConfig(backbone=BACKBONE, pretrained=pretrained)


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    """A folder with `model.safetensors` of a backbone for three channels and a thousand classes, and its tensors."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(11)
    tensors = timm.create_model(BACKBONE).state_dict()
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"architecture": BACKBONE, "num_classes": 1000}))
    return folder, tensors


@pytest.mark.parametrize("backbone", [BACKBONE, "resnet10t", "tf_efficientnet_lite0"])
def test_one_grey_channel_in_fourteen_logits_out(backbone):
    network = build_network(TrainConfig(backbone=backbone, pretrained="")).eval()
    with torch.inference_mode():
        assert network(torch.zeros(2, 1, 64, 64)).shape == (2, 14)


@pytest.mark.parametrize("form", ["{}/model.safetensors", "local-dir:{}"])
def test_starting_weights_come_from_a_file_or_folder(form, imagenet):
    folder, tensors = imagenet
    network = build_network(config(form.format(folder)))
    own = network.state_dict()
    assert own["stem.0.weight"].shape[1] == 1
    torch.testing.assert_close(own["stem.0.weight"], tensors["stem.0.weight"].sum(dim=1, keepdim=True))
    body = [name for name in own if not name.startswith("head.fc") and name != "stem.0.weight"]
    assert all(torch.equal(own[name], tensors[name]) for name in body)
    assert own["head.fc.weight"].shape == (14, 64)


def test_a_checkpoint_is_rebuilt_without_its_starting_weights():
    build_network(config("/nowhere/model.safetensors"), pretrained=False)


def test_the_bias_is_put_on_the_head():
    bias = np.linspace(-3, 0, 14).astype(np.float32)
    network = build_network(config(), bias=bias)
    np.testing.assert_array_equal(network.get_classifier().bias.detach().numpy(), bias)


def test_prevalence_counts_known_cells_only_and_is_finite_for_an_absent_class():
    values = np.array([[1, 0], [0, 0], [0, 0], [1, 0]], dtype=np.float32)
    mask = np.array([[1, 1], [1, 0], [1, 0], [0, 0]], dtype=bool)
    bias = prevalence_bias(values, mask)
    assert bias.dtype == np.float32
    np.testing.assert_allclose(1 / (1 + np.exp(-bias)), [2 / 5, 1 / 3], rtol=1e-6)


def test_unknown_backbone_is_told():
    with pytest.raises(TrainingError, match="no backbone 'nonsense'"):
        build_network(TrainConfig(backbone="nonsense"))


def test_a_name_near_one_of_timm_is_told_it():
    with pytest.raises(TrainingError, match=r"no backbone 'convnextt_tiny', is it convnext_tiny"):
        build_network(TrainConfig(backbone="convnextt_tiny", pretrained=""))


def test_weights_of_a_tag_that_timm_does_not_have_are_refused_with_those_it_has():
    with pytest.raises(TrainingError, match=r"no weights 'in22k' of resnet18: expected one of .*a1_in1k"):
        build_network(TrainConfig(backbone="resnet18.in22k", pretrained=""))


@pytest.mark.parametrize("source", ["/nowhere/model.safetensors", "weights.pth", "local-dir:/nowhere", "Hub"])
def test_starting_weights_that_are_not_there_are_told(source):
    with pytest.raises(CheckpointError, match="expected nothing, `hub`, a .safetensors file or `local-dir:<folder>`"):
        build_network(config(source))


def test_starting_weights_of_another_backbone_are_told(imagenet):
    with pytest.raises(CheckpointError, match="lacks .* it holds the weights of another backbone"):
        build_network(TrainConfig(backbone="resnet10t", pretrained=str(imagenet[0] / "model.safetensors")))


def test_a_broken_file_is_told(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(CheckpointError, match="No starting weights"):
        build_network(config(str(tmp_path / "model.safetensors")))


def test_an_unreachable_hub_says_what_to_set(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # else five retries and a minute
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match="Where the hub cannot be reached set `pretrained` to"):
        build_network(TrainConfig(backbone="test_convnext.r160_in1k", pretrained="hub"))


def test_grey_statistics_are_those_of_the_backbone():
    assert grey_statistics(build_network(TrainConfig(backbone="resnet10t", pretrained=""))) == pytest.approx(
        (0.449, 0.226), abs=1e-9
    )
    assert grey_statistics(build_network(TrainConfig(backbone="test_convnext.r160_in1k", pretrained=""))) == (0.5, 0.5)


def test_prepare_normalises_grey_values():
    pixels = torch.tensor([[[0, 51], [102, 255]]], dtype=torch.uint8)
    batch = prepare(pixels, image_size=2, mean=0.5, std=0.25)
    assert batch.shape == (1, 1, 2, 2)
    torch.testing.assert_close(batch[0, 0], torch.tensor([[-2.0, -1.2], [-0.4, 2.0]]))


@pytest.mark.parametrize("size", [32, 96])
def test_prepare_resizes_like_pillow(size):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
    expected = np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR), dtype=np.float32)
    batch = prepare(torch.from_numpy(pixels)[None], image_size=size, mean=0.0, std=1.0)
    np.testing.assert_allclose(batch[0, 0].numpy() * 255, expected, atol=1.01)  # Pillow rounds twice


def test_prepare_leaves_the_pixels_alone():
    pixels = torch.full((1, 32, 32), 7, dtype=torch.uint8)
    prepare(pixels, image_size=32, mean=0.5, std=0.5)
    assert (pixels == 7).all()


def test_the_merged_head_gives_the_mean_of_the_heads_logits():
    many = build_network(TINY, n_labels=3 * 14, bias=np.linspace(-2, 2, 14, dtype=np.float32)).eval()
    torch.nn.init.normal_(many.get_classifier().weight)
    images = torch.randn(4, 1, 32, 32)
    with torch.inference_mode():
        expected = many(images).unflatten(1, (3, 14)).mean(dim=1)
        torch.testing.assert_close(merge_heads(many, np.ones((3, 14), dtype=bool))(images), expected)
        assert many(images).shape == (4, 42)


def test_a_head_has_no_say_in_a_class_it_was_never_shown_and_all_have_where_none_was():
    many = build_network(TINY, n_labels=3 * 14).eval()
    torch.nn.init.normal_(many.get_classifier().weight)
    knows = np.ones((3, 14), dtype=bool)
    knows[1, 4] = knows[:2, 5] = knows[:, 6] = False
    images = torch.randn(4, 1, 32, 32)
    with torch.inference_mode():
        logits = many(images)
        merged = merge_heads(many, knows)(images)
    heads = logits.unflatten(1, (3, 14))
    torch.testing.assert_close(merged[:, :4], heads[:, :, :4].mean(dim=1))
    torch.testing.assert_close(merged[:, 4], (heads[:, 0, 4] + heads[:, 2, 4]) / 2)
    torch.testing.assert_close(merged[:, 5], heads[:, 2, 5])
    torch.testing.assert_close(merged[:, 6:], heads[:, :, 6:].mean(dim=1))
    torch.testing.assert_close(merged, mean_of_heads(logits, head_say(knows)))


def test_a_network_begins_with_the_prevalence_it_is_given():
    bias = np.linspace(-4, 0, 14, dtype=np.float32)
    network = build_network(TINY.model_copy(update={"backbone": "efficientnet_lite0"}), bias=bias).eval()
    with torch.inference_mode():
        logits = network(torch.randn(8, 1, 32, 32))
    np.testing.assert_allclose(logits.numpy(), np.tile(bias, (8, 1)), atol=0.3)
