import pytest
import timm
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from timm.layers import resample_abs_pos_embed

from cxr_pipeline.errors import TrainingError
from cxr_pipeline.training.checkpoint.files import CheckpointConfig, load_checkpoint, save_checkpoint
from cxr_pipeline.training.config import TrainConfig
from cxr_pipeline.training.network.backbone import build_network
from cxr_pipeline_tests.training.checkpoint.test_files import CONFIG

OTHER_SIZES = [
    ("vit_tiny_patch16_224", 96),
    ("vit_small_patch14_dinov2", 98),
    ("eva02_tiny_patch14_336", 126),
    ("swin_tiny_patch4_window7_224", 128),
    ("resnet10t", 98),
    ("pvt_v2_b0", 64),  # of patches of 7 pixels that overlap
]
ANY_SIZE = ("resnet10t", "pvt_v2_b0")


def config(backbone, size, **fields):
    return TrainConfig(**({"backbone": backbone, "image_size": size, "pretrained": ""} | fields))


@pytest.mark.parametrize(("backbone", "size"), OTHER_SIZES)
def test_a_backbone_learns_at_another_size_than_its_own_and_its_checkpoint_loads(backbone, size, tmp_path):
    train = config(backbone, size)
    network = build_network(train)
    assert network.training
    images = torch.randn(2, 1, size, size)
    network(images).sum().backward()
    assert all(parameter.grad is not None for parameter in network.get_classifier().parameters())
    stated = CONFIG.model_dump(exclude={"transform", "train"})
    save_checkpoint(tmp_path, network, CheckpointConfig(train=train, **stated))
    shape = {"in_chans": 1, "num_classes": 14} | (
        {} if backbone in ANY_SIZE else {"img_size": size}
    )  # as the page says
    theirs = timm.create_model(backbone, checkpoint_path=tmp_path / "model.safetensors", **shape).eval()
    ours, _ = load_checkpoint(tmp_path)
    with torch.inference_mode():
        expected = network.eval()(images)
        torch.testing.assert_close(ours(images), expected)
        torch.testing.assert_close(theirs(images), expected)


def test_positions_of_starting_weights_are_interpolated_as_timm_does(tmp_path):
    torch.manual_seed(1)
    tensors = timm.create_model("vit_tiny_patch16_224").state_dict()
    save_file(tensors, tmp_path / "model.safetensors")
    network = build_network(config("vit_tiny_patch16_224", 96, pretrained=str(tmp_path / "model.safetensors")))
    expected = resample_abs_pos_embed(tensors["pos_embed"], new_size=[6, 6], num_prefix_tokens=1)
    assert network.pos_embed.shape == (1, 37, 192)
    torch.testing.assert_close(network.pos_embed, expected)


@pytest.mark.parametrize(
    ("backbone", "size", "told"),
    [
        ("vit_tiny_patch16_224", 98, "patch of 16 pixels.* to 96 or 112 or 224,"),
        ("vit_small_patch14_dinov2", 384, "patch of 14 pixels.* to 378 or 392 or 518,"),
        ("eva02_tiny_patch14_336", 160, "patch of 14 pixels.* to 154 or 168 or 336,"),
        ("mixer_s16_224", 126, "patch of 16 pixels.* to 112 or 128 or 224,"),
        ("efficientformer_l1", 256, "RuntimeError: .* to 224,"),
        ("hrnet_w18_small", 112, "RuntimeError: .* to 96 or 128 or 224,"),
        ("vit_tiny_r_s16_p8_224", 112, "AssertionError.* to 96 or 128 or 224,"),
    ],
)
def test_a_size_that_does_not_fit_is_refused_with_the_nearest_that_do(backbone, size, told):
    with pytest.raises(TrainingError, match=f"{backbone} does not take image_size {size} .*{told}") as caught:
        build_network(config(backbone, size))
    assert "\n" not in str(caught.value)


def test_trying_a_size_changes_neither_the_weights_nor_the_generator():
    torch.manual_seed(5)
    plain = timm.create_model("resnet10t", in_chans=1, num_classes=14)
    after = torch.rand(1)
    torch.manual_seed(5)
    network = build_network(config("resnet10t", 64))
    assert torch.equal(torch.rand(1), after)
    assert all(torch.equal(value, plain.state_dict()[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("size", [32, 98, 224, 240, 336, 384, 518])
def test_sizes_of_whole_patches_are_taken(size):
    assert TrainConfig(image_size=size).image_size == size


def test_a_size_of_no_whole_patches_is_refused_with_the_nearest():
    with pytest.raises(ValidationError, match="the nearest are 288, 294, 304, 308"):
        TrainConfig(image_size=300)
