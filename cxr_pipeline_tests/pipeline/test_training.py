from pathlib import Path

import pytest

from cxr_pipeline.errors import CheckpointError
from cxr_pipeline.launch.job import Job
from cxr_pipeline.pipeline.training import current_checkpoint, train_checkpoint
from cxr_pipeline.storage.lake import Lake
from cxr_pipeline.training.config import TrainConfig
from cxr_pipeline_tests.pipeline.lakes import launch, prepare, split, tracker, write_nih
from cxr_pipeline_tests.training.tiny import TINY


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "lake")
    prepare(lake, write_nih(tmp_path / "nih", patients=24))
    split(lake)
    return lake


def train(lake: Lake, config: TrainConfig) -> Job:
    return train_checkpoint(lake, config, launch=launch, tracker=tracker(lake), tags={})[0].job


def test_evaluation_without_a_checkpoint_says_what_to_run(tmp_path: Path):
    with pytest.raises(CheckpointError, match="cxr train"):
        current_checkpoint(Lake(tmp_path))


def test_another_loader_finds_the_job_that_was_done_and_another_seed_does_not(lake: Lake):
    one = TINY.model_copy(update={"epochs": 1})
    done = train(lake, one)
    changed = one.model_copy(update={"loader_workers": 1, "threads": 1, "report_steps": 3, "snapshot_minutes": 0.5})
    assert train(lake, changed) == done
    assert TrainConfig.read(done.folder / "config.json") == one
    assert train(lake, one.model_copy(update={"seed": 1})) != done
