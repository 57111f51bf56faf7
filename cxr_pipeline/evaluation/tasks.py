"""The two tasks of an evaluation job on a GPU node, predict and explain. Their parts live in the modules so named."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import nn

from cxr_pipeline.errors import CheckpointError, JobError
from cxr_pipeline.evaluation.config import EvaluateConfig
from cxr_pipeline.evaluation.explain import INDEX, Pick, pick_images, showable, write_explanations
from cxr_pipeline.evaluation.facts import identify
from cxr_pipeline.evaluation.gradcam import heatmaps
from cxr_pipeline.evaluation.predict import network_input, predict, prediction_table
from cxr_pipeline.evaluation.scored import ScoredImages
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.storage.files import file_digest, write_atomically
from cxr_pipeline.storage.origins import write_origin
from cxr_pipeline.training.checkpoint.files import CheckpointConfig, load_checkpoint
from cxr_pipeline.training.data.batches import Cohort, CohortImages, Loader, read_cohort
from cxr_pipeline.training.data.sizes import check_size
from cxr_pipeline.training.network.device import choose_device
from cxr_pipeline.training.run.program import JobInputs, Report

EXPLAINED_SPLIT = "test"
PREDICTIONS, EXPLANATIONS = "predictions.parquet", "explanations"  # what the tasks leave in the job folder


@dataclass(frozen=True)
class Task:
    """One job at work: its settings, the network, and where the image stores are."""

    config: EvaluateConfig
    network: nn.Module  # on `device`, in evaluation mode
    checkpoint: CheckpointConfig
    device: torch.device
    images: Path
    report: Report


def run_task(job: Path, config: EvaluateConfig, inputs: JobInputs, report: Report) -> dict[str, Any]:
    """Does what `config.task` says and returns what goes into `result.json`."""
    if inputs.checkpoint is None:
        raise JobError(f"{job / 'inputs.json'} names no checkpoint, and there is nothing to evaluate without: add it.")
    if config.threads:
        torch.set_num_threads(config.threads)
    cohort, device = read_cohort(inputs.cohort), choose_device(config.device)
    network, checkpoint = load_checkpoint(inputs.checkpoint, device=device)
    _check_labels(checkpoint, inputs.checkpoint)
    task = Task(config, network, checkpoint, device, inputs.images, report)
    work, made = (_predict, PREDICTIONS) if config.task == "predict" else (_explain, f"{EXPLANATIONS}/{INDEX}")
    result = work(task, cohort, job)
    write_origin(job / made, identify(inputs.checkpoint, cohort_digest=inputs.cohort_digest))
    origin = {"weights_sha256": checkpoint.weights_sha256, "cohort_digest": inputs.cohort_digest}
    return {"task": config.task} | result | origin


def _check_labels(checkpoint: CheckpointConfig, folder: Path) -> None:
    if tuple(checkpoint.labels) != PATHOLOGIES:
        raise CheckpointError(
            f"{folder} predicts {', '.join(checkpoint.labels)}; expected {', '.join(PATHOLOGIES)}, in this order. "
            "Use the cxr_pipeline version that wrote it, or train again."
        )


def _predict(task: Task, cohort: Cohort, job: Path) -> dict[str, Any]:
    """Writes `predictions.parquet`: one row per image of the chosen splits."""
    chosen = cohort.take(np.isin(cohort.splits.astype(str), task.config.splits))
    if not len(chosen):
        raise JobError(f"The cohort has no image in {', '.join(task.config.splits)}: expected some. Choose others.")
    table = prediction_table(chosen, _probabilities(task, chosen))
    path = job / PREDICTIONS
    write_atomically(path, lambda temporary: pq.write_table(table, temporary))
    counts = {split: int((chosen.splits == split).sum()) for split in task.config.splits}
    return {"images": len(chosen), "splits": counts, "predictions_sha256": file_digest(path)}


def _explain(task: Task, cohort: Cohort, job: Path) -> dict[str, Any]:
    """Writes `explanations/`: picks among the test images that may be shown, after scoring just these."""
    test = cohort.select(EXPLAINED_SPLIT)
    chosen = test.take(showable(test, task.config.show_sources))
    scored = ScoredImages(chosen, _probabilities(task, chosen))
    picks = pick_images(scored, task.checkpoint.thresholds, per_class=task.config.per_class)
    pixels = _picked_pixels(task, scored, picks)
    try:
        heat = _picked_heat(task, picks, pixels)
    except CheckpointError as error:  # a network without maps has numbers all the same
        task.report({"event": "warning", "text": f"The report goes without pictures: {error}"})
        picks, heat = [], []
    write_explanations(job / EXPLANATIONS, scored, picks, pixels, heat)
    task.report({"event": "explained", "pictures": len(picks)})
    return {"images": len(chosen), "withheld": len(test) - len(chosen), "pictures": len(picks)}


def _probabilities(task: Task, cohort: Cohort) -> np.ndarray:
    started = time.monotonic()
    task.report({"event": "start", "images": len(cohort), "device": str(task.device)})
    probabilities = predict(task.network, _pixels(task, cohort), task.checkpoint)
    task.report({"event": "predicted", "images": len(cohort), "seconds": round(time.monotonic() - started, 3)})
    return probabilities


def _pixels(task: Task, cohort: Cohort) -> Iterator[np.ndarray]:
    """uint8 batches in the cohort's order; none for an empty cohort, which has no store to ask."""
    if not len(cohort):
        return
    images, order = CohortImages(cohort, task.images), np.arange(len(cohort))
    check_size(images, task.checkpoint.train.image_size)
    loader = Loader(images, workers=task.config.loader_threads)
    for _, pixels in loader.batches(order, batch_size=task.config.batch_size):
        yield pixels
    loader.close()


def _picked_pixels(task: Task, scored: ScoredImages, picks: list[Pick]) -> np.ndarray:
    """uint8 [picks, h, w]; an image may be picked for several classes."""
    if not picks:
        return np.empty((0, 1, 1), dtype=np.uint8)
    return CohortImages(scored.cohort, task.images).read(np.array([pick.row for pick in picks]))


def _picked_heat(task: Task, picks: list[Pick], pixels: np.ndarray) -> list[np.ndarray]:
    """float32 [h, w] for each pick."""
    classes = torch.tensor([pick.class_index for pick in picks], dtype=torch.int64, device=task.device)
    heat: list[np.ndarray] = []
    for start in range(0, len(picks), task.config.batch_size):
        part = slice(start, start + task.config.batch_size)
        batch = network_input(pixels[part], task.network, task.checkpoint)
        heat.extend(heatmaps(task.network, batch, classes[part]))
    return heat
