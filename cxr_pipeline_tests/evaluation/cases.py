"""Scored images made of random numbers, and the files of one small evaluation with an untrained network."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from cxr_pipeline.evaluation.config import EvaluateConfig
from cxr_pipeline.evaluation.predict import prediction_table
from cxr_pipeline.evaluation.scored import ScoredImages
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.training.checkpoint.files import CheckpointConfig, save_checkpoint
from cxr_pipeline.training.data.batches import Cohort
from cxr_pipeline.training.network.backbone import build_network
from cxr_pipeline.training.run.program import JobInputs
from cxr_pipeline_tests.training.tiny import NO_SHARES, TINY, write_inputs

HALF = dict.fromkeys(PATHOLOGIES, 0.5)


def scored_images(n=60, *, seed=0, labels=None, probabilities=None, patients=None, sources=None, splits=None):
    """Two images a patient, all of them test images of `nih`, scores with ties, unless said otherwise."""
    rng = np.random.default_rng(seed)
    n = n if labels is None else len(labels)
    if labels is None:
        labels = (rng.random((n, 14)) < 0.3).astype(np.float32)
    if probabilities is None:
        probabilities = np.round(0.3 * labels + 0.7 * rng.random((n, 14)), 1)
    cohort = Cohort(
        image_ids=objects([f"nih/{i:05d}" for i in range(n)]),
        patient_ids=objects([f"nih/p{i // 2}" for i in range(n)] if patients is None else patients),
        datasets=objects(["nih"] * n if sources is None else sources),
        splits=objects(["test"] * n if splits is None else splits),
        labels=np.asarray(labels, dtype=np.float32),
        shares=np.full((n, 14), np.nan, dtype=np.float32),
        is_phantom=np.zeros(n, dtype=bool),
        studies=np.arange(n),
        picture_shares=np.ones(n, dtype=np.float32),
    )
    return ScoredImages(cohort, np.asarray(probabilities, dtype=np.float32))


def objects(names):
    return np.array(list(names), dtype=object)


def one_class(label, probability, **columns):
    """Scored images whose first class is as given; the other thirteen are unknown."""
    n = len(label)
    labels = np.full((n, 14), np.nan)
    labels[:, 0] = label
    probabilities = np.full((n, 14), 0.5)
    probabilities[:, 0] = probability
    return scored_images(labels=labels, probabilities=probabilities, **columns)


def write_scored(folder: Path, scored: ScoredImages) -> tuple[Path, Path]:
    """`cohort.parquet` and `predictions.parquet`, the latter in another order."""
    cohort = scored.cohort
    columns = {
        "image_id": pa.array(cohort.image_ids, pa.large_string()),
        "patient_id": pa.array(cohort.patient_ids, pa.large_string()),
        "dataset": pa.array(cohort.datasets, pa.large_string()),
        "split": pa.array(cohort.splits, pa.large_string()).dictionary_encode(),
        "is_phantom": pa.array(cohort.is_phantom),
        "study_id": pa.array([f"nih/{number}" for number in cohort.studies], pa.large_string()),
        "weight": pa.array(cohort.picture_shares),
        "reader_share": pa.nulls(len(cohort), NO_SHARES),
    }
    cells = {p: pa.array(cohort.labels[:, i], pa.float32(), from_pandas=True) for i, p in enumerate(PATHOLOGIES)}
    pq.write_table(pa.table(columns | {p: c.cast(pa.int8()) for p, c in cells.items()}), folder / "cohort.parquet")
    table = prediction_table(cohort, scored.probabilities)
    order = np.random.default_rng(1).permutation(len(scored))
    pq.write_table(table.take(order), folder / "predictions.parquet")
    return folder / "cohort.parquet", folder / "predictions.parquet"


@dataclass(frozen=True)
class World:
    """A lake with a cohort of 96 tiny phantoms and an untrained checkpoint."""

    inputs: JobInputs
    checkpoint: CheckpointConfig

    def job(self, folder: Path, **config) -> Path:
        """A job folder for the evaluation program."""
        folder.mkdir(parents=True)
        settings = EvaluateConfig(**({"device": "cpu", "threads": 1} | config))
        (folder / "config.json").write_text(settings.model_dump_json())
        (folder / "inputs.json").write_text(self.inputs.model_dump_json())
        return folder


def write_world(folder: Path) -> World:
    inputs = write_inputs(folder)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = build_network(TINY, pretrained=False)
    config = CheckpointConfig(
        labels=list(PATHOLOGIES),
        train=TINY,
        thresholds=HALF | {"Hernia": None},
        mean=0.5,
        std=0.25,
        cohort_digest=inputs.cohort_digest,
        code_version="0",
        best_epoch=2,
        val_macro_auroc=0.51,
        sources=["chexpert", "nih"],
        is_phantom=True,
    )
    saved = save_checkpoint(folder / "checkpoint", network, config)
    write_events(folder / "events.jsonl")
    return World(inputs.model_copy(update={"checkpoint": folder / "checkpoint"}), saved)


def write_events(path: Path) -> None:
    events = [
        {"event": "start", "backbone": "test_convnext"},
        {"event": "epoch", "epoch": 1, "train_loss": 0.9, "val_loss": 0.8, "val_macro_auroc": None, "lr": 0.1},
        {"event": "epoch", "epoch": 2, "train_loss": 0.5, "val_loss": 0.6, "val_macro_auroc": 0.51, "lr": 0.1}
        | {"best": True},
        {"event": "done"},
    ]
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
