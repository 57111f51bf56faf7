"""A lake of a few phantoms of NIH, made by the real steps; the jobs of its programs run in this process."""

from pathlib import Path
from typing import Any

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.evaluation.__main__ import main as evaluate
from cxr_pipeline.images.store.shards import StoreForm
from cxr_pipeline.launch.job import Job
from cxr_pipeline.phantom.write import PhantomRequest, write_phantoms
from cxr_pipeline.pipeline.images import write_images
from cxr_pipeline.pipeline.jobs import OnEvent
from cxr_pipeline.pipeline.labels import write_labels
from cxr_pipeline.pipeline.raw import write_inventory
from cxr_pipeline.pipeline.split import write_cohort, write_duplicates
from cxr_pipeline.pipeline.training import Checkpoint, train_checkpoint
from cxr_pipeline.split.config import SplitConfig
from cxr_pipeline.storage.lake import Lake
from cxr_pipeline.tracking import Tracker
from cxr_pipeline.training.__main__ import main as train
from cxr_pipeline_tests.training.tiny import TINY

PROGRAMS = {"cxr_pipeline.training": train, "cxr_pipeline.evaluation": evaluate}
NIH = DATASETS["nih"]


def write_nih(root: Path, *, patients: int) -> Path:
    """Phantoms of NIH in the folder `root`."""
    write_phantoms(PhantomRequest("nih", patients=patients, seed=1, size=64), root, workers=1)
    return root


def prepare(lake: Lake, root: Path) -> None:
    """Everything before the split: NIH from `root`, the other sources unused."""
    for dataset in DATASETS.values():
        folder = root if dataset is NIH else None
        write_inventory(lake, dataset, folder)
        write_labels(lake, dataset, folder)
        write_images(lake, dataset, folder, form=StoreForm(32))


def split(lake: Lake) -> None:
    write_duplicates(lake)
    write_cohort(lake, SplitConfig())


def launch(job: Job, _: OnEvent) -> dict[str, Any]:
    """Runs a job that is not done yet."""
    if not job.is_done:
        assert PROGRAMS[job.program]([str(job.folder)]) == 0
    return job.result()


def tracker(lake: Lake) -> Tracker:
    home = lake.root.parent
    return Tracker(f"sqlite:///{home}/mlflow.db", "test", home / "artifacts", "http://here")


def fit(lake: Lake, *, seed: int) -> Checkpoint:
    """A checkpoint of one epoch."""
    config = TINY.model_copy(update={"epochs": 1, "seed": seed})
    return train_checkpoint(lake, config, launch=launch, tracker=tracker(lake), tags={})[0]
