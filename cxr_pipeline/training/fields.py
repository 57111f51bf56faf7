"""The fields of a `TrainConfig` in words: type, limits, default and meaning, all of them read from the model."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from cxr_pipeline.training.config import TrainConfig

_KINDS = {"string": "text", "integer": "int", "number": "float", "boolean": "true | false", "null": "null"}
_BOUNDS = {
    "exclusiveMinimum": "over {}",
    "minimum": "{} or more",
    "exclusiveMaximum": "below {}",
    "maximum": "at most {}",
}


@dataclass(frozen=True)
class Field:
    """One field: `kind` is its type, or its choices; `limits` is empty where there are none.

    `decides` says whether the weights depend on it, and with them the job.
    """

    name: str
    kind: str
    limits: str
    default: str
    meaning: str
    decides: bool

    @property
    def expected(self) -> str:
        """What a value has to be, for an error: `int, 1 to 1000`."""
        return f"{self.kind}, {self.limits}" if self.limits else self.kind


@cache
def describe_fields() -> Mapping[str, Field]:
    """name -> field, in the order of the model."""
    properties = TrainConfig.model_json_schema()["properties"]
    return {name: _field(name, schema) for name, schema in properties.items()}


def in_words(value: Any) -> str:
    """A value as one writes it: text bare, the rest as JSON; empty text as `""`, 10.0 as 10."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) and value else json.dumps(value)


def _field(name: str, schema: Mapping[str, Any]) -> Field:
    limited = next((one for one in schema.get("anyOf", []) if one["type"] != "null"), schema)
    default, decides = in_words(schema["default"]), bool(schema.get("decides", True))
    return Field(name, _kind(schema), _limits(limited), default, schema["description"], decides)


def _kind(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " | ".join(map(_kind, schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(schema["enum"])
    if schema["type"] == "array":
        return f"list of {_kind(schema['items'])}"
    if schema["type"] == "object":
        return f"NAME: {_kind(schema['additionalProperties'])}"
    return _KINDS[schema["type"]]


def _limits(schema: Mapping[str, Any]) -> str:
    """`over 0, at most 1`; of whole numbers and closed ranges `1 to 1000`."""
    told = [word.format(schema[key]) for key, word in _BOUNDS.items() if key in schema]
    if {"minimum", "maximum"} <= set(schema):
        told = [f"{schema['minimum']} to {schema['maximum']}"]
    if "multipleOf" in schema:
        told.append(f"a multiple of {schema['multipleOf']}")
    return ", ".join(told + (["not empty"] if schema.get("minLength") else []))
