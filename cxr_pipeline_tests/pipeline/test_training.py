from pathlib import Path

import pytest
import torch

from cxr_pipeline.errors import CheckpointError, RecordError
from cxr_pipeline.launch.job import Job
from cxr_pipeline.pipeline.training import Checkpoint, current_checkpoint, train_checkpoint
from cxr_pipeline.storage.lake import Lake
from cxr_pipeline.training.config import TrainConfig
from cxr_pipeline.training.network.backbone import build_network
from cxr_pipeline_tests.pipeline.lakes import launch, prepare, split, tracker, write_nih
from cxr_pipeline_tests.training.tiny import TINY


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("home")
    lake = Lake(folder / "lake")
    prepare(lake, write_nih(folder / "nih", patients=24))
    split(lake)
    return lake


def checkpoint(lake: Lake, config: TrainConfig) -> Checkpoint:
    return train_checkpoint(lake, config, launch=launch, tracker=tracker(lake), tags={})[0]


def train(lake: Lake, config: TrainConfig) -> Job:
    return checkpoint(lake, config).job


def test_evaluation_without_a_checkpoint_says_what_to_run(tmp_path: Path):
    with pytest.raises(CheckpointError, match="cxr train"):
        current_checkpoint(Lake(tmp_path))


@pytest.mark.parametrize("content", ["", "{", "{}", "[]"])
def test_a_damaged_pointer_to_the_checkpoint_is_told(content: str, tmp_path: Path):
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "checkpoint.json").write_text(content)
    with pytest.raises(RecordError, match=r"checkpoint\.json.*run `cxr train` again, which repeats nothing"):
        current_checkpoint(Lake(tmp_path))


@pytest.mark.parametrize("name", ["result.json", "mlflow.json"])
def test_a_damaged_note_of_a_job_is_named_and_the_same_goes_on_without_it(name: str, lake: Lake):
    config = TINY.model_copy(update={"epochs": 1, "seed": 5})
    job = train(lake, config)
    (job.folder / name).write_text("{")
    with pytest.raises(RecordError, match=rf"{name}.*; delete it"):
        train(lake, config)
    (job.folder / name).unlink()
    assert train(lake, config).result()["epochs"] == 1


def test_another_loader_finds_the_job_that_was_done_and_another_seed_does_not(lake: Lake):
    one = TINY.model_copy(update={"epochs": 1})
    done = train(lake, one)
    changed = one.model_copy(update={"loader_workers": 1, "threads": 1, "report_steps": 3, "snapshot_minutes": 0.5})
    assert train(lake, changed) == done
    assert TrainConfig.read(done.folder / "config.json") == one
    assert train(lake, one.model_copy(update={"seed": 1})) != done


def test_other_weights_under_the_same_name_start_another_job(lake: Lake, tmp_path: Path):
    weights, file = build_network(TINY).state_dict(), tmp_path / "weights.pt"
    config = TINY.model_copy(update={"epochs": 1, "pretrained": str(file)})
    torch.save(weights, file)
    first = checkpoint(lake, config)
    assert first.starting_weights == f"{len(weights) - 2} loaded, 2 skipped, 0 missing"
    assert train(lake, config) == first.job
    torch.save({name: one + 1 for name, one in weights.items()}, file)
    assert train(lake, config) != first.job
