import json
import subprocess
import sys

import numpy as np
import polars as pl
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from cxr_pipeline.evaluation.__main__ import main
from cxr_pipeline.evaluation.predict import predict
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.storage.files import file_digest
from cxr_pipeline.storage.lake import validate_table
from cxr_pipeline.tables.evaluation import PredictionTable
from cxr_pipeline.training.checkpoint.files import load_checkpoint, save_checkpoint
from cxr_pipeline.training.data.batches import CohortImages, read_cohort
from cxr_pipeline.training.network.backbone import build_network

LEAN = """
import sys
for name in ("dagster", "polars", "mlflow", "boto3", "dataframely", "matplotlib", "jinja2"):
    sys.modules[name] = None
from cxr_pipeline.evaluation.__main__ import main
sys.exit(max(main([job]) for job in sys.argv[1:]))
"""


def result_of(job):
    return json.loads((job / "result.json").read_text())


@pytest.mark.long
def test_both_tasks_run_on_a_lean_node(world, tmp_path):
    """With everything blocked that a GPU node does not have."""
    jobs = [world.job(tmp_path / "predict"), world.job(tmp_path / "explain", task="explain", per_class=1)]
    run = subprocess.run([sys.executable, "-c", LEAN, *map(str, jobs)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    predictions, explanations = jobs[0] / "predictions.parquet", jobs[1] / "explanations"
    assert result_of(jobs[0]) == {
        "task": "predict",
        "images": 48,
        "splits": {"val": 24, "test": 24},
        "predictions_sha256": file_digest(predictions),
        "weights_sha256": world.checkpoint.weights_sha256,
        "cohort_digest": world.inputs.cohort_digest,
    }
    assert validate_table(pl.read_parquet(predictions), PredictionTable).height == 48
    pictures = len(list(explanations.glob("*.png")))
    assert pictures == len(json.loads((explanations / "explanations.json").read_text())) > 0
    assert {k: result_of(jobs[1])[k] for k in ("images", "withheld", "pictures")} == {
        "images": 24,
        "withheld": 0,
        "pictures": pictures,
    }
    events = [json.loads(line)["event"] for line in (jobs[1] / "events.jsonl").read_text().splitlines()]
    assert events == ["start", "predicted", "explained"]


def test_predictions_are_those_of_the_network_for_each_image(world, tmp_path):
    job = world.job(tmp_path / "job", splits=["test"], batch_size=5)
    assert main([str(job)]) == 0
    found = pq.read_table(job / "predictions.parquet")
    cohort = read_cohort(world.inputs.cohort).select("test")
    pixels = CohortImages(cohort, world.inputs.images).read(np.arange(len(cohort)))
    expected = predict(load_checkpoint(world.inputs.checkpoint)[0], [pixels], world.checkpoint)
    assert found["image_id"].to_pylist() == cohort.image_ids.tolist()
    np.testing.assert_allclose(np.stack([found[p].to_numpy() for p in PATHOLOGIES], axis=1), expected, atol=1e-6)


def test_a_second_run_changes_no_byte(world, tmp_path):
    job = world.job(tmp_path / "job", task="explain", per_class=1)
    main([str(job)])
    kept = {path.name: path.read_bytes() for path in (job / "explanations").iterdir()}
    assert main([str(job)]) == 0
    assert {path.name: path.read_bytes() for path in (job / "explanations").iterdir()} == kept


@pytest.mark.parametrize(("shown", "pictured"), [([], {"nih"}), (["chexpert"], {"nih", "chexpert"})])
def test_pictures_of_people_are_withheld_unless_their_source_may_be_shown(world, tmp_path, shown, pictured):
    job = world.job(tmp_path / "job", task="explain", show_sources=shown)
    cohort = pq.read_table(world.inputs.cohort)
    phantom = pc.equal(cohort["dataset"], "nih")
    column = cohort.column_names.index("is_phantom")
    pq.write_table(cohort.set_column(column, "is_phantom", phantom), tmp_path / "cohort.parquet")
    inputs = world.inputs.model_copy(update={"cohort": tmp_path / "cohort.parquet"})
    (job / "inputs.json").write_text(inputs.model_dump_json())
    assert main([str(job)]) == 0
    entries = json.loads((job / "explanations" / "explanations.json").read_text())
    assert {entry["source"] for entry in entries} == pictured
    assert result_of(job)["withheld"] == (0 if shown else 12)


def test_where_nothing_may_be_shown_there_are_no_pictures(world, tmp_path):
    job = world.job(tmp_path / "job", task="explain")
    cohort = pq.read_table(world.inputs.cohort)
    column = cohort.column_names.index("is_phantom")
    nobody = pc.equal(cohort["dataset"], "nobody")
    pq.write_table(cohort.set_column(column, "is_phantom", nobody), tmp_path / "cohort.parquet")
    inputs = world.inputs.model_copy(update={"cohort": tmp_path / "cohort.parquet"})
    (job / "inputs.json").write_text(inputs.model_dump_json())
    assert main([str(job)]) == 0
    assert result_of(job)["pictures"] == 0
    written = sorted(path.name for path in (job / "explanations").iterdir())
    assert written == ["explanations.json", "explanations.origin.json"]


def test_a_network_without_maps_has_no_pictures_and_says_why(world, tmp_path):
    job, folder = world.job(tmp_path / "job", task="explain"), tmp_path / "checkpoint"
    transformer = world.checkpoint.train.model_copy(update={"backbone": "test_vit"})
    save_checkpoint(folder, build_network(transformer), world.checkpoint.model_copy(update={"train": transformer}))
    (job / "inputs.json").write_text(world.inputs.model_copy(update={"checkpoint": folder}).model_dump_json())
    assert main([str(job)]) == 0
    assert result_of(job)["pictures"] == 0
    assert json.loads((job / "explanations" / "explanations.json").read_text()) == []
    told = [json.loads(line) for line in (job / "events.jsonl").read_text().splitlines()]
    (warning,) = [event["text"] for event in told if event["event"] == "warning"]
    assert warning.startswith("The report goes without pictures: VisionTransformer gives")


def test_a_job_without_a_checkpoint_is_told_so(world, tmp_path, capsys):
    job = world.job(tmp_path / "job")
    (job / "inputs.json").write_text(world.inputs.model_copy(update={"checkpoint": None}).model_dump_json())
    assert main([str(job)]) == 1
    assert "names no checkpoint" in capsys.readouterr().err
    assert not (job / "result.json").exists()


def test_labels_in_another_order_are_refused(world, tmp_path, capsys):
    job = world.job(tmp_path / "job")
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "model.safetensors").symlink_to(world.inputs.checkpoint / "model.safetensors")
    turned = world.checkpoint.model_copy(update={"labels": list(reversed(PATHOLOGIES))})
    (folder / "config.json").write_text(turned.model_dump_json())
    (job / "inputs.json").write_text(world.inputs.model_copy(update={"checkpoint": folder}).model_dump_json())
    assert main([str(job)]) == 1
    assert "expected Atelectasis, Cardiomegaly" in capsys.readouterr().err


def test_a_store_smaller_than_the_checkpoints_input_is_refused(world, tmp_path, capsys):
    job, folder = world.job(tmp_path / "job"), tmp_path / "checkpoint"
    network, stated = load_checkpoint(world.inputs.checkpoint)
    large = stated.train.model_copy(update={"image_size": 64})
    transform = stated.transform.model_copy(update={"size": 64})
    save_checkpoint(folder, network, stated.model_copy(update={"train": large, "transform": transform}))
    (job / "inputs.json").write_text(world.inputs.model_copy(update={"checkpoint": folder}).model_dump_json())
    assert main([str(job)]) == 1
    assert "64 x 64 pixels (image_size), the stores of chexpert, nih hold 32 x 32" in capsys.readouterr().err


def test_a_cohort_without_the_wanted_split_is_told_so(world, tmp_path, capsys):
    job = world.job(tmp_path / "job", splits=["val"])
    cohort = pq.read_table(world.inputs.cohort)
    pq.write_table(cohort.filter(pc.not_equal(cohort["split"].cast("string"), "val")), tmp_path / "cohort.parquet")
    inputs = world.inputs.model_copy(update={"cohort": tmp_path / "cohort.parquet"})
    (job / "inputs.json").write_text(inputs.model_dump_json())
    assert main([str(job)]) == 1
    assert "no image in val" in capsys.readouterr().err
