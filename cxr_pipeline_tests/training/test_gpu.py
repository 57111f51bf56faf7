"""What only a GPU shows. Run it where there is one: `pytest cxr_pipeline_tests/training/test_gpu.py`."""

import numpy as np
import pytest
import torch
from torch import nn

from cxr_pipeline.training.config import TrainConfig
from cxr_pipeline.training.data.augment import augmentation
from cxr_pipeline.training.data.batches import CohortImages, Loader, cell_weights, read_cohort, targets
from cxr_pipeline.training.network.backbone import build_network
from cxr_pipeline.training.network.depthwise import quicken_depthwise
from cxr_pipeline.training.run.learner import Learner, Part
from cxr_pipeline_tests.training.tiny import TINY, write_inputs

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"),
    pytest.mark.filterwarnings("default"),  # torch's compiler warns of torch
]


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    inputs = write_inputs(tmp_path_factory.mktemp("lake"))
    cohort = read_cohort(inputs.cohort).select("train")
    values, mask = targets(cohort.labels, cohort.shares, TINY)
    loader = Loader(CohortImages(cohort, inputs.images), augmentation(TINY), processes=True)
    yield Part(cohort, loader, values, cell_weights(cohort, mask, TINY))
    loader.close()


def losses(part: Part, device: str, config: TrainConfig) -> list[float]:
    torch.manual_seed(0)
    learner = Learner(config, build_network(config), torch.device(device))
    return [step.loss for epoch in (1, 2) for step in learner.train_epoch(part, epoch)]


@pytest.mark.parametrize("changes", [{}, {"ema_decay": 0.9, "clip_norm": 1.0}, {"accumulate": 2}])
def test_a_compiled_run_on_the_gpu_gives_the_losses_of_the_cpu(part, changes):
    on_cpu = losses(part, "cpu", TINY.model_copy(update=changes))
    on_gpu = losses(part, "cuda", TINY.model_copy(update={**changes, "device": "cuda", "precision": "fp32"}))
    np.testing.assert_allclose(on_gpu, on_cpu, rtol=2e-3)


def test_bf16_learns_what_fp32_learns(part):
    exact = losses(part, "cuda", TINY.model_copy(update={"device": "cuda", "precision": "fp32"}))
    rough = losses(part, "cuda", TINY.model_copy(update={"device": "cuda"}))
    assert rough != exact
    np.testing.assert_allclose(rough, exact, rtol=0.05)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_the_quick_gradient_is_that_of_a_convolution(dtype, tolerance):
    torch.manual_seed(0)
    layout = {"memory_format": torch.channels_last}
    conv = nn.Conv2d(96, 96, 7, padding=3, groups=96).to("cuda", dtype)
    quick = nn.Sequential(nn.Conv2d(96, 96, 7, padding=3, groups=96)).to("cuda", dtype)
    quick[0].load_state_dict(conv.state_dict())
    assert quicken_depthwise(quick) == 1
    images = torch.randn(4, 96, 30, 30, device="cuda", dtype=dtype).contiguous(**layout)
    inputs = [images.clone(**layout).requires_grad_() for _ in range(2)]
    slope = torch.randn_like(images)
    for network, values in zip((conv, quick), inputs, strict=True):
        network(values).backward(slope)
    pairs = [
        (inputs[0].grad, inputs[1].grad),
        (conv.weight.grad, quick[0].weight.grad),
        (conv.bias.grad, quick[0].bias.grad),
    ]
    for expected, found in pairs:
        assert (found - expected).float().norm() <= tolerance * expected.float().norm()
