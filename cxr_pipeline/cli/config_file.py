"""Reads the settings of `cxr train --config FILE`. Whether they fit a `TrainConfig` is asked in `training.presets`."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from cxr_pipeline.errors import TrainingError

LARGEST_BYTES = 1_000_000  # a recipe is a page; weights that were named by mistake are not read
_EXPECTED = "expected a YAML or JSON file of `FIELD: VALUE`, as `cxr train --help` lists them"


def read_config_file(path: Path) -> dict[str, Any]:
    """field -> value, as the file has them; of the `config.json` of a checkpoint the training's part of it.

    A name that ends with .json is JSON, any other is YAML 1.2 without tags: `on` is text, and `1e-4` a number. Raises
    TrainingError, a line that names the file, when it cannot be read or holds anything but settings.
    """
    text = _read_text(path.expanduser())
    try:
        found = _read_json(text) if path.suffix.lower() == ".json" else _read_yaml(text)
    except (yaml.YAMLError, ValueError) as error:
        raise TrainingError(f"{path} cannot be read ({_one_line(error)}): {_EXPECTED}.") from error
    except RecursionError as error:
        raise TrainingError(f"{path} is nested too deeply: {_EXPECTED}.") from error
    if not isinstance(found, dict) or not found:
        raise TrainingError(f"{path} holds {_in_words(found)}: {_EXPECTED}.")
    is_checkpoint = "weights_sha256" in found and isinstance(found.get("train"), dict)
    return found["train"] if is_checkpoint else found


def _read_text(path: Path) -> str:
    if path.is_dir():
        inside = f", for example {path / 'config.json'}" if (path / "config.json").is_file() else ""
        raise TrainingError(f"{path} is a folder: name a file{inside}.")
    try:
        with path.open("rb") as file:  # a pipe too, as of `--config <(...)`
            content = file.read(LARGEST_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise TrainingError(f"{path} cannot be read ({error.strerror}): {_EXPECTED}.") from error
    except UnicodeDecodeError as error:
        raise TrainingError(f"{path} is not text in UTF-8: {_EXPECTED}.") from error
    if len(content) > LARGEST_BYTES:
        raise TrainingError(f"{path} has more than {LARGEST_BYTES:,} bytes: {_EXPECTED}.")
    return text


def _read_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_unique) if text.strip() else None


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """As a dict; raises ValueError when a name stands twice, of which JSON itself would keep the last."""
    _check_unique([name for name, _ in pairs])
    return dict(pairs)


def _check_unique(names: Sequence[Any]) -> None:
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} stands more than once: keep one")


def _read_yaml(text: str) -> Any:
    for token in yaml.scan(text):
        if isinstance(token, yaml.TagToken):
            raise ValueError(f"line {token.start_mark.line + 1} has a YAML tag, and values here have none: remove it")
    return yaml.load(text, Loader=_Yaml)  # noqa: S506 - a SafeLoader


class _Yaml(yaml.SafeLoader):
    """YAML 1.2's plain values. In 1.1, PyYAML's own, `compile: on` is true, 1e-4 is text and 010 is eight."""

    yaml_implicit_resolvers: dict[str, Any] = {}

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        _check_unique([key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)])
        return super().construct_mapping(node, deep=deep)


_NUMBER = r"[-+]?(0|[1-9][0-9]*)"
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", _NUMBER, list("-+0123456789")),
    ("float", rf"{_NUMBER}(\.[0-9]*)?([eE][-+]?[0-9]+)?|[-+]?\.[0-9]+([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
    ("merge", "<<", ["<"]),
):
    _Yaml.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^({_pattern})$"), _first)


def _one_line(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return " ".join(str(error).split())


def _in_words(found: Any) -> str:
    return "a list" if isinstance(found, list) else "no setting" if not found else f"a single {type(found).__name__}"
