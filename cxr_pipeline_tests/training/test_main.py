import json
import subprocess
import sys
from dataclasses import fields

import pytest

from cxr_pipeline.training.__main__ import main
from cxr_pipeline.training.checkpoint.files import load_checkpoint
from cxr_pipeline.training.run.loop import Result
from cxr_pipeline_tests.training.tiny import TINY

# What a GPU node does not have (docs/architecture.md, two wings and one seam). A finder refuses them: a None in
# sys.modules would pass for an installed polars in scikit-learn.
LEAN = """
import importlib.abc, runpy, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in ("dagster", "polars", "mlflow", "boto3", "dataframely"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
sys.argv = ["cxr_pipeline.training", sys.argv[1]]
runpy.run_module("cxr_pipeline.training", run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def job(tmp_path, inputs):
    (tmp_path / "config.json").write_text(TINY.model_dump_json())
    (tmp_path / "inputs.json").write_text(inputs.model_dump_json())
    return tmp_path


@pytest.mark.long
def test_trains_on_a_node_without_the_data_wing(job):
    done = subprocess.run([sys.executable, "-c", LEAN, str(job)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["start", "epoch", "epoch", "done"]
    result = json.loads((job / "result.json").read_text())
    assert set(result) == {field.name for field in fields(Result)}
    assert load_checkpoint(job / result["checkpoint"])[1].weights_sha256 == result["weights_sha256"]
    assert sorted(path.name for path in job.iterdir()) == [
        *("checkpoint", "config.json", "events.jsonl", "inputs.json", "result.json"),
        *("resume-6.safetensors", "resume.json"),  # for more epochs
    ]


def test_a_wrong_config_is_one_line_and_status_one(job, capsys):
    (job / "config.json").write_text('{"epochs": 0}')
    assert main([str(job)]) == 1
    told = capsys.readouterr()
    assert told.err.startswith("error: ")
    assert "epochs: Input should be greater than or equal to 1" in told.err
    assert len(told.err.splitlines()) == 1


def test_absent_images_are_one_line_and_status_one(job, capsys, inputs):
    (job / "inputs.json").write_text(inputs.model_copy(update={"images": job / "none"}).model_dump_json())
    assert main([str(job)]) == 1
    assert capsys.readouterr().err.startswith("error: ")
    assert not (job / "result.json").exists()
