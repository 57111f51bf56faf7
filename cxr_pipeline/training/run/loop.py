"""The story of one training run, from the cohort to the checkpoint. How a step is done is in `learner`."""

import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch

from cxr_pipeline.errors import Interrupted, NotFiniteError, TrainingError
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.storage.files import write_json
from cxr_pipeline.training.checkpoint.files import read_config, save_checkpoint
from cxr_pipeline.training.checkpoint.temperature import calibrate, fit_temperature, to_logits
from cxr_pipeline.training.checkpoint.thresholds import choose_thresholds, macro_auroc
from cxr_pipeline.training.config import TrainConfig
from cxr_pipeline.training.data.batches import Cohort, read_cohort
from cxr_pipeline.training.network.backbone import build_network, merge_heads, prevalence_bias, starting_weights
from cxr_pipeline.training.network.device import choose_device
from cxr_pipeline.training.run.learner import Learner, Step, check_finite
from cxr_pipeline.training.run.outcome import (
    CHECKPOINT,
    Calibration,
    Epoch,
    Result,
    describe_checkpoint,
    epoch_event,
    result_of,
    run_warnings,
    source_auroc,
    start_event,
    step_event,
)
from cxr_pipeline.training.run.parts import Part, open_part
from cxr_pipeline.training.run.predecessor import tell_predecessor
from cxr_pipeline.training.run.program import Event, JobInputs, Report
from cxr_pipeline.training.run.snapshot import Progress, clear_snapshot, load_snapshot, save_snapshot
from cxr_pipeline.training.run.stopping import listen_for_stop
from cxr_pipeline.training.run.world import World, open_world


def fit(config: TrainConfig, inputs: JobInputs, job: Path, report: Report) -> Result:
    """Trains, keeps the best epoch in `job/checkpoint`, and reports `start`, some steps, each `epoch` and `done`.

    Goes on from the snapshot of a run that was stopped: on one CPU with one number of threads the same seed gives the
    same weights, bit by bit, however often that was. Under torchrun all processes call it, and the first one writes.
    Raises TrainingError when there is nothing to learn from or an output is not a number, Interrupted after a signal
    to stop; TableError and StoreError for unusable inputs.
    """
    with open_world(config.device) as world, listen_for_stop() as stop:
        device = choose_device(config.device, local_rank=world.local_rank)
        _seed_torch(config, world)
        whole = read_cohort(inputs.cohort)
        whole.check_sources("source_weights", config.source_weights)
        cohort = whole.train_on(config.train_on)
        with open_part(cohort, "train", inputs, config) as train, open_part(cohort, "val", inputs, config) as val:
            bias = prevalence_bias(train.targets, train.weights > 0)
            network = build_network(config, n_labels=len(PATHOLOGIES) * train.n_heads, bias=bias)
            if (started := starting_weights(network)) and world.is_first:
                started.write(job)
            learner = Learner(config, network, device, world, train.knows)
            run = Run(job, inputs, learner, train, val, report if world.is_first else _ignore, stop)
            return run.to_its_end(cohort)


@dataclass
class Run:
    """One run over one job folder: its epochs, what is kept of them, and when it ends."""

    job: Path
    inputs: JobInputs
    learner: Learner
    train: Part
    val: Part
    report: Report
    stop: threading.Event
    _progress: Progress = field(default_factory=Progress)
    _saved: float = 0.0  # on the monotonic clock
    _is_stopped: bool = False

    def to_its_end(self, cohort: Cohort) -> Result:
        """All epochs that are still to be done."""
        config, learner = self.learner.config, self.learner
        self._progress = load_snapshot(self.job, learner, self.inputs)
        history = [Epoch(**past) for past in self._progress.history]
        self._saved = time.monotonic()
        if self._progress == Progress():
            self.report(start_event(learner, cohort, resumed=0))
            for text in run_warnings(learner):
                self.report({"event": "warning", "text": text})
        tell_predecessor(self.job, learner, self.report, epochs_done=len(history), stalled=self._stalled(history))
        while len(history) < config.epochs and not self._has_stalled(history):
            history.append(self._epoch(history))
        best = self._best(history)
        done = {"event": "done", "epochs": len(history), "best_epoch": best.number}
        self.report({**done, "val_macro_auroc": best.val_macro_auroc})
        if learner.world.is_first and config.schedule == "cosine":  # else more epochs can go on from it
            clear_snapshot(self.job)
        learner.world.wait()
        return result_of(read_config(self.job / CHECKPOINT), history, cohort, run_warnings(learner))

    def _epoch(self, history: list[Epoch]) -> Epoch:
        """Trains, validates, keeps the weights if they are the best so far, tells, and saves."""
        learner, number = self.learner, len(history) + 1
        began, done = time.monotonic(), self._progress.step
        losses = self._train(number)
        images = min((len(losses) - done) * learner.config.batch_size, len(self.train.cohort))
        pace = images / (time.monotonic() - began)
        epoch, probabilities = self._validate(number, float(np.mean(losses)))
        is_best = self._best([*history, epoch]) is epoch
        if is_best and learner.world.is_first:
            self._keep(epoch, probabilities)
        seconds = time.monotonic() - began
        epochs = learner.config.epochs
        self.report(epoch_event(epoch, epochs=epochs, is_best=is_best, seconds=seconds, images_per_second=pace))
        learner.learning_rate.after_epoch(epoch.score(learner.config.best_by), number)
        self._progress = Progress(number + 1, history=[asdict(past) for past in [*history, epoch]])
        self._save()
        return epoch

    def _validate(self, number: int, train_loss: float) -> tuple[Epoch, np.ndarray]:
        val_loss, probabilities = self.learner.predict(self.val, number)
        macro, per_class = macro_auroc(self.val.cohort.labels, probabilities)
        by_source = source_auroc(self.val.cohort, probabilities)
        return Epoch(number, self.learner.lr, train_loss, val_loss, macro, by_source, per_class), probabilities

    def _keep(self, epoch: Epoch, probabilities: np.ndarray) -> None:
        """Saves the judged network, with a temperature and thresholds chosen on these validation `probabilities`."""
        labels, logits = self.val.cohort.labels, to_logits(probabilities)
        temperature = fit_temperature(labels, logits)
        thresholds = choose_thresholds(labels, calibrate(logits, temperature))
        calibration = Calibration(temperature, thresholds)
        config = describe_checkpoint(self.learner, epoch, self.train.cohort, self.inputs, calibration)
        save_checkpoint(self.job / CHECKPOINT, merge_heads(self.learner.judged, self.learner.knows), config)

    def _train(self, number: int) -> list[float]:
        """The losses of an epoch's steps, those before a resume included."""
        progress, every = self._progress, self.learner.config.report_steps
        window: list[Step] = []  # whose losses have not been asked for
        paced: list[Step] = []  # since progress was told
        told = time.monotonic()
        for step in self._steps(number):
            window.append(step)
            paced.append(step)
            is_due, is_told = self._is_due(), step.number % every == 0
            if is_due or is_told or step.number == step.of:
                progress.losses += [one.loss for one in window]
                progress.step = step.number
                if is_told:
                    self._tell(paced, progress.losses[-every:], seconds=time.monotonic() - told)
                    paced, told = [], time.monotonic()
                window = []
            if is_due:
                check_finite(step, self.train)
                self._save_or_leave()
        return progress.losses

    def _steps(self, number: int) -> Iterator[Step]:
        """The epoch's steps. Images of a loss that is not a number go into a file: ids may hold patient numbers."""
        try:
            yield from self.learner.train_epoch(self.train, number, done=self._progress.step)
        except NotFiniteError as error:
            path = self.job / "not_finite.json"
            write_json(path, {"epoch": number, "image_ids": error.image_ids})
            raise TrainingError(f"{error} The {len(error.image_ids)} images are named in {path}.") from error

    def _tell(self, paced: list[Step], losses: list[float], *, seconds: float) -> None:
        config = self.learner.config
        self.report(step_event(paced, losses, seconds=seconds, batch_size=config.batch_size, epochs=config.epochs))

    def _is_due(self) -> bool:
        """Whether to save after this step: the signal is everyone's, the clock is the first process's."""
        world, minutes = self.learner.world, self.learner.config.snapshot_minutes
        self._is_stopped = world.any(self.stop.is_set(), self.learner.device)
        return self._is_stopped or (world.is_first and time.monotonic() - self._saved >= 60 * minutes)

    def _save_or_leave(self) -> None:
        self._save()
        if self._is_stopped:
            raise Interrupted(
                f"Stopped by a signal after step {self._progress.step} of epoch {self._progress.epoch}: run the same "
                f"command again to go on. The state is in {self.job}."
            )

    def _save(self) -> None:
        if self.learner.world.is_first:
            save_snapshot(self.job, self.learner, self._progress, self.inputs)
        self._saved = time.monotonic()

    def _best(self, history: list[Epoch]) -> Epoch:
        """The first of equals."""
        return max(history, key=lambda epoch: epoch.score(self.learner.config.best_by))

    def _has_stalled(self, history: list[Epoch]) -> bool:
        return self._stalled(history) >= self.learner.config.early_stop_patience

    def _stalled(self, history: list[Epoch]) -> int:
        """Epochs since the best one."""
        return len(history) - self._best(history).number if history else 0


def _seed_torch(config: TrainConfig, world: World) -> None:
    """The program's start: drop path draws from torch's own generator, in each process from its own.

    The initial weights are the first process's: DistributedDataParallel hands them out.
    """
    torch.manual_seed(config.seed + world.rank)
    if config.threads:
        torch.set_num_threads(config.threads)


def _ignore(_: Event) -> None:
    pass
