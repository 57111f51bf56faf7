"""The story of one training run, from the cohort to the checkpoint. How a step is done is in `learner`."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

import cxr_pipeline
from cxr_pipeline.errors import TrainingError
from cxr_pipeline.pathologies import NEGATIVE, PATHOLOGIES, POSITIVE, SPLITS, UNCERTAIN
from cxr_pipeline.training.checkpoint import CheckpointConfig, save_checkpoint
from cxr_pipeline.training.config import TrainConfig
from cxr_pipeline.training.data import Cohort, CohortImages, read_cohort, targets
from cxr_pipeline.training.device import choose_device
from cxr_pipeline.training.learner import Learner, Part
from cxr_pipeline.training.network import build_network, prevalence_bias
from cxr_pipeline.training.program import Event, JobInputs, Report
from cxr_pipeline.training.thresholds import choose_thresholds, macro_auroc

CHECKPOINT = "checkpoint"


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
    val_auroc: dict[str, float | None]
    thresholds: dict[str, float | None]
    images: dict[str, int]  # per split
    without_positives: list[str]  # classes that no training image shows


@dataclass(frozen=True)
class Epoch:
    """One pass over the training images, and what validation says after it."""

    number: int  # from 1
    lr: float  # at the end of the pass
    train_loss: float
    val_loss: float
    val_macro_auroc: float | None
    val_auroc: dict[str, float | None]
    probabilities: np.ndarray  # float32 [n, 14] of the validation images
    seconds: float  # training and validation
    images_per_second: float  # training alone

    @property
    def score(self) -> float:
        """Higher is better. Which of the two it is depends on the validation labels alone: the same all run long."""
        return -self.val_loss if self.val_macro_auroc is None else self.val_macro_auroc


def fit(config: TrainConfig, inputs: JobInputs, job: Path, report: Report) -> Result:
    """Trains, keeps the best epoch in `job/checkpoint`, and reports `start`, each `epoch` and `done`.

    On one CPU with one number of threads the same seed gives the same weights, bit by bit. Raises TrainingError when
    there is nothing to learn from or an output is not a number; TableError and StoreError for unusable inputs.
    """
    _seed_torch(config)
    device = choose_device(config.device)
    cohort = read_cohort(inputs.cohort)
    train, val = (_part(cohort, split, inputs.images, config) for split in ("train", "val"))
    network = build_network(config, bias=prevalence_bias(train.targets, train.mask))
    learner = Learner(config, network, device)
    scheduler = _plateau(learner)
    report(_start_event(learner, cohort))

    history: list[Epoch] = []
    for number in range(1, config.epochs + 1):
        epoch = _run_epoch(learner, train, val, number)
        history.append(epoch)
        best = max(history, key=lambda past: past.score)  # the first of equals
        if epoch is best:
            saved = save_checkpoint(job / CHECKPOINT, network, _describe(learner, epoch, train, val, inputs))
        report(_epoch_event(epoch, epochs=config.epochs, is_best=epoch is best))
        if number - best.number >= config.early_stop_patience:
            break
        if number >= config.warmup_epochs:
            scheduler.step(epoch.score)

    report(
        {"event": "done", "epochs": len(history), "best_epoch": best.number, "val_macro_auroc": best.val_macro_auroc}
    )
    return _result(saved, history, cohort)


def _seed_torch(config: TrainConfig) -> None:
    """The program's start: initial weights and drop path draw from torch's own generator."""
    torch.manual_seed(config.seed)
    if config.threads:
        torch.set_num_threads(config.threads)


def _part(cohort: Cohort, split: str, images_root: Path, config: TrainConfig) -> Part:
    own = cohort.select(split)
    values, mask = targets(own.labels, own.shares, config)
    if not mask.any():
        raise TrainingError(
            f"The cohort has {len(own)} {split} images and {int(mask.sum())} known labels among them: expected some. "
            "Add a source, or check the shares of the split."
        )
    return Part(own, CohortImages(own, images_root), values, mask)


def _plateau(learner: Learner) -> ReduceLROnPlateau:
    return ReduceLROnPlateau(
        learner.optimizer,
        mode="max",
        factor=learner.config.plateau_factor,
        patience=learner.config.plateau_patience,
        threshold_mode="abs",  # a score may be a negative loss, on which a relative threshold is an easing
        min_lr=learner.config.min_lr,
    )


def _run_epoch(learner: Learner, train: Part, val: Part, number: int) -> Epoch:
    started = time.monotonic()
    train_loss = learner.train_epoch(train, number)
    trained = time.monotonic()
    val_loss, probabilities = learner.predict(val, number)
    macro, per_class = macro_auroc(val.cohort.labels, probabilities)
    return Epoch(
        number=number,
        lr=learner.lr,
        train_loss=train_loss,
        val_loss=val_loss,
        val_macro_auroc=macro,
        val_auroc=per_class,
        probabilities=probabilities,
        seconds=time.monotonic() - started,
        images_per_second=len(train.cohort) / (trained - started),
    )


def _describe(learner: Learner, epoch: Epoch, train: Part, val: Part, inputs: JobInputs) -> CheckpointConfig:
    return CheckpointConfig(
        labels=list(PATHOLOGIES),
        train=learner.config,
        thresholds=choose_thresholds(val.cohort.labels, epoch.probabilities),
        mean=learner.mean,
        std=learner.std,
        cohort_digest=inputs.cohort_digest,
        code_version=cxr_pipeline.__version__,
        best_epoch=epoch.number,
        val_macro_auroc=epoch.val_macro_auroc,
        sources=sorted(set(train.cohort.datasets)),
        is_phantom=bool(train.cohort.is_phantom.any()),
    )


def _start_event(learner: Learner, cohort: Cohort) -> Event:
    return {
        "event": "start",
        "backbone": learner.config.backbone,
        "parameters": sum(p.numel() for p in learner.network.parameters()),
        "device": str(learner.device),
        **{f"{split}_images": count for split, count in _images(cohort).items()},
        "without_positives": _without_positives(cohort),
        "cells": {split: _cells(cohort.select(split).labels) for split in SPLITS},
    }


def _epoch_event(epoch: Epoch, *, epochs: int, is_best: bool) -> Event:
    return {
        "event": "epoch",
        "epoch": epoch.number,
        "epochs": epochs,
        "train_loss": epoch.train_loss,
        "val_loss": epoch.val_loss,
        "val_macro_auroc": epoch.val_macro_auroc,
        "lr": epoch.lr,
        "seconds": round(epoch.seconds, 3),
        "images_per_second": round(epoch.images_per_second, 1),
        "best": is_best,
    }


def _result(saved: CheckpointConfig, history: list[Epoch], cohort: Cohort) -> Result:
    best = history[saved.best_epoch - 1]
    return Result(
        checkpoint=CHECKPOINT,
        weights_sha256=saved.weights_sha256,
        epochs=len(history),
        best_epoch=best.number,
        train_loss=best.train_loss,
        val_loss=best.val_loss,
        val_macro_auroc=best.val_macro_auroc,
        val_auroc=best.val_auroc,
        thresholds=saved.thresholds,
        images=_images(cohort),
        without_positives=_without_positives(cohort),
    )


def _images(cohort: Cohort) -> dict[str, int]:
    return {split: len(cohort.select(split)) for split in SPLITS}


def _cells(labels: np.ndarray) -> dict[str, dict[str, int]]:
    """class -> how many cells are positive, negative, uncertain and unknown."""
    meanings = {"positive": POSITIVE, "negative": NEGATIVE, "uncertain": UNCERTAIN}
    counts = {word: (labels == value).sum(axis=0) for word, value in meanings.items()}
    counts["unknown"] = np.isnan(labels).sum(axis=0)
    return {name: {word: int(count[k]) for word, count in counts.items()} for k, name in enumerate(PATHOLOGIES)}


def _without_positives(cohort: Cohort) -> list[str]:
    shown = (cohort.select("train").labels == POSITIVE).any(axis=0)
    return [name for name, is_shown in zip(PATHOLOGIES, shown, strict=True) if not is_shown]
