import copy

import pytest
import torch
from torch import nn

from cxr_pipeline.training.network.backbone import build_network
from cxr_pipeline.training.network.depthwise import QuickDepthwise, quicken_depthwise
from cxr_pipeline_tests.training.tiny import TINY


@pytest.mark.parametrize("kernel", [3, 7, (5, 3)])
def test_the_gradients_are_those_of_torch(kernel):
    torch.manual_seed(0)
    sides = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    padding = tuple(side // 2 for side in sides)
    slow = nn.Sequential(nn.Conv2d(6, 6, kernel, padding=padding, groups=6)).double()
    quick = copy.deepcopy(slow)
    assert quicken_depthwise(quick) == 1
    images = [torch.randn(2, 6, 11, 9, dtype=torch.float64).requires_grad_() for _ in range(2)]
    images[1].data.copy_(images[0].data)
    slope = torch.randn(2, 6, 11, 9, dtype=torch.float64)
    for network, image in zip((slow, quick), images, strict=True):
        network(image).backward(slope)
    torch.testing.assert_close(images[1].grad, images[0].grad)
    for found, expected in zip(quick.parameters(), slow.parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad)


def test_a_network_keeps_its_output_its_weights_and_their_names():
    network = build_network(TINY).eval()
    quick = copy.deepcopy(network)
    assert quicken_depthwise(quick) == sum(type(m) is nn.Conv2d and m.groups > 1 for m in network.modules()) > 0
    assert list(quick.state_dict()) == list(network.state_dict())
    images = torch.randn(2, 1, 32, 32)
    torch.testing.assert_close(quick(images), network(images))


def test_under_autocast_it_computes_in_half_precision():
    conv = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, groups=4))
    quicken_depthwise(conv)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert conv(torch.randn(1, 4, 8, 8)).dtype == torch.bfloat16


@pytest.mark.parametrize(
    "other",
    [
        nn.Conv2d(4, 4, 3, padding=1),
        nn.Conv2d(4, 8, 3, padding=1, groups=4),
        nn.Conv2d(4, 4, 3, padding=1, stride=2, groups=4),
        nn.Conv2d(4, 4, 3, groups=4),
        nn.Conv2d(4, 4, 4, padding=2, groups=4),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4),
        nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False),
        nn.Conv2d(4, 4, 3, padding=1, groups=4, padding_mode="reflect"),
    ],
)
def test_other_convolutions_are_left_alone(other):
    network = nn.Sequential(other)
    assert quicken_depthwise(network) == 0
    assert not isinstance(network[0], QuickDepthwise)
