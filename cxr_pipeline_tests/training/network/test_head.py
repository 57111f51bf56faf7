import pytest
import torch
from torch import nn
from torch.nn.functional import linear

from cxr_pipeline.training.network.backbone import build_network, merge_heads
from cxr_pipeline.training.network.head import ExactHead, make_exact
from cxr_pipeline_tests.training.tiny import TINY


def heard_by_head(network, *, dtype):
    """(features that the head was given, logits) of 64 images under autocast."""
    heard = []
    hook = network.get_classifier().register_forward_pre_hook(lambda _, given: heard.append(given[0]))
    with torch.autocast("cpu", dtype=dtype):
        logits = network(torch.randn(64, 1, 32, 32, generator=torch.Generator().manual_seed(1)))
    hook.remove()
    return heard[0].detach(), logits


@pytest.mark.parametrize("backbone", ["test_convnext", "resnet10t", "vgg11"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_logits_in_half_precision_are_those_of_a_float32_head_without_ties(backbone, dtype):
    torch.manual_seed(0)
    network = build_network(TINY.model_copy(update={"backbone": backbone})).eval()
    features, logits = heard_by_head(network, dtype=dtype)
    head = network.get_classifier()
    assert logits.dtype == torch.float32
    assert torch.equal(logits, linear(features.float(), head.weight, head.bias))
    assert [len(logits[:, k].unique()) for k in range(14)] == [64] * 14


def test_the_merged_head_is_exact_too():
    many = build_network(TINY, n_labels=28).eval()
    merged = merge_heads(many, torch.ones(2, 14, dtype=torch.bool).numpy())
    features, logits = heard_by_head(merged, dtype=torch.bfloat16)
    head = merged.get_classifier()
    assert torch.equal(logits, linear(features.float(), head.weight, head.bias))


def test_gradients_reach_half_precision_features_and_the_very_parameters_of_the_head():
    network = nn.Sequential(nn.Linear(8, 6), nn.Linear(6, 3))
    head = network[1]
    make_exact(network, head)
    assert isinstance(network[1], ExactHead)
    assert network[1].weight is head.weight
    with torch.autocast("cpu", dtype=torch.bfloat16):
        network(torch.randn(4, 8)).sum().backward()
    assert head.weight.grad.dtype == torch.float32
    assert (network[0].weight.grad != 0).any()


def test_the_names_of_the_weights_stay_those_of_timm():
    import timm

    names = timm.create_model(TINY.backbone, in_chans=1, num_classes=14).state_dict().keys()
    assert list(build_network(TINY).state_dict()) == list(names)
