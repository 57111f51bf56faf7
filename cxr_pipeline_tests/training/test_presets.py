import re
from pathlib import Path

import pytest
import timm

from cxr_pipeline.errors import TrainingError
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.training.config import TrainConfig
from cxr_pipeline.training.presets import PRESETS, preset

GUIDE = Path(__file__).parents[2] / "docs" / "training.md"


@pytest.mark.parametrize("name", PRESETS)
def test_names_a_freely_licensed_backbone_and_an_expected_number(name):
    assert timm.get_pretrained_cfg(PRESETS[name].config.backbone).license == "apache-2.0"
    assert "Expected" in PRESETS[name].description


def test_the_main_recipe_is_that_of_the_design():
    config = preset("convnext_large")
    assert (config.backbone, config.image_size, config.epochs) == ("convnext_large.fb_in22k_ft_in1k_384", 384, 30)
    assert (config.focal_gamma, config.weight_decay, config.lr, config.pretrained) == (2.0, 0.05, 5e-5, "hub")


def test_the_demo_needs_no_network():
    assert preset("demo").pretrained == ""


@pytest.mark.parametrize("name", PRESETS)
def test_every_recipe_is_of_the_convnext_family(name):
    assert "convnext" in PRESETS[name].config.backbone


@pytest.mark.parametrize("name", PRESETS)
def test_says_what_it_costs(name):
    assert "Cost: " in PRESETS[name].description


def test_the_guide_knows_all_options_and_presets():
    told = set(re.findall(r"`(\w+)`", GUIDE.read_text()))
    untold = {*TrainConfig.model_fields, *PRESETS} - told
    assert untold == set()


def test_overrides_change_only_what_they_name():
    assert preset("demo", epochs=1) == PRESETS["demo"].config.model_copy(update={"epochs": 1})


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("huge", {}, "No preset 'huge': choose one of demo, baseline, convnext_large"),
        ("demo", {"epoch": 1}, "No field 'epoch', is it 'epochs'.*Fields: backbone, "),
        ("convnext-large", {}, "No preset 'convnext-large', is it 'convnext_large'"),
        ("demo", {"class_weights": "Mass"}, "expected NAME=WEIGHT,NAME=WEIGHT"),
        ("demo", {"train_on": "nih", "source_weights": "nih=0"}, "nothing would be learnt"),
        ("demo", {"class_weights": dict.fromkeys(PATHOLOGIES, 0)}, "nothing would be learnt"),
        ("demo", {"epochs": 0}, "epochs: "),
    ],
)
def test_unknown_names_fields_and_values_are_told(name, overrides, message):
    with pytest.raises(TrainingError, match=message):
        preset(name, **overrides)


def test_lists_weights_and_nothing_are_written_on_a_command_line():
    config = preset(
        "demo",
        uncertain_as_one="Edema, Atelectasis",
        uncertain_as_zero="Mass",
        class_weights="Hernia=2,Mass=1.5",
        source_weights="nih=0.5",
        clip_norm="null",
        focal_alpha="null",
    )
    assert config.uncertain_as_one == ["Edema", "Atelectasis"]
    assert config.uncertain_as_zero == ["Mass"]
    assert config.class_weights == {"Hernia": 2.0, "Mass": 1.5}
    assert config.source_weights == {"nih": 0.5}
    assert config.clip_norm is None
    assert config.focal_alpha is None
