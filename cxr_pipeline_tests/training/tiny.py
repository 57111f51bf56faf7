"""A cohort of small pictures in which each class is a bright square in a place of its own: learnable in seconds."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.storage.files import file_digest
from cxr_pipeline.training.config import TrainConfig
from cxr_pipeline.training.run.program import JobInputs
from cxr_pipeline_tests.shards import write_pixels

SIZE = 32
DATASETS = ("chexpert", "nih")
NO_SHARES = pa.struct([(name, pa.float32()) for name in PATHOLOGIES])

TINY = TrainConfig(
    backbone="test_convnext",
    pretrained="",
    image_size=SIZE,
    epochs=2,
    batch_size=16,
    lr=4e-3,
    rotation_degrees=5,
    dropout_holes=0,
    device="cpu",
)


def write_inputs(folder: Path, *, images: int = 96, seed: int = 7) -> JobInputs:
    """A lake's `split/cohort.parquet` and `images/<dataset>`: two of four images train, one val, one test."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((images, len(PATHOLOGIES))) < 0.3).astype(np.int8)
    pixels = np.stack([draw(row, rng) for row in labels])
    datasets = [DATASETS[n % 2] for n in range(images)]
    image_ids = [f"{dataset}/{n:04d}" for n, dataset in enumerate(datasets)]
    for dataset in DATASETS:
        own = [n for n in range(images) if datasets[n] == dataset]
        write_store(folder / "images" / dataset, [image_ids[n] for n in own], pixels[own])
    cohort = folder / "split" / "cohort.parquet"
    write_cohort(cohort, image_ids, labels=[[int(cell) for cell in row] for row in labels])
    return JobInputs(cohort=cohort, images=folder / "images", cohort_digest=file_digest(cohort))


def draw(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """uint8 [SIZE, SIZE]: noise, and a square of 8 pixels in place k of a 4 x 4 grid for each positive class k."""
    picture = rng.integers(40, 90, (SIZE, SIZE)).astype(np.uint8)
    for k in np.flatnonzero(labels):
        top, left = 8 * (k // 4), 8 * (k % 4)
        picture[top : top + 8, left : left + 8] = 220
    return picture


def write_store(folder: Path, image_ids: list[str], pixels: np.ndarray) -> None:
    """An image store of two shards whose index is not in shard order."""
    folder.mkdir(parents=True)
    half = len(image_ids) // 2
    parts = {"a.arrow": range(half), "b.arrow": range(half, len(image_ids))}
    rows = []
    for name, numbers in parts.items():
        write_pixels(folder / name, [image_ids[n] for n in numbers], pixels[list(numbers)])
        rows += [{"image_id": image_ids[n], "shard": name, "row": row} for row, n in enumerate(numbers)]
    index = pa.Table.from_pylist(
        sorted(rows, key=lambda row: row["image_id"], reverse=True),
        schema=pa.schema([("image_id", pa.large_string()), ("shard", pa.large_string()), ("row", pa.int32())]),
    )
    pq.write_table(index, folder / "index.parquet")


def write_cohort(
    path: Path, image_ids: list[str], *, labels: list[list[int | None]], splits: list[str] | None = None
) -> None:
    """The columns of the cohort that training reads, one patient per image, every fourth image val and test."""
    splits = splits or [("train", "val", "train", "test")[n // 2 % 4] for n in range(len(image_ids))]
    datasets = [image_id.split("/")[0] for image_id in image_ids]
    columns = {
        "image_id": pa.array(image_ids, pa.large_string()),
        "patient_id": pa.array([f"{image_id}-patient" for image_id in image_ids], pa.large_string()),
        "dataset": pa.array(datasets, pa.large_string()),
        "is_phantom": pa.array([True] * len(image_ids)),
        "study_id": pa.array(image_ids, pa.large_string()),
        "weight": pa.array([1.0] * len(image_ids), pa.float32()),
        **{name: pa.array([row[k] for row in labels], pa.int8()) for k, name in enumerate(PATHOLOGIES)},
        "reader_share": pa.nulls(len(image_ids), NO_SHARES),
        "split": pa.array(splits).dictionary_encode(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
