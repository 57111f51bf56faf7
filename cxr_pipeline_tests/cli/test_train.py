import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from cxr_pipeline.cli.main import app
from cxr_pipeline.training.config import TrainConfig
from cxr_pipeline.training.presets import PRESETS, preset

run = CliRunner().invoke


@pytest.fixture(scope="module")
def help_lines() -> list[str]:
    result = run(app, ["train", "--help"])
    assert result.exit_code == 0
    return result.output.splitlines()


@pytest.mark.parametrize("name", PRESETS)
def test_help_says_what_each_preset_is_for_and_what_it_sets(name: str, help_lines: list[str]):
    at = next(n for n, line in enumerate(help_lines) if line.split(maxsplit=1)[:1] == [name])
    assert help_lines[at].split(maxsplit=1)[1] == PRESETS[name].purpose
    told = dict(pair.split("=", 1) for pair in help_lines[at + 1].split()[1:])
    assert preset("demo", **PRESETS[name].config.model_dump()) == TrainConfig.model_validate(
        {field: "" if value == '""' else value for field, value in told.items()}
    )


@pytest.mark.parametrize("name", TrainConfig.model_fields)
def test_help_explains_each_field(name: str, help_lines: list[str]):
    at = next(n for n, line in enumerate(help_lines) if re.match(rf"  {name} ", line))
    assert "; default " in help_lines[at]
    assert help_lines[at].endswith("; starts no other job") == (name not in TrainConfig().deciding())
    assert help_lines[at + 1].strip() == TrainConfig.model_fields[name].description


def test_help_comes_without_torch():
    asked = "import sys; from cxr_pipeline.cli.main import app; app(['train', '--help'], standalone_mode=False)"
    counted = "; print('loaded:', [name for name in ('torch', 'timm', 'mlflow', 'dagster') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", asked + counted], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: []"
