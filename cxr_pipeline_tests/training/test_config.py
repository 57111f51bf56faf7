import json

import dagster as dg
import pytest
from pydantic import ValidationError

from cxr_pipeline.errors import JobError
from cxr_pipeline.training.config import TrainConfig


class TrainRunConfig(TrainConfig, dg.Config):
    """The launchpad form, as `defs` makes it."""


def test_the_same_class_is_a_dagster_form():
    seen = []

    @dg.op
    def train(config: TrainRunConfig) -> None:
        seen.append(TrainConfig.model_validate(config.model_dump()))

    @dg.job
    def form():
        train()

    chosen = {"lr": 0.01, "uncertain_as_one": ["Edema"], "precision": "bf16", "focal_alpha": 0.25}
    form.execute_in_process(run_config={"ops": {"train": {"config": chosen}}})
    assert seen == [TrainConfig(lr=0.01, uncertain_as_one=["Edema"], precision="bf16", focal_alpha=0.25)]


def test_survives_its_file(tmp_path):
    config = TrainConfig(lr=1e-3, focal_alpha=0.25, uncertain_as_one=["Edema"], uncertain_as_zero=[])
    (tmp_path / "config.json").write_text(config.model_dump_json())
    assert TrainConfig.read(tmp_path / "config.json") == config


def test_default_uncertain_policy_is_per_class_and_never_makes_cardiomegaly_positive():
    config = TrainConfig()
    assert config.uncertain_as_one == ["Atelectasis", "Edema"]
    assert config.uncertain_as_zero == ["Cardiomegaly", "Consolidation", "Effusion"]
    assert not config.horizontal_flip


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"lr": 0}, "lr"),
        ({"image_size": 100}, "image_size"),
        ({"learning_rate": 1}, "learning_rate"),
        ({"uncertain_as_one": ["Oedema"]}, "Oedema: not among the classes"),
        ({"uncertain_as_one": ["Edema"], "uncertain_as_zero": ["Edema"]}, "a class stands twice"),
        ({"uncertain_as_one": ["Edema", "Edema"]}, "a class stands twice"),
        ({"class_weights": "Mass=2,Hernia=1,Mass=3"}, "a name stands twice"),
        ({"source_weights": "nih=2, nih=2"}, "a name stands twice"),
        ({"min_lr": 1e-3, "lr": 1e-4}, "min_lr 0.001 is above lr 0.0001"),
        ({"class_weights": {"Mass": 1e308}}, "Mass: a weight is 0 to 1,000,000"),
        ({"source_weights": {"nih": -1}}, "nih: a weight is 0 to 1,000,000"),
    ],
)
def test_a_wrong_field_is_named(wrong, message, tmp_path):
    with pytest.raises(ValidationError, match=message):
        TrainConfig(**wrong)
    (tmp_path / "config.json").write_text(json.dumps(wrong))
    with pytest.raises(JobError, match=message):
        TrainConfig.read(tmp_path / "config.json")


def test_a_missing_or_broken_file_is_told(tmp_path):
    with pytest.raises(JobError, match="No config.json"):
        TrainConfig.read(tmp_path / "config.json")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(JobError, match="not a valid TrainConfig"):
        TrainConfig.read(tmp_path / "config.json")


def test_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        TrainConfig().lr = 1.0


def test_every_field_is_described():
    assert [name for name, field in TrainConfig.model_fields.items() if not field.description] == []


IDLE = {"report_steps": 7, "snapshot_minutes": 3.0, "threads": 3, "loader": "processes", "loader_workers": 5}


@pytest.mark.parametrize("field", IDLE)
def test_how_a_run_is_fed_and_told_of_does_not_decide_it(field):
    assert TrainConfig(**{field: IDLE[field]}).deciding() == TrainConfig().deciding()


def test_every_other_field_decides():
    assert set(TrainConfig.model_fields) - set(TrainConfig().deciding()) == set(IDLE)
    assert TrainConfig(accumulate=2).deciding() != TrainConfig().deciding()  # batch norm sees the parts
