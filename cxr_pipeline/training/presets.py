"""Recipes: named starting points for a `TrainConfig`, each with its cost and the number it should reach."""

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from cxr_pipeline.errors import TrainingError
from cxr_pipeline.training.config import TrainConfig
from cxr_pipeline.training.fields import describe_fields


@dataclass(frozen=True)
class Preset:
    """A recipe: what it is for in one line, what it needs, costs and should reach, and its settings."""

    purpose: str
    description: str
    config: TrainConfig


PRESETS: Mapping[str, Preset] = {
    "demo": Preset(
        "See the whole pipeline work, on phantoms and two CPU cores; says nothing of patients",
        "Two CPU cores, on rendered phantoms. Cost: 8 epochs of 10.5 s (2-core Xeon VM, 2026-11-23). Expected: test "
        "macro AUROC near .87 on the 5,778 phantoms of `make demo` (.864 [.846, .882]). Says nothing of patients.",
        TrainConfig(
            backbone="test_convnext2",
            pretrained="",
            image_size=64,
            epochs=8,
            batch_size=32,
            lr=4e-3,
            schedule="cosine",
            warmup_epochs=0.5,
            min_lr=1e-5,
            early_stop_patience=20,
            rotation_degrees=10,
            dropout_holes=0,
        ),
    ),
    "baseline": Preset(
        "A first real network, ConvNeXt-Tiny at 224 px, on one GPU with 16 GB",
        "One GPU with 16 GB. ConvNeXt-Tiny at 224 px: the small one of the main recipe's family, Apache-2.0, so that a "
        "comparison of the two is one of size. Cost: not measured yet. Expected on NIH's official test list: near the "
        "published .80 of ConvNeXt-S at 384 px and .805-.811 of DenseNet-121; nobody has measured it here yet.",
        TrainConfig(
            backbone="convnext_tiny.fb_in22k_ft_in1k",
            pretrained="hub",
            image_size=224,
            epochs=20,
            batch_size=64,
            lr=1e-4,
            warmup_epochs=1,
            plateau_patience=1,
            early_stop_patience=5,
            loader_workers=8,
        ),
    ),
    "convnext_large": Preset(
        "The main recipe, ConvNeXt-Large at 384 px, on one H100 or more",
        "The main recipe, for one H100 or more. Cost: an epoch over N images takes N / 434 s on one H100 (measured at "
        "batches of 64 with 34 GiB; 35 minutes for 900,000 images), and validation. Expected on NIH's official test "
        "list: nobody has measured it yet; published single networks reach .80-.835 there, and above .85 a leak is to "
        "be suspected.",
        TrainConfig(
            backbone="convnext_large.fb_in22k_ft_in1k_384",
            pretrained="hub",
            image_size=384,
            epochs=30,
            batch_size=32,
            lr=5e-5,
            weight_decay=0.05,
            focal_gamma=2.0,
            warmup_epochs=1,
            loader_workers=8,
        ),
    ),
}


@dataclass(frozen=True)
class Layer:
    """Values that lie over a preset, and where they come from: a file, or `--set`; errors begin with that."""

    origin: str
    values: Mapping[str, Any]


def preset(name: str, **overrides: Any) -> TrainConfig:
    """The recipe `name` with some fields set otherwise; raises TrainingError for an unknown name, field or value."""
    return layered(name, Layer("", overrides))


def layered(name: str, *layers: Layer) -> TrainConfig:
    """The recipe `name` below `layers`, of which a later one lies over those before it.

    Raises TrainingError for an unknown name, and for all unknown fields or all unfit values: each with its origin,
    what was found and what was expected.
    """
    if name not in PRESETS:
        raise TrainingError(f"No preset {name!r}{_nearest(name, PRESETS)}: choose one of {', '.join(PRESETS)}.")
    _check_fields(layers)
    values = {field: value for layer in layers for field, value in layer.values.items()}
    try:
        return TrainConfig.model_validate({**PRESETS[name].config.model_dump(), **values})
    except ValidationError as error:
        wrong = "; ".join(_describe(one, layers) for one in error.errors())
        raise TrainingError(f"Preset {name} cannot be changed so ({wrong}).") from error


def _check_fields(layers: Sequence[Layer]) -> None:
    """Raises TrainingError that names the fields which there are not."""
    known = TrainConfig.model_fields
    unknown = [
        f"No field {field!r}{f' in {layer.origin}' if layer.origin else ''}{_hint(field)}"
        for layer in layers
        for field in layer.values
        if field not in known
    ]
    if unknown:
        raise TrainingError(f"{'; '.join(unknown)}. Fields: {', '.join(known)}.")


def _describe(error: Any, layers: Sequence[Layer]) -> str:
    """`<origin>: <field>: found <value>, expected <type and limits>`; of fields that do not go together, why."""
    field = error["loc"][0] if error["loc"] else None
    origins = [layer.origin for layer in layers if layer.origin and (field is None or field in layer.values)]
    told = ": ".join([", ".join(origins if field is None else origins[-1:]), ".".join(map(str, error["loc"]))])
    if error["type"] == "value_error":
        found = str(error["ctx"]["error"])
    else:
        found = f"found {reprlib.repr(error['input'])}, expected {describe_fields()[str(field)].expected}"
    return f"{told.strip(': ')}: {found}".removeprefix(": ")


def _hint(field: object) -> str:
    return ": a preset is named with --preset" if field == "preset" else _nearest(str(field), TrainConfig.model_fields)


def _nearest(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f", is it {close[0]!r}?" if close else ""
