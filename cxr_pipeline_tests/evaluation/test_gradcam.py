import numpy as np
import pytest
import timm
import torch
from torch import nn

from cxr_pipeline.errors import CheckpointError
from cxr_pipeline.evaluation.gradcam import cam_layer, heatmaps


class LinearOnMaps(nn.Module):
    """Two maps of stride 8 (the mean grey value and its negative), weighted per cell for each of two classes."""

    feature_info = ({"module": "maps", "reduction": 8, "num_chs": 2},)

    def __init__(self, weights):
        super().__init__()
        self.maps = nn.Conv2d(1, 2, kernel_size=8, stride=8, bias=False)
        with torch.no_grad():
            self.maps.weight[0].fill_(1 / 64)
            self.maps.weight[1].fill_(-1 / 64)
        self.weights = nn.Parameter(weights)  # [classes, 2, cells, cells]

    def forward(self, batch):
        return (self.maps(batch)[:, None] * self.weights).sum(dim=(2, 3, 4))


@pytest.fixture
def square():
    """A network whose second class is the brightness of the cell in row 1, column 2 of four by four."""
    weights = torch.zeros(2, 2, 4, 4)
    weights[1, 0, 1, 2] = 1.0
    return LinearOnMaps(weights)


def test_the_maximum_lies_in_the_square_that_the_answer_depends_on(square):
    batch = torch.from_numpy(np.random.default_rng(0).random((3, 1, 32, 32), dtype=np.float32))
    maps = heatmaps(square, batch, torch.tensor([1, 1, 1]))
    assert (maps.shape, maps.dtype) == ((3, 32, 32), np.float32)
    for heat in maps:
        row, column = np.unravel_index(heat.argmax(), heat.shape)
        assert (row // 8, column // 8) == (1, 2)
        assert heat.max() == 1
        assert heat.min() == 0
        assert heat[:4].max() == heat[20:].max() == 0


def test_a_class_that_nothing_speaks_for_has_an_empty_map(square):
    batch = torch.ones(1, 1, 32, 32)
    assert heatmaps(square, batch, torch.tensor([0])).max() == 0
    with torch.no_grad():
        square.weights.neg_()
    assert heatmaps(square, batch, torch.tensor([1])).max() == 0


def test_the_evidence_of_a_linear_network_is_weight_times_activation():
    """For a network that is linear on the maps HiResCAM is exact: Draelos & Carin 2020, section 4."""
    generator = torch.Generator().manual_seed(1)
    network = LinearOnMaps(torch.randn(2, 2, 4, 4, generator=generator))
    batch = torch.rand(2, 1, 32, 32, generator=generator)
    classes = torch.tensor([1, 0])
    with torch.no_grad():
        evidence = (network.maps(batch) * network.weights[classes]).sum(dim=1, keepdim=True).relu()
        expected = nn.functional.interpolate(evidence, (32, 32), mode="bilinear", align_corners=False)[:, 0]
    expected /= expected.amax(dim=(1, 2), keepdim=True)
    np.testing.assert_allclose(heatmaps(network, batch, classes), expected.numpy(), atol=1e-6)


@pytest.mark.parametrize("backbone", ["resnet10t", "convnext_atto", "tf_efficientnet_lite0", "test_convnext"])
def test_the_layer_is_the_deepest_of_stride_16(backbone):
    network = timm.create_model(backbone, in_chans=1, num_classes=14).eval()
    sizes = []
    handle = cam_layer(network).register_forward_hook(lambda _module, _inputs, output: sizes.append(output.shape))
    with torch.inference_mode():
        network(torch.zeros(1, 1, 64, 64))
    handle.remove()
    assert sizes[0][-2:] == (4, 4)


@pytest.mark.parametrize("backbone", ["resnet10t", "convnext_atto", "tf_efficientnet_lite0"])
def test_maps_are_evidence_and_not_rounding_noise(backbone):
    """In double precision they are the same; before ConvNeXt's layer norm they are not."""
    network = randomised(backbone)
    batch, classes = random_batch(), torch.tensor([3, 0, 13])
    single = heatmaps(network, batch, classes)
    double = heatmaps(network.double(), batch.double(), classes)
    np.testing.assert_allclose(single, double, atol=0.01)
    assert single.max() == 1


def test_maps_of_a_batch_are_those_of_its_pictures_and_leave_no_trace():
    network = randomised("test_convnext").requires_grad_(False)
    batch, classes = random_batch(), torch.tensor([3, 0, 13])
    before = network(batch)
    together = heatmaps(network, batch, classes)
    single = [heatmaps(network, batch[i : i + 1], classes[i : i + 1])[0] for i in range(3)]
    np.testing.assert_allclose(together, np.stack(single), atol=1e-4)
    assert not cam_layer(network)._forward_hooks
    torch.testing.assert_close(network(batch), before)


def randomised(backbone):
    """A network in evaluation mode whose norms, biases and layer scales are not at their trivial starting values."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        network = timm.create_model(backbone, in_chans=1, num_classes=14).eval()
        with torch.no_grad():
            for vector in (p for p in network.parameters() if p.ndim <= 1):
                vector.add_(0.3 * torch.randn_like(vector))
    return network


def random_batch():
    return torch.from_numpy(np.random.default_rng(5).random((3, 1, 64, 64), dtype=np.float32))


def test_a_network_without_such_a_layer_is_refused():
    with pytest.raises(CheckpointError, match="Linear describes no feature map"):
        heatmaps(nn.Linear(2, 2), torch.zeros(1, 1, 8, 8), torch.tensor([0]))


class LinearOnMapsLast(LinearOnMaps):
    """The same, with the channels of its maps on the last axis, as Swin has them."""

    output_fmt = "NHWC"

    def __init__(self, weights):
        super().__init__(weights)
        self.convolution, self.maps = self.maps, nn.Identity()

    def forward(self, batch):
        maps = self.maps(self.convolution(batch).permute(0, 2, 3, 1))
        return (maps.permute(0, 3, 1, 2)[:, None] * self.weights).sum(dim=(2, 3, 4))


def test_maps_with_channels_last_give_the_evidence_of_those_with_channels_first():
    generator = torch.Generator().manual_seed(2)
    weights, batch = torch.randn(2, 2, 4, 4, generator=generator), torch.rand(2, 1, 32, 32, generator=generator)
    first, last = LinearOnMaps(weights), LinearOnMapsLast(weights)
    classes = torch.tensor([0, 1])
    np.testing.assert_allclose(heatmaps(last, batch, classes), heatmaps(first, batch, classes), atol=1e-6)


@pytest.mark.parametrize("backbone", ["swin_tiny_patch4_window7_224", "swinv2_tiny_window8_256", "mambaout_femto"])
def test_timm_says_which_networks_have_channels_last(backbone):
    size = 256 if "256" in backbone else 224
    network = timm.create_model(backbone, in_chans=1, num_classes=14).eval()
    kept = []
    cam_layer(network).register_forward_hook(lambda module, inputs, output: kept.append(output))
    with torch.no_grad():
        network(torch.zeros(1, 1, size, size))
    assert kept[0].shape[1] == kept[0].shape[2] < kept[0].shape[3]
    assert heatmaps(network, torch.rand(1, 1, size, size), torch.tensor([0])).shape == (1, size, size)


@pytest.mark.parametrize(
    ("backbone", "size", "found"),
    [("test_vit", 160, r"\(2, 101, 64\)"), ("xcit_nano_12_p8_224", 64, r"\(2, 64, 128\)"), ("selecsls42b", 64, "list")],
)
def test_tokens_and_several_outputs_are_no_maps_and_told_so(backbone, size, found):
    network = timm.create_model(backbone, in_chans=1, num_classes=14).eval()
    with pytest.raises(CheckpointError, match=rf"gives {found} where a heatmap wants maps of four axes"):
        heatmaps(network, torch.rand(2, 1, size, size), torch.tensor([0, 1]))
