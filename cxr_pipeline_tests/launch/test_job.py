import json
from pathlib import Path

from cxr_pipeline.launch.job import Job, prepare_job


def prepare(jobs: Path, config: dict) -> Job:
    """A job that is named by `lr` alone."""
    return prepare_job(jobs, "program", config=config, inputs={}, digests={}, deciding={"lr": config["lr"]})


def kept(job: Job) -> dict:
    return json.loads((job.folder / "config.json").read_text())


def test_a_job_is_named_by_what_decides_and_runs_with_the_whole_config(tmp_path: Path):
    first, again = prepare(tmp_path, {"lr": 0.1, "workers": 2}), prepare(tmp_path, {"lr": 0.1, "workers": 4})
    assert first == again
    assert kept(again) == {"lr": 0.1, "workers": 4}
    assert prepare(tmp_path, {"lr": 0.2, "workers": 4}) != first


def test_a_finished_job_keeps_the_config_that_it_was_done_with(tmp_path: Path):
    job = prepare(tmp_path, {"lr": 0.1, "workers": 2})
    (job.folder / "result.json").write_text("{}")
    assert kept(prepare(tmp_path, {"lr": 0.1, "workers": 4})) == {"lr": 0.1, "workers": 2}
