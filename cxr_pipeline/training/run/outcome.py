"""What a run tells: the event of each moment, its epochs, its result. When things happen is decided in `loop`."""

from dataclasses import dataclass

import numpy as np
import torch

import cxr_pipeline
from cxr_pipeline.pathologies import NEGATIVE, PATHOLOGIES, POSITIVE, SPLITS, UNCERTAIN
from cxr_pipeline.training.checkpoint.files import CheckpointConfig
from cxr_pipeline.training.checkpoint.licences import inherited_licences
from cxr_pipeline.training.checkpoint.thresholds import macro_auroc
from cxr_pipeline.training.data.batches import Cohort
from cxr_pipeline.training.network.backbone import count_batch_norms, starting_weights
from cxr_pipeline.training.run.learner import Learner, Step
from cxr_pipeline.training.run.program import Event, JobInputs

CHECKPOINT = "checkpoint"


@dataclass(frozen=True)
class Epoch:
    """One pass over the training images, and what validation says after it."""

    number: int  # from 1
    lr: float  # at the end of the pass
    train_loss: float
    val_loss: float
    val_macro_auroc: float | None  # over all validation images; None where no class can be measured
    val_source_auroc: dict[str, float | None]  # macro AUROC within each source
    val_auroc: dict[str, float | None]

    def score(self, best_by: str) -> float:
        """Higher is better. Whether an AUROC exists depends on the validation labels alone: it does all run long."""
        measured = [value for value in self.val_source_auroc.values() if value is not None]
        if best_by == "source_macro_auroc" and measured:
            return float(np.mean(measured))
        if best_by == "loss" or self.val_macro_auroc is None:
            return -self.val_loss
        return self.val_macro_auroc


@dataclass(frozen=True)
class Result:
    """What came out of a run; no clock times, so that two equal runs give equal results."""

    checkpoint: str  # folder within the job
    weights_sha256: str
    epochs: int  # passes made, at most those asked for
    best_epoch: int  # from 1; the losses and AUROCs below are of this epoch
    train_loss: float
    val_loss: float
    val_macro_auroc: float | None  # None where no class of the validation images can be measured
    val_source_auroc: dict[str, float | None]
    val_auroc: dict[str, float | None]
    thresholds: dict[str, float | None]
    images: dict[str, int]  # per split
    without_positives: list[str]  # classes that no training image shows
    warnings: list[str]  # what is to be known of the run, a sentence each


def source_auroc(cohort: Cohort, probabilities: np.ndarray) -> dict[str, float | None]:
    """Source -> macro AUROC of its images alone, of `probabilities` [n, 14]; None where no class can be measured."""
    own = {name: cohort.datasets == name for name in sorted(set(cohort.datasets))}
    return {name: macro_auroc(cohort.labels[rows], probabilities[rows])[0] for name, rows in own.items()}


def start_event(learner: Learner, cohort: Cohort, *, resumed: int) -> Event:
    """What is trained, where, on which images; `resumed` is the number of steps that an earlier run had done."""
    return {
        "event": "start",
        "backbone": learner.config.backbone,
        "parameters": sum(p.numel() for p in learner.network.parameters()),
        "device": str(learner.device),
        "processes": learner.world.size,
        "resumed_at_step": resumed,
        **{f"{split}_images": count for split, count in image_counts(cohort).items()},
        **(started.counts() if (started := starting_weights(learner.network)) else {}),
        "without_positives": without_positives(cohort),
        "cells": {split: _cells(cohort.select(split).labels) for split in SPLITS},
        **_head_classes(learner, cohort),
    }


def run_warnings(learner: Learner) -> list[str]:
    """What is to be known of this run beside its numbers, a sentence each."""
    config, processes = learner.config, learner.world.size
    parts, layers = config.accumulate * processes, count_batch_norms(learner.network)
    if parts == 1 or not layers:
        return []
    return [
        f"The {layers} batch norm layers of {config.backbone} see each batch of {config.batch_size} in {parts} parts "
        f"of {config.batch_size // parts} images (accumulate {config.accumulate}, processes {processes}): the fewer "
        "images in a part, the worse the network may become. Set accumulate=1 with a smaller batch_size, start fewer "
        "processes, or take a backbone without batch norm, as ConvNeXt is."
    ]


def step_event(paced: list[Step], losses: list[float], *, seconds: float, batch_size: int, epochs: int) -> Event:
    """After the steps `paced`, which took `seconds`; `losses` may reach further back, to before a resume."""
    step = paced[-1]
    left = (epochs - step.epoch) * step.of + step.of - step.number
    return {
        "event": "step",
        "epoch": step.epoch,
        "step": step.number,
        "steps": step.of,
        "loss": float(np.mean(losses)),
        "images_per_second": round(len(paced) * batch_size / seconds, 1),
        "data_wait": round(sum(one.waited for one in paced) / seconds, 4),
        "eta_seconds": round(left * seconds / len(paced)),
        **_gpu_memory(),
    }


def epoch_event(epoch: Epoch, *, epochs: int, is_best: bool, seconds: float, images_per_second: float) -> Event:
    """After each epoch; at most `epochs` there are."""
    return {
        "event": "epoch",
        "epoch": epoch.number,
        "epochs": epochs,
        "train_loss": epoch.train_loss,
        "val_loss": epoch.val_loss,
        "val_macro_auroc": epoch.val_macro_auroc,
        "lr": epoch.lr,
        "seconds": round(seconds, 3),
        "images_per_second": round(images_per_second, 1),
        "best": is_best,
        "val_source_auroc": epoch.val_source_auroc,
        "val_auroc": epoch.val_auroc,
    }


@dataclass(frozen=True)
class Calibration:
    """What validation says of probabilities: their temperature, and from where on each class counts as positive."""

    temperature: float | None
    thresholds: dict[str, float | None]


def describe_checkpoint(
    learner: Learner, epoch: Epoch, trained: Cohort, inputs: JobInputs, calibration: Calibration
) -> CheckpointConfig:
    """What the checkpoint of `epoch` says of itself; `trained` are the training images."""
    return CheckpointConfig(
        labels=list(PATHOLOGIES),
        train=learner.config,
        thresholds=calibration.thresholds,
        temperature=calibration.temperature,
        mean=learner.mean,
        std=learner.std,
        licences=inherited_licences(inputs.licences, trained, learner.network, learner.config),
        cohort_digest=inputs.cohort_digest,
        code_version=cxr_pipeline.__version__,
        best_epoch=epoch.number,
        val_macro_auroc=epoch.val_macro_auroc,
        sources=sorted(set(trained.datasets)),
        is_phantom=bool(trained.is_phantom.any()),
    )


def result_of(saved: CheckpointConfig, history: list[Epoch], cohort: Cohort, warnings: list[str]) -> Result:
    """The result of the run whose best checkpoint is `saved`."""
    best = history[saved.best_epoch - 1]
    return Result(
        checkpoint=CHECKPOINT,
        weights_sha256=saved.weights_sha256,
        epochs=len(history),
        best_epoch=best.number,
        train_loss=best.train_loss,
        val_loss=best.val_loss,
        val_macro_auroc=best.val_macro_auroc,
        val_source_auroc=best.val_source_auroc,
        val_auroc=best.val_auroc,
        thresholds=saved.thresholds,
        images=image_counts(cohort),
        without_positives=without_positives(cohort),
        warnings=warnings,
    )


def image_counts(cohort: Cohort) -> dict[str, int]:
    return {split: len(cohort.select(split)) for split in SPLITS}


def without_positives(cohort: Cohort) -> list[str]:
    shown = (cohort.select("train").labels == POSITIVE).any(axis=0)
    return [name for name, is_shown in zip(PATHOLOGIES, shown, strict=True) if not is_shown]


def _head_classes(learner: Learner, cohort: Cohort) -> Event:
    """Where each source has a head: source -> the classes that its head was shown, and has a say in."""
    if not learner.config.head_per_source:
        return {}
    sources = sorted(set(cohort.select("train").datasets))
    known = [[name for name, is_known in zip(PATHOLOGIES, row, strict=True) if is_known] for row in learner.knows]
    return {"head_classes": dict(zip(sources, known, strict=True))}


def _cells(labels: np.ndarray) -> dict[str, dict[str, int]]:
    """class -> how many cells are positive, negative, uncertain and unknown."""
    meanings = {"positive": POSITIVE, "negative": NEGATIVE, "uncertain": UNCERTAIN}
    counts = {word: (labels == value).sum(axis=0) for word, value in meanings.items()}
    counts["unknown"] = np.isnan(labels).sum(axis=0)
    return {name: {word: int(count[k]) for word, count in counts.items()} for k, name in enumerate(PATHOLOGIES)}


def _gpu_memory() -> dict[str, float]:
    if not torch.cuda.is_available():
        return {}
    return {"gpu_memory_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2)}
