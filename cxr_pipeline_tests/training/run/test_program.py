import json
import sys

import dagster as dg
import pytest

from cxr_pipeline.errors import TrainingError
from cxr_pipeline.training.run.program import JobInputs, event_line, run_program

INPUTS = {"cohort": "c.parquet", "images": "images", "cohort_digest": "abc"}
EPOCH = {"event": "epoch", "epoch": 1, "val_macro_auroc": 0.81234, "best": True, "classes": ["Mass"], "cells": {"a": 1}}

PROGRAM = """
import sys
from pathlib import Path
from cxr_pipeline.errors import TrainingError
from cxr_pipeline.training.run.program import run_program

def body(job, inputs, report):
    report({"event": "epoch", "epoch": 1, "val_macro_auroc": 0.5})
    if sys.argv[2] == "fails":
        raise TrainingError("nothing to learn")
    return {"digest": inputs.cohort_digest}

sys.exit(run_program(Path(sys.argv[1]), body))
"""


@pytest.fixture
def job(tmp_path):
    (tmp_path / "inputs.json").write_text(json.dumps(INPUTS))
    return tmp_path


def test_events_are_lines_and_the_result_comes_last(job, capsys):
    def body(folder, inputs, report):
        assert (folder, inputs) == (job, JobInputs(**INPUTS))
        assert not (job / "result.json").exists()
        report(EPOCH)
        assert [json.loads(line) for line in (job / "events.jsonl").read_text().splitlines()] == [EPOCH]
        return {"best": 1}

    (job / "events.jsonl").write_text("of an earlier start\n")
    (job / "result.json").write_text("{}")
    assert run_program(job, body) == 0
    assert json.loads((job / "result.json").read_text()) == {"best": 1}
    assert capsys.readouterr().out == "epoch epoch=1 val_macro_auroc=0.8123 best=True classes=Mass\n"


def test_a_failure_of_ours_is_one_line_and_leaves_no_result(job, capsys):
    def body(folder, inputs, report):
        report(EPOCH)
        raise TrainingError("nothing to learn")

    assert run_program(job, body) == 1
    assert capsys.readouterr().err == "error: nothing to learn\n"
    assert not (job / "result.json").exists()
    assert len((job / "events.jsonl").read_text().splitlines()) == 1


def test_other_failures_propagate(job):
    def body(folder, inputs, report):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_program(job, body)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No inputs.json"),
        ("{", "not a valid JobInputs"),
        ('{"cohort": "c"}', "images: Field required; cohort_digest: Field required"),
        (json.dumps(INPUTS | {"weights": "w"}), "weights: Extra inputs"),
    ],
)
def test_wrong_inputs_are_told(tmp_path, capsys, content, message):
    if content is not None:
        (tmp_path / "inputs.json").write_text(content)
    assert run_program(tmp_path, lambda folder, inputs, report: {}) == 1
    assert message in capsys.readouterr().err


def test_a_missing_job_folder_is_told(tmp_path, capsys):
    assert run_program(tmp_path / "none", lambda folder, inputs, report: {}) == 1
    assert "No job folder at" in capsys.readouterr().err


def test_a_line_keeps_none_and_empty_lists_readable():
    assert event_line({"event": "start", "val": None, "without": []}) == "start val=None without=none"


@pytest.mark.filterwarnings("ignore:Function `PipesMessageReader.expected_writer_count`")  # dagster warns of itself
@pytest.mark.parametrize("outcome", ["works", "fails"])
def test_dagster_hears_each_event_and_the_failure(job, outcome):
    heard = []

    @dg.op
    def train(context: dg.OpExecutionContext, pipes: dg.PipesSubprocessClient) -> None:
        command = [sys.executable, "-c", PROGRAM, str(job), outcome]
        heard.extend(pipes.run(command=command, context=context).get_custom_messages())

    @dg.job(resource_defs={"pipes": dg.ResourceDefinition.hardcoded_resource(dg.PipesSubprocessClient())})
    def launch():
        train()

    done = launch.execute_in_process(raise_on_error=False)
    assert done.success == (outcome == "works")
    assert heard == ([{"event": "epoch", "epoch": 1, "val_macro_auroc": 0.5}] if done.success else [])
    assert len((job / "events.jsonl").read_text().splitlines()) == 1
    assert (job / "result.json").exists() == done.success
