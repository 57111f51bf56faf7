import pytest
from pydantic import Field, create_model

from cxr_pipeline.training import fields
from cxr_pipeline.training.config import TrainConfig
from cxr_pipeline.training.fields import describe_fields, in_words


def test_every_field_of_the_model_is_described_in_its_order():
    described = describe_fields()
    assert list(described) == list(TrainConfig.model_fields)
    assert {name: field.meaning for name, field in described.items()} == {
        name: field.description for name, field in TrainConfig.model_fields.items()
    }


@pytest.mark.parametrize(
    ("name", "expected", "default"),
    [
        ("epochs", "int, 1 to 1000", "30"),
        ("image_size", "int, 32 to 2048", "384"),
        ("seed", "int, 0 or more, below 4294967296", "0"),
        ("lr", "float, over 0, at most 1", "5e-05"),
        ("clip_norm", "float | null, over 0", "null"),
        ("backbone", "text, not empty", "convnext_large.fb_in22k_ft_in1k_384"),
        ("schedule", "plateau | cosine", "plateau"),
        ("horizontal_flip", "true | false", "false"),
        ("uncertain_as_one", "list of text", '["Atelectasis", "Edema"]'),
        ("class_weights", "NAME: float", "{}"),
    ],
)
def test_type_limits_and_default_are_told(name, expected, default):
    field = describe_fields()[name]
    assert (field.expected, field.default) == (expected, default)


def test_a_field_that_the_model_gains_is_described_without_another_word(monkeypatch):
    grown = create_model(
        "Grown", __base__=TrainConfig, momentum=(float, Field(default=0.9, ge=0, le=1, description="Of SGD"))
    )
    monkeypatch.setattr(fields, "TrainConfig", grown)
    described = describe_fields.__wrapped__()
    assert (described["momentum"].expected, described["momentum"].meaning) == ("float, 0 to 1", "Of SGD")


@pytest.mark.parametrize(("value", "text"), [("", '""'), ("hub", "hub"), (10.0, "10"), (0.25, "0.25"), (None, "null")])
def test_values_are_written_as_one_types_them(value, text):
    assert in_words(value) == text
