import json
from dataclasses import asdict

import numpy as np
import pytest
import safetensors.torch
import torch
from timm.layers import freeze_batch_norm_2d

from cxr_pipeline.errors import StoreError, TrainingError
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.training.checkpoint.files import load_checkpoint
from cxr_pipeline.training.checkpoint.temperature import calibrate, fit_temperature, to_logits
from cxr_pipeline.training.checkpoint.thresholds import choose_thresholds, macro_auroc
from cxr_pipeline.training.data.batches import read_cohort
from cxr_pipeline.training.network.backbone import build_network
from cxr_pipeline.training.run import loop
from cxr_pipeline.training.run.learner import Learner
from cxr_pipeline.training.run.loop import fit
from cxr_pipeline.training.run.outcome import Epoch, run_warnings
from cxr_pipeline.training.run.program import event_line
from cxr_pipeline.training.run.world import World
from cxr_pipeline_tests.training.tiny import TINY, write_cohort

HERNIA, MASS = PATHOLOGIES.index("Hernia"), PATHOLOGIES.index("Mass")


def run(inputs, job, **changes):
    """(events, result) of a run."""
    events = []
    result = fit(TINY.model_copy(update=changes), inputs, job, events.append)
    return events, result


@pytest.fixture(scope="module")
def learnt(inputs, tmp_path_factory):
    job = tmp_path_factory.mktemp("job")
    return job, *run(inputs, job, epochs=4)


def test_learns_what_can_be_learnt(learnt):
    _, _, result = learnt
    assert result.val_macro_auroc > 0.95


def test_reports_start_epochs_and_done(learnt):
    _, events, result = learnt
    start, *epochs, done = events
    assert [event["event"] for event in events] == ["start", *["epoch"] * 4, "done"]
    assert (start["train_images"], start["val_images"], start["test_images"], start["device"]) == (48, 24, 24, "cpu")
    assert sum(start["cells"]["train"]["Mass"].values()) == 48
    assert set(epochs[0]) == {
        *("event", "epoch", "epochs", "train_loss", "val_loss", "val_macro_auroc"),
        *("lr", "seconds", "images_per_second", "best", "val_source_auroc", "val_auroc"),
    }
    assert [event["epoch"] for event in epochs] == [1, 2, 3, 4]
    assert epochs[-1]["train_loss"] < epochs[0]["train_loss"]
    assert done["best_epoch"] == result.best_epoch == max(e["epoch"] for e in epochs if e["best"])
    assert done["val_macro_auroc"] == max(e["val_macro_auroc"] for e in epochs)


def test_what_is_reported_is_json_and_names_no_patient(learnt, inputs):
    _, events, result = learnt
    text = json.dumps([*events, asdict(result)], allow_nan=False)
    assert "-patient" in read_cohort(inputs.cohort).patient_ids[0]
    assert "patient" not in text.replace("patience", "")


def test_the_checkpoint_is_the_best_epoch_with_thresholds_of_its_validation_scores(learnt, inputs):
    job, _, result = learnt
    network, config = load_checkpoint(job / "checkpoint")
    with loop.open_part(read_cohort(inputs.cohort), "val", inputs, config.train) as val:
        _, probabilities = Learner(config.train, network, torch.device("cpu")).predict(val, 1)
    macro, per_class = macro_auroc(val.cohort.labels, probabilities)
    assert (macro, per_class) == (result.val_macro_auroc, result.val_auroc)
    logits = to_logits(probabilities)
    assert config.temperature == fit_temperature(val.cohort.labels, logits)
    calibrated = calibrate(logits, config.temperature)
    assert config.thresholds == result.thresholds == choose_thresholds(val.cohort.labels, calibrated)
    assert (config.best_epoch, config.val_macro_auroc) == (result.best_epoch, result.val_macro_auroc)
    assert config.train == TINY.model_copy(update={"epochs": 4})
    assert (config.sources, config.is_phantom, config.labels) == (["chexpert", "nih"], True, list(PATHOLOGIES))
    assert (config.cohort_digest, config.mean, config.std) == (inputs.cohort_digest, 0.5, 0.5)


def test_the_same_seed_gives_the_same_weights_bit_by_bit(inputs, tmp_path):
    _, first = run(inputs, tmp_path / "a")
    _, again = run(inputs, tmp_path / "b", loader_workers=1)
    _, other = run(inputs, tmp_path / "c", seed=1)
    one, two = (safetensors.torch.load_file(tmp_path / job / "checkpoint" / "model.safetensors") for job in "ab")
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert first == again
    assert first.weights_sha256 != other.weights_sha256


def test_training_ends_early_and_keeps_the_best_epoch(inputs, tmp_path, monkeypatch):
    scores = iter([0.6, 0.8, 0.7, 0.8, 0.7])
    monkeypatch.setattr(loop, "macro_auroc", lambda labels, probabilities: (next(scores), {}))
    events, result = run(inputs, tmp_path, epochs=5, early_stop_patience=2, best_by="macro_auroc")
    assert [event["best"] for event in events[1:-1]] == [True, True, False, False]
    assert (result.best_epoch, result.epochs, result.val_macro_auroc) == (2, 4, 0.8)


def test_the_learning_rate_falls_on_a_plateau(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "macro_auroc", lambda labels, probabilities: (0.5, {}))
    events, _ = run(inputs, tmp_path, epochs=4, plateau_patience=1, plateau_factor=0.1, best_by="macro_auroc")
    assert [event["lr"] for event in events[1:-1]] == pytest.approx([TINY.lr] * 3 + [TINY.lr / 10])


def unusual_inputs(inputs, folder, *, labels, splits=None):
    ids = [str(image_id) for image_id in read_cohort(inputs.cohort).image_ids[: len(labels)]]
    write_cohort(folder / "cohort.parquet", ids, labels=labels, splits=splits)
    return inputs.model_copy(update={"cohort": folder / "cohort.parquet"})


def test_without_a_measurable_class_the_loss_decides(inputs, tmp_path):
    unusual = unusual_inputs(inputs, tmp_path, labels=[[0] * 14] * 32)
    events, result = run(unusual, tmp_path)
    assert result.val_macro_auroc is None
    assert set(result.thresholds.values()) == {None}
    assert result.without_positives == list(PATHOLOGIES)
    assert result.val_loss == min(event["val_loss"] for event in events[1:-1])
    assert np.isfinite(result.train_loss)


def test_a_class_without_training_positives_is_told(inputs, tmp_path):
    labels = [[int(n % 3 == 0)] * 13 + [None] for n in range(32)]
    events, result = run(unusual_inputs(inputs, tmp_path, labels=labels), tmp_path, epochs=1)
    assert events[0]["without_positives"] == result.without_positives == ["Pneumothorax"]
    assert events[0]["cells"]["train"]["Pneumothorax"] == {"positive": 0, "negative": 0, "uncertain": 0, "unknown": 16}
    assert result.val_auroc["Pneumothorax"] is None


@pytest.mark.parametrize("absent", ["train", "val"])
def test_nothing_to_learn_from_is_told(inputs, tmp_path, absent):
    other = {"train": "val", "val": "train"}[absent]
    unusual = unusual_inputs(inputs, tmp_path, labels=[[1] * 14] * 4, splits=[other] * 4)
    with pytest.raises(TrainingError, match=f"0 {absent} images"):
        run(unusual, tmp_path)
    unusual = unusual_inputs(inputs, tmp_path, labels=[[None] * 14] * 4, splits=["train", "val"] * 2)
    with pytest.raises(TrainingError, match="2 train images and 0 known labels"):
        run(unusual, tmp_path)


def test_the_best_epoch_is_chosen_by_what_the_config_names():
    low = {"lr": 1e-3, "train_loss": 1.0, "val_auroc": {}}
    epoch = Epoch(1, val_loss=0.4, val_macro_auroc=0.9, val_source_auroc={"a": 0.6, "b": 0.8, "c": None}, **low)
    assert epoch.score("source_macro_auroc") == pytest.approx(0.7)
    assert epoch.score("macro_auroc") == 0.9
    assert epoch.score("loss") == -0.4
    blind = Epoch(1, val_loss=0.4, val_macro_auroc=None, val_source_auroc={"a": None}, **low)
    assert {blind.score(by) for by in ("source_macro_auroc", "macro_auroc", "loss")} == {-0.4}


def test_progress_between_epochs_has_pace_and_loss(inputs, tmp_path):
    events, _ = run(inputs, tmp_path, epochs=1, batch_size=8, report_steps=2)
    steps = [event for event in events if event["event"] == "step"]
    assert [(event["step"], event["steps"]) for event in steps] == [(2, 6), (4, 6), (6, 6)]
    (epoch,) = (event for event in events if event["event"] == "epoch")
    assert np.mean([event["loss"] for event in steps]) == pytest.approx(epoch["train_loss"])
    assert all(event["images_per_second"] > 0 and 0 <= event["data_wait"] <= 1 for event in steps)
    assert [event["eta_seconds"] >= 0 for event in steps] == [True] * 3


def test_images_of_a_loss_that_is_not_a_number_are_kept_in_the_job_and_told_nowhere(inputs, tmp_path):
    with pytest.raises(TrainingError, match=r"not_finite\.json") as caught:
        run(inputs, tmp_path, lr=1.0, weight_decay=0.0, label_smoothing=float("nan"))
    named = json.loads((tmp_path / "not_finite.json").read_text())["image_ids"]
    assert 0 < len(named) <= TINY.batch_size
    assert set(named) <= set(read_cohort(inputs.cohort).image_ids)
    assert not any(image_id in str(caught.value) for image_id in named)


def test_a_head_per_source_learns_and_leaves_a_checkpoint_with_one(inputs, tmp_path):
    _, result = run(inputs, tmp_path, epochs=4, head_per_source=True)
    network, config = load_checkpoint(tmp_path / "checkpoint")
    assert network.get_classifier().out_features == len(config.labels) == 14
    with loop.open_part(read_cohort(inputs.cohort), "val", inputs, config.train) as val:
        _, probabilities = Learner(config.train, network, torch.device("cpu")).predict(val, 1)
    assert macro_auroc(val.cohort.labels, probabilities)[0] == pytest.approx(result.val_macro_auroc, abs=1e-3)
    assert result.val_macro_auroc > 0.9


@pytest.fixture
def partial_inputs(inputs, tmp_path):
    """NIH labels no Mass, and nobody a Hernia."""
    cohort = read_cohort(inputs.cohort)
    labels = [[int(cell) for cell in row] for row in cohort.labels]
    for row, dataset in zip(labels, cohort.datasets, strict=True):
        row[HERNIA] = None
        row[MASS] = None if dataset == "nih" else row[MASS]
    return unusual_inputs(inputs, tmp_path, labels=labels, splits=cohort.splits.tolist())


def loud(config, **changes):
    """A network whose second head, of NIH, calls every Mass positive until it is taught otherwise."""
    network = build_network(config, **changes)
    with torch.no_grad():
        network.get_classifier().bias[14 + MASS] = 50
    return network


def test_the_head_of_a_source_that_never_labels_a_class_has_no_say_in_it(partial_inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "build_network", loud)
    events, result = run(partial_inputs, tmp_path / "job", head_per_source=True)
    assert {source: set(PATHOLOGIES) - set(known) for source, known in events[0]["head_classes"].items()} == {
        "chexpert": {"Hernia"},
        "nih": {"Hernia", "Mass"},
    }
    network, config = load_checkpoint(tmp_path / "job" / "checkpoint")
    with loop.open_part(read_cohort(partial_inputs.cohort), "val", partial_inputs, config.train) as val:
        loss, probabilities = Learner(config.train, network, torch.device("cpu")).predict(val, 1)
    assert probabilities[:, MASS].mean() < 0.6  # 0.3 of them are positive; the loud head says 1
    assert loss == pytest.approx(result.val_loss, rel=1e-4)
    assert macro_auroc(val.cohort.labels, probabilities)[1] == pytest.approx(result.val_auroc, abs=1e-6)


def test_who_has_a_say_is_the_same_after_a_resume(partial_inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "build_network", loud)
    changes = {"head_per_source": True, "threads": 1, "epochs": 3}
    _, whole = run(partial_inputs, tmp_path / "whole", **changes)

    def stop(event):
        if event["event"] == "epoch" and event["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(TINY.model_copy(update=changes), partial_inputs, tmp_path / "stopped", stop)
    assert run(partial_inputs, tmp_path / "stopped", **changes)[1] == whole


def test_a_misspelt_source_of_source_weights_is_refused_and_not_without_effect(inputs, tmp_path):
    with pytest.raises(TrainingError, match=r"source_weights names NIH, of .* expected some of chexpert, nih\."):
        run(inputs, tmp_path, source_weights={"NIH": 2.0, "nih": 1.0})


@pytest.mark.parametrize("silenced", [{"source_weights": {"nih": 0.0}}, {"class_weights": {"Mass": 0.0}}])
def test_cells_that_weigh_nothing_give_a_head_no_say(inputs, tmp_path, silenced):
    events, _ = run(inputs, tmp_path, epochs=1, head_per_source=True, **silenced)
    known = events[0]["head_classes"]
    if "source_weights" in silenced:
        assert (len(known["chexpert"]), known["nih"]) == (14, [])
    else:
        assert set(known["chexpert"]) == set(known["nih"]) == set(PATHOLOGIES) - {"Mass"}


def test_batch_norm_on_parts_of_a_batch_is_a_warning_in_the_events_and_the_result(inputs, tmp_path):
    events, result = run(inputs, tmp_path, epochs=1, backbone="resnet10t", accumulate=4)
    told = [event["text"] for event in events if event["event"] == "warning"]
    assert told == result.warnings
    assert len(told) == 1
    assert "The 14 batch norm layers of resnet10t see each batch of 16 in 4 parts of 4 images" in told[0]
    assert event_line(events[1]).startswith("warning text=The 14 batch norm layers")


@pytest.mark.parametrize(
    ("backbone", "accumulate", "processes", "layers"),
    [
        ("resnet10t", 1, 1, 0),
        ("resnet10t", 1, 2, 14),
        ("test_convnext", 4, 1, 0),  # layer norm
        ("test_convnext", 4, 2, 0),
        ("densenet121", 4, 1, 121),
        ("resnet50_gn", 4, 1, 0),  # group norm
    ],
)
def test_layers_that_look_at_one_image_give_no_warning(backbone, accumulate, processes, layers):
    config = TINY.model_copy(update={"backbone": backbone, "accumulate": accumulate})
    learner = Learner(config, build_network(config), torch.device("cpu"))
    learner.world = World(0, processes)
    told = run_warnings(learner)
    assert [text.split(" of ")[0] for text in told] == ([f"The {layers} batch norm layers"] if layers else [])


def test_frozen_batch_norm_gives_no_warning():
    config = TINY.model_copy(update={"backbone": "resnet10t", "accumulate": 4})
    network = freeze_batch_norm_2d(build_network(config))
    assert run_warnings(Learner(config, network, torch.device("cpu"))) == []


@pytest.mark.parametrize("split", ["train", "val"])
def test_labels_that_all_weigh_nothing_are_told_before_anything_is_trained(inputs, tmp_path, split):
    ids = read_cohort(inputs.cohort).image_ids[:8].tolist()  # chexpert and nih in turn
    other = {"train": "val", "val": "train"}[split]
    splits = [split, other, split, split] * 2 if split == "train" else ["train", "train", split, "train"] * 2
    write_cohort(tmp_path / "cohort.parquet", ids, labels=[[1] * 14] * 8, splits=splits)
    unusual = inputs.model_copy(update={"cohort": tmp_path / "cohort.parquet"})
    silenced = {"source_weights": {"chexpert": 0.0, "nih": 0.0 if split == "train" else 1.0}}
    with pytest.raises(TrainingError, match=f"known labels of the {split} images of chexpert.* all weigh 0"):
        run(unusual, tmp_path / "job", **silenced)


def test_a_larger_input_than_the_store_holds_is_told_before_anything_is_trained(inputs, tmp_path):
    with pytest.raises(StoreError, match=r"64 x 64 pixels \(image_size\), .* hold 32 x 32"):
        run(inputs, tmp_path, image_size=64)
    assert not list(tmp_path.iterdir())


def test_drop_path_is_the_backbones_and_a_backbone_without_it_is_told(inputs, tmp_path):
    _, kept = run(inputs, tmp_path / "kept", epochs=1)
    _, dropped = run(inputs, tmp_path / "dropped", epochs=1, drop_path=0.5)
    assert dropped.train_loss != kept.train_loss
    with pytest.raises(TrainingError, match="does not take drop_path"):
        run(inputs, tmp_path / "vgg", epochs=1, backbone="vgg11", drop_path=0.5)


def test_pace_counts_all_steps_since_it_was_told_though_each_was_saved(inputs, tmp_path, monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr(loop.time, "monotonic", lambda: next(clock))
    events, _ = run(inputs, tmp_path, epochs=1, batch_size=8, report_steps=3, snapshot_minutes=0)
    told = [event for event in events if event["event"] == "step"]
    assert [event["step"] for event in told] == [3, 6]
    seconds = [3 * 8 / event["images_per_second"] for event in told]
    assert all(3 <= value <= 10 for value in seconds)  # two or three looks at the clock a step


def test_what_became_of_a_file_of_weights_is_told_and_kept(inputs, tmp_path):
    weights = build_network(TINY).state_dict()
    gone = weights.pop("stem.1.bias")
    torch.save({"model": weights, "more": {"mask": gone}}, tmp_path / "weights.pth")
    events, _ = run(inputs, tmp_path, epochs=1, pretrained=str(tmp_path / "weights.pth"))
    told = {name: value for name, value in events[0].items() if name.startswith("weights_")}
    counts = {"weights_loaded": len(weights) - 2, "weights_skipped": 2, "weights_missing": 1}
    assert told == {"weights_from": "model", **counts}
    kept = json.loads((tmp_path / "weights.json").read_text())
    assert (kept["missing"], kept["skipped"]) == (["stem.1.bias"], ["head.fc.bias", "head.fc.weight"])
