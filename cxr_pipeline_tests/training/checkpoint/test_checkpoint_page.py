"""Follows docs/checkpoint.md: other programs load a checkpoint without this package."""

import ast
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from cxr_pipeline.evaluation.classifier import Classifier
from cxr_pipeline.evaluation.predict import network_input
from cxr_pipeline.training.checkpoint.files import save_checkpoint
from cxr_pipeline.training.network.backbone import build_network
from cxr_pipeline_tests.images.conftest import picture
from cxr_pipeline_tests.training.checkpoint.test_files import CONFIG
from cxr_pipeline_tests.training.tiny import SIZE

PAGE = (Path(__file__).parents[3] / "docs" / "checkpoint.md").read_text()
LOAD, PREDICT = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture
def classifier(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(4)
    save_checkpoint(
        tmp_path / "checkpoint", build_network(CONFIG.train), CONFIG.model_copy(update={"temperature": 0.6})
    )
    return Classifier.load(tmp_path / "checkpoint")


def imported(code: str) -> set[str]:
    nodes = list(ast.walk(ast.parse(code)))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return names | {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}


def test_loading_takes_five_lines_and_nothing_of_ours():
    assert len([line for line in LOAD.splitlines() if line]) == 5
    assert imported(LOAD) | imported(PREDICT) == {"json", "pathlib", "timm", "numpy", "torch", "PIL"}


def test_the_page_gives_our_logits_and_our_probabilities(classifier, tmp_path):
    pixels = picture(3, height=SIZE, width=SIZE)
    cv2.imwrite(str(tmp_path / "chest.png"), pixels)
    found: dict = {}
    exec(LOAD + PREDICT, found)
    with torch.inference_mode():
        expected = classifier.network(network_input(pixels[None], classifier.network, classifier.config))
    torch.testing.assert_close(found["logits"], expected, rtol=0, atol=1e-6)
    ours = classifier.classify((tmp_path / "chest.png").read_bytes()).probabilities
    assert found["probabilities"] == pytest.approx(ours, abs=1e-6)
    assert np.ptp(list(ours.values())) > 0.01


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("shape", [(150, 120), (300, 200), (200, 300), (33, 40), (1000, 800)])
def test_another_shape_of_picture_gives_the_probabilities_that_the_page_says(classifier, tmp_path, shape, number):
    """A rest of an odd number of black pixels (300 x 200) must go where ours goes: one pixel is .17 off."""
    within = float(re.search(r"then agree within ([\d.]+\d)", PAGE).group(1))
    cv2.imwrite(str(tmp_path / "chest.png"), picture(number, height=shape[0], width=shape[1]))
    found: dict = {}
    exec(LOAD + PREDICT, found)
    ours = classifier.classify((tmp_path / "chest.png").read_bytes()).probabilities
    assert found["probabilities"] == pytest.approx(ours, abs=within)
