"""`--config FILE`: what is read from it, and what is refused in one line that names the file."""

import json
import os
from pathlib import Path

import pytest

from cxr_pipeline.cli.config_file import LARGEST_BYTES, read_config_file
from cxr_pipeline.cli.train import read_train_config
from cxr_pipeline.errors import TrainingError
from cxr_pipeline.training.presets import preset

YAML = """\
# a recipe
backbone: convnext_tiny.fb_in22k_ft_in1k
lr: 1e-4
epochs: 12
compile: on
clip_norm: null
horizontal_flip: false
train_on: [nih, vindr]
class_weights: {Hernia: 2, Mass: 1.5}
uncertain_as_one:
  - Edema
"""
READ = {
    "backbone": "convnext_tiny.fb_in22k_ft_in1k",
    "lr": 1e-4,
    "epochs": 12,
    "compile": "on",
    "clip_norm": None,
    "horizontal_flip": False,
    "train_on": ["nih", "vindr"],
    "class_weights": {"Hernia": 2, "Mass": 1.5},
    "uncertain_as_one": ["Edema"],
}


def written(folder: Path, text: str | bytes, name: str = "recipe.yaml") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("recipe.yaml", YAML),
        ("recipe.yml", "\ufeff" + YAML),
        ("recipe", YAML.replace("\n", "\r\n")),
        ("recipe.json", json.dumps(READ)),
        ("recipe.JSON", json.dumps(READ, indent=1)),
    ],
)
def test_yaml_and_json_say_the_same(tmp_path: Path, name: str, text: str):
    assert read_config_file(written(tmp_path, text, name)) == READ


@pytest.mark.parametrize(
    ("text", "value"),
    [("3e-4", 3e-4), ("1E3", 1000.0), (".5", 0.5), ("5.", 5.0), ("-2", -2), ("010", "010"), ("12:30", "12:30")]
    + [("yes", "yes"), ("off", "off"), ("2026-11-28", "2026-11-28"), ("0x10", "0x10"), ("True", True), ("~", None)],
)
def test_plain_values_are_those_of_yaml_1_2(tmp_path: Path, text: str, value: object):
    found = read_config_file(written(tmp_path, f"field: {text}"))["field"]
    assert (found, type(found)) == (value, type(value))


def test_set_lies_over_the_file_and_the_file_over_the_preset(tmp_path: Path):
    file = written(tmp_path, "epochs: 12\nlr: 1e-3\n")
    config = read_train_config("demo", file, ["lr=2e-3"])
    assert config == preset("demo", epochs=12, lr=2e-3)


def test_the_stored_config_of_a_job_and_of_a_checkpoint_is_a_file_like_any_other(tmp_path: Path):
    config = preset("demo", epochs=3, class_weights={"Mass": 2.0}, train_on=["nih"])
    job = written(tmp_path, config.model_dump_json(), "config.json")
    checkpoint = {"labels": ["Mass"], "train": config.model_dump(mode="json"), "weights_sha256": "0" * 64}
    (tmp_path / "checkpoint").mkdir()
    stored = written(tmp_path / "checkpoint", json.dumps(checkpoint), "config.json")
    assert read_train_config("baseline", job, []) == read_train_config("baseline", stored, []) == config


REFUSED = {
    "": "holds no setting",
    "# nothing\n": "holds no setting",
    "---\n": "holds no setting",
    "- epochs\n- 3\n": "holds a list",
    "epochs\n": "holds a single str",
    "epochs: 3\nlr: 1e-3\nepochs: 4\n": "epochs stands more than once",
    "class_weights: {Mass: 2, Mass: 3}\n": "Mass stands more than once",
    "epochs: !!python/object/apply:os.system ['touch {ran}']\n": "line 1 has a YAML tag",
    "lr: 1e-3\nepochs: !!int '3'\n": "line 2 has a YAML tag",
    "epochs: [3\n": "line 2: ",
    "epochs: 3\n\tlr: 1\n": "line 2: found character",
    "epochs: 3\n---\nepochs: 4\n": "line 2: but found another document",
    "epochs: *three\n": "line 1: found undefined alias",
    "epochs: 3\0\n": "special characters are not allowed",
    "[" * 3_000: "nested too deeply",
    b"\xff\xfe\x00e": "not text in UTF-8",
    b"x" * (LARGEST_BYTES + 1): f"more than {LARGEST_BYTES:,} bytes",
}


@pytest.mark.parametrize("text", REFUSED, ids=REFUSED.values())
def test_a_file_that_holds_no_settings_is_one_line(tmp_path: Path, text: str | bytes):
    ran = tmp_path / "ran"
    file = written(tmp_path, text.replace("{ran}", str(ran)) if isinstance(text, str) else text)
    with pytest.raises(TrainingError) as caught:
        read_config_file(file)
    assert REFUSED[text] in str(caught.value)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)
    assert not ran.exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "holds no setting"),
        ("[1]", "holds a list"),
        ('{"epochs": 3, "epochs": 4}', "epochs stands more than once"),
        ('{"epochs": 3', "cannot be read"),
        ('{"epochs": ' + "9" * 5000 + "}", "cannot be read"),
        ("[" * 200_000, "nested too deeply"),
    ],
)
def test_json_that_holds_no_settings_is_one_line(tmp_path: Path, text: str, told: str):
    file = written(tmp_path, text, "recipe.json")
    with pytest.raises(TrainingError, match=told) as caught:
        read_config_file(file)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


def test_a_folder_and_a_missing_file_are_told(tmp_path: Path):
    with pytest.raises(TrainingError, match=r"absent\.yaml cannot be read \(No such file or directory\)"):
        read_config_file(tmp_path / "absent.yaml")
    with pytest.raises(TrainingError, match="is a folder: name a file\\.$"):
        read_config_file(tmp_path)
    written(tmp_path, "{}", "config.json")
    with pytest.raises(TrainingError, match=r"is a folder: name a file, for example .*config\.json"):
        read_config_file(tmp_path)


def test_a_pipe_is_read(tmp_path: Path):
    reader, writer = os.pipe()
    os.write(writer, b"epochs: 3\n")
    os.close(writer)
    try:
        assert read_config_file(Path(f"/dev/fd/{reader}")) == {"epochs": 3}
    finally:
        os.close(reader)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("epoch: 3", "No field 'epoch' in {file}, is it 'epochs'?"),
        ("preset: baseline", "No field 'preset' in {file}: a preset is named with --preset"),
        ("1: 3", "No field 1 in {file}"),
        ("epochs: many", "{file}: epochs: found 'many', expected int, 1 to 1000"),
        ("epochs: 10.5", "{file}: epochs: found 10.5, expected int, 1 to 1000"),
        ("epochs: true", "{file}: epochs: found True, expected int, 1 to 1000"),
        ("epochs: [3]", "{file}: epochs: found [3], expected int, 1 to 1000"),
        ("epochs:", "{file}: epochs: found None, expected int, 1 to 1000"),
        ("lr: .nan", "{file}: lr: found nan, expected float, over 0, at most 1"),
        ("min_lr: nan", "{file}: min_lr: found 'nan', expected float, 0 or more"),
        ("snapshot_minutes: .inf", "{file}: snapshot_minutes: found inf, expected float, 0 or more"),
        ("backbone: 7", "{file}: backbone: found 7, expected text, not empty"),
        ("compile: true", "{file}: compile: found True, expected auto | on | off"),
        ("train_on: [nih, 3]", "{file}: train_on.1: found 3, expected list of text"),
        ("class_weights: {Mass: .nan}", "{file}: class_weights.Mass: found nan, expected NAME: float"),
        ("class_weights: {Mass: true}", "{file}: class_weights: found {'Mass': True}, expected NAME: float"),
        ("class_weights: {Mas: 2}", "{file}, --set: Mas: not among the classes"),
        ("warmup_epochs: 9", "{file}, --set: warmup_epochs 9 leave none of the 8 epochs"),
    ],
)
def test_a_setting_that_does_not_fit_names_file_field_found_and_expected(tmp_path: Path, text: str, told: str):
    file = written(tmp_path, text)
    with pytest.raises(TrainingError) as caught:
        read_train_config("demo", file, ["seed=1"])
    assert told.replace("{file}", str(file)) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_set_names_is_not_blamed_on_the_file(tmp_path: Path):
    file = written(tmp_path, "epochs: many\nlr: 1e-3\n")
    with pytest.raises(TrainingError, match="--set: lr: found 'high', expected float") as caught:
        read_train_config("demo", file, ["epochs=3", "lr=high"])
    assert "recipe.yaml" not in str(caught.value)


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path):
    file = written(tmp_path, "epochs: many\nlr: 7\n")
    with pytest.raises(TrainingError, match="epochs: found 'many'.*; .*lr: found 7, expected float"):
        read_train_config("demo", file, [])


@pytest.mark.parametrize("overrides", [["warmup_epochs=9"], ["class_weights=Mas=2"]])
def test_without_a_file_an_error_of_fields_together_begins_with_set(overrides: list[str]):
    with pytest.raises(TrainingError, match=r"Preset demo cannot be changed so \(--set: "):
        read_train_config("demo", None, overrides)
