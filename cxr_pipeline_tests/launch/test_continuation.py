"""More epochs of a run that was ended: the same bits as without the end between, or begun anew with the reason told."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from cxr_pipeline.errors import JobError, RecordError
from cxr_pipeline.launch.continuation import go_on_from_relative
from cxr_pipeline.launch.job import Job, prepare_job
from cxr_pipeline.launch.local import exclusively
from cxr_pipeline.training.__main__ import main
from cxr_pipeline.training.config import TrainConfig
from cxr_pipeline.training.run import loop
from cxr_pipeline.training.run.program import JobInputs
from cxr_pipeline_tests.training.tiny import TINY, write_inputs

# With everything that has a state. Drop path draws from torch's own generator in each step.
CONFIG = TINY.model_copy(
    update={"drop_path": 0.2, "ema_decay": 0.9, "plateau_patience": 0, "warmup_epochs": 1.5, "clip_norm": 1.0}
)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> JobInputs:
    return write_inputs(tmp_path_factory.mktemp("lake"))


class Jobs:
    """A folder of training jobs over one cohort."""

    def __init__(self, folder: Path, inputs: JobInputs) -> None:
        self.folder, self.inputs = folder, inputs

    def prepare(self, config: TrainConfig, **digests: str) -> Job:
        return prepare_job(
            self.folder,
            "cxr_pipeline.training",
            config=config.model_dump(mode="json"),
            inputs=self.inputs.model_dump(mode="json"),
            digests={"cohort": self.inputs.cohort_digest, **digests},
            deciding=config.deciding(),
        )

    def train(self, config: TrainConfig, **digests: str) -> Job:
        """As `pipeline.training` does, in this process."""
        job = self.prepare(config, **digests)
        go_on_from_relative(job, config)
        assert main([str(job.folder)]) == 0
        return job


@pytest.fixture
def jobs(tmp_path: Path, inputs: JobInputs) -> Jobs:
    return Jobs(tmp_path / "jobs", inputs)


@pytest.fixture
def undisturbed(tmp_path: Path, inputs: JobInputs) -> Jobs:
    """Another folder, where a job finds no relative."""
    return Jobs(tmp_path / "undisturbed", inputs)


def config(**changes: object) -> TrainConfig:
    return TrainConfig.model_validate({**CONFIG.model_dump(), **changes})


def made(job: Job) -> dict[str, bytes]:
    """What came out: weights, the checkpoint's config, the result."""
    names = ("checkpoint/model.safetensors", "checkpoint/config.json", "result.json")
    return {name: (job.folder / name).read_bytes() for name in names}


def events(job: Job, *names: str) -> list[dict]:
    lines = (json.loads(line) for line in job.events.read_text().splitlines())
    return [event for event in lines if event["event"] in names]


def all_files(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_more_epochs_give_the_bits_of_a_run_that_had_them_from_the_start(jobs: Jobs, undisturbed: Jobs):
    short = jobs.train(config(epochs=2))
    before = all_files(short.folder)
    long = jobs.train(config(epochs=4))
    assert [event["epoch"] for event in events(long, "epoch")] == [1, 2, 3, 4]
    assert made(long) == made(undisturbed.train(config(epochs=4)))
    (told,) = events(long, "continued")
    assert (told["job"], told["epochs_done"]) == (short.folder.name, 2)
    assert all_files(short.folder) == before
    assert [event["event"] for event in events(short, "continued", "begun_anew")] == []


def test_the_best_epoch_may_lie_before_the_end_that_was_between(
    jobs: Jobs, undisturbed: Jobs, monkeypatch: pytest.MonkeyPatch
):
    def score(*values: float) -> None:
        scores = iter(values)
        monkeypatch.setattr(loop, "macro_auroc", lambda labels, probabilities: (next(scores), {}))

    asked = {"best_by": "macro_auroc"}
    score(0.9, 0.5)
    jobs.train(config(epochs=2, **asked))
    score(0.6)
    long = jobs.train(config(epochs=3, **asked))
    score(0.9, 0.5, 0.6)
    assert made(long) == made(undisturbed.train(config(epochs=3, **asked)))
    assert long.result()["best_epoch"] == 1
    assert "the last 1 of them, without improvement, count towards" in events(long, "continued")[0]["note"]


def test_it_goes_on_from_the_furthest_job_and_more_than_once(jobs: Jobs, undisturbed: Jobs):
    short = jobs.train(config(epochs=1))
    middle = jobs.train(config(epochs=2))
    long = jobs.train(config(epochs=3))
    assert [event["job"] for event in events(long, "continued")] == [short.folder.name, middle.folder.name]
    assert made(long) == made(undisturbed.train(config(epochs=3)))


def test_another_loader_does_not_part_relatives(jobs: Jobs):
    jobs.train(config(epochs=1))
    long = jobs.train(config(epochs=2, loader_workers=1, report_steps=2))
    assert len(events(long, "continued")) == 1


def interrupt(jobs: Jobs, asked: TrainConfig, *, after_epoch: int, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A job that died right after the state of this epoch was written."""
    save = loop.save_snapshot

    def save_and_die(folder, learner, progress, inputs):
        save(folder, learner, progress, inputs)
        if progress.epoch > after_epoch:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_snapshot", save_and_die)
    job = jobs.prepare(asked)
    with pytest.raises(KeyboardInterrupt):
        main([str(job.folder)])
    monkeypatch.setattr(loop, "save_snapshot", save)
    return job


def test_a_run_that_was_killed_is_gone_on_from_with_fewer_epochs_too(
    jobs: Jobs, undisturbed: Jobs, monkeypatch: pytest.MonkeyPatch
):
    killed = interrupt(jobs, config(epochs=9), after_epoch=2, monkeypatch=monkeypatch)
    shorter = jobs.train(config(epochs=3))
    assert [event["job"] for event in events(shorter, "continued")] == [killed.folder.name]
    assert made(shorter) == made(undisturbed.train(config(epochs=3)))


def test_after_an_early_stop_patience_goes_on_and_is_told(
    jobs: Jobs, undisturbed: Jobs, monkeypatch: pytest.MonkeyPatch
):
    scores = iter([0.8, 0.7, 0.6])
    monkeypatch.setattr(loop, "macro_auroc", lambda labels, probabilities: (next(scores), {}))
    asked = {"best_by": "macro_auroc", "early_stop_patience": 2}
    stopped = jobs.train(config(epochs=5, **asked))
    assert stopped.result()["epochs"] == 3
    longer = jobs.train(config(epochs=9, **asked))  # a fourth epoch would ask for a fourth score
    assert longer.result() == stopped.result()
    (told,) = events(longer, "continued")
    assert "2 epochs without improvement had ended it early, so that none is added" in told["note"]
    assert "raise early_stop_patience above 2" in told["note"]
    scores = iter([0.7, 0.9])
    patient = jobs.train(config(epochs=5, best_by="macro_auroc", early_stop_patience=4))
    assert len(events(patient, "continued")) == 1
    scores = iter([0.8, 0.7, 0.6, 0.7, 0.9])
    again = undisturbed.train(config(epochs=5, best_by="macro_auroc", early_stop_patience=4))
    assert made(patient) == made(again)


def reason(job: Job) -> str:
    (told,) = events(job, "begun_anew")
    assert events(job, "continued") == []
    return told["note"]


def test_a_cosine_begins_anew_and_says_why(jobs: Jobs, undisturbed: Jobs):
    cosine = {"schedule": "cosine", "warmup_epochs": 0.5}
    short = jobs.train(config(epochs=1, **cosine))
    assert not list(short.folder.glob("resume*"))  # nobody can go on from it
    long = jobs.train(config(epochs=2, **cosine))
    assert "the learning rate of a cosine depends on the number of epochs" in reason(long)
    assert f"set `pretrained` to {short.folder}/checkpoint/model.safetensors" in reason(long)
    assert made(long) == made(undisturbed.train(config(epochs=2, **cosine)))


def test_a_job_that_is_further_than_asked_is_left_alone(jobs: Jobs, undisturbed: Jobs):
    jobs.train(config(epochs=2))
    shorter = jobs.train(config(epochs=1))
    assert "it is in epoch 2 already" in reason(shorter)
    assert made(shorter) == made(undisturbed.train(config(epochs=1)))


def test_less_patience_might_have_ended_earlier(jobs: Jobs):
    jobs.train(config(epochs=1, early_stop_patience=6))
    assert "with early_stop_patience 5 it might have ended" in reason(
        jobs.train(config(epochs=2, early_stop_patience=5))
    )


def test_a_state_that_was_deleted_is_told(jobs: Jobs):
    short = jobs.train(config(epochs=1))
    for path in short.folder.glob("resume*"):
        path.unlink()
    assert "it keeps no resume.json any more" in reason(jobs.train(config(epochs=2)))


@pytest.mark.parametrize("name", ["identity.json", "resume.json"])
def test_a_damaged_note_of_another_job_is_named_with_what_to_do(name: str, jobs: Jobs):
    short = jobs.train(config(epochs=1))
    (short.folder / name).write_text("")
    with pytest.raises(RecordError, match=rf"{short.folder.name}/{name}, 0 bytes, is no JSON .*; delete it"):
        jobs.train(config(epochs=2))
    (short.folder / name).unlink()
    assert jobs.train(config(epochs=2)).result()["epochs"] == 2


def test_a_job_that_is_being_run_is_not_touched(jobs: Jobs):
    short = jobs.train(config(epochs=1))
    long = jobs.prepare(config(epochs=2))
    with exclusively(short):
        go_on_from_relative(long, config(epochs=2))
    assert not (long.folder / "resume.json").exists()
    assert main([str(long.folder)]) == 0
    assert "it is being run" in reason(long)
    with exclusively(jobs.prepare(config(epochs=3))), pytest.raises(JobError, match="being run by another process"):
        go_on_from_relative(jobs.prepare(config(epochs=3)), config(epochs=3))


@pytest.mark.parametrize("changed", [{"lr": 1e-3}, {"seed": 1}, {"schedule": "cosine", "warmup_epochs": 0}])
def test_a_job_that_differs_in_more_is_no_relative(jobs: Jobs, changed: dict):
    jobs.train(config(epochs=1))
    job = jobs.prepare(config(epochs=2, **changed))
    go_on_from_relative(job, config(epochs=2, **changed))
    assert sorted(path.name for path in job.folder.iterdir()) == ["config.json", "identity.json", "inputs.json"]


def test_a_job_on_other_data_is_no_relative(jobs: Jobs):
    jobs.train(config(epochs=1))
    job = jobs.prepare(config(epochs=2), images="other pixels")
    go_on_from_relative(job, config(epochs=2))
    assert not (job.folder / "predecessor.json").exists()


def test_a_disk_without_links_gets_a_copy(jobs: Jobs, undisturbed: Jobs, monkeypatch: pytest.MonkeyPatch):
    def refuse(source: Path, target: Path) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr("os.link", refuse)
    short = jobs.train(config(epochs=1))
    long = jobs.train(config(epochs=2))
    shutil.rmtree(short.folder)
    assert made(long) == made(undisturbed.train(config(epochs=2)))
