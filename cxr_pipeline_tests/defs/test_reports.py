"""The assets of reports on phantoms: what a file of another labeler's states changes, and what their pages show."""

from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.defs.build import build_definitions
from cxr_pipeline.phantom.write import PhantomRequest, write_phantoms
from cxr_pipeline.settings import Settings
from cxr_pipeline.storage.files import file_digest

KEYS = ("raw/rexgradient", "labels/reports_rexgradient", "labels/imported_rexgradient", "labels/rexgradient")
KEYS = (*KEYS, "labels/report_agreement")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rexgradient")
    write_phantoms(PhantomRequest("rexgradient", patients=8, seed=3, size=48), folder, workers=1)
    return folder


@pytest.fixture
def states(root: Path, tmp_path: Path) -> Path:
    """Every study but the last has a hernia, says `llm`; and so has one that is nowhere."""
    studies = DATASETS["rexgradient"].read_images(root).select("study_id").unique(maintain_order=True).collect()
    ids = [*studies["study_id"][:-1], "rexgradient/nowhere"]
    table = pl.DataFrame({"study_id": ids, "class": "Hernia", "state": 1, "source": "llm"})
    table.write_parquet(tmp_path / "states.parquet")
    return tmp_path / "states.parquet"


def materialize(settings: Settings) -> tuple[dict[str, dg.AssetMaterialization], dict[str, dg.AssetCheckEvaluation]]:
    defs = build_definitions(settings)
    result = dg.materialize(
        [*defs.assets, *defs.asset_checks],
        selection=dg.AssetSelection.assets(*(key.split("/") for key in KEYS)),
        resources=defs.resources,
    )
    made = [event.materialization for event in result.get_asset_materialization_events()]
    checks = result.get_asset_check_evaluations()
    return (
        {one.asset_key.to_user_string(): one for one in made},
        {f"{one.asset_key.to_user_string()}:{one.check_name}": one for one in checks},
    )


def test_without_a_file_ours_are_used_and_nothing_is_compared(root: Path, tmp_path: Path):
    made, checks = materialize(Settings(home=tmp_path, rexgradient_root=root))
    assert made["labels/rexgradient"].metadata["states_of"].value == "report labeler"
    assert made["labels/report_agreement"].metadata["dagster/row_count"].value == 0
    assert "CXR_REXGRADIENT_STATES" in made["labels/imported_rexgradient"].metadata["file"].value
    assert all(check.passed for check in checks.values() if check.check_name in ("studies", "schema"))


def test_file_alone_is_compared_and_leaves_the_labels_as_they_are(root: Path, states: Path, tmp_path: Path):
    ours, _ = materialize(Settings(home=tmp_path / "a", rexgradient_root=root))
    made, checks = materialize(Settings(home=tmp_path / "b", rexgradient_root=root, rexgradient_states=states))
    assert version(made["labels/rexgradient"]) == version(ours["labels/rexgradient"])
    page = made["labels/report_agreement"].metadata["agreement"].value
    assert "| rexgradient | llm | Hernia |" in page
    assert "kappa" in page
    studies = checks["labels/imported_rexgradient:studies"]
    assert (studies.passed, studies.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert {name: value.value for name, value in studies.metadata.items()} == {
        "unknown_studies": 1,
        "studies_without_states": 1,
    }
    assert "nowhere" not in str([one.metadata for one in made.values()])


def test_used_states_are_named_with_their_file_in_page_and_data_version(root: Path, states: Path, tmp_path: Path):
    settings = Settings(home=tmp_path, rexgradient_root=root, rexgradient_states=states, rexgradient_labeler="llm")
    labels = materialize(settings)[0]["labels/rexgradient"]
    assert labels.metadata["states_of"].value == "llm"
    assert labels.metadata["states_digest"].value == file_digest(states)
    assert version(labels).endswith(f"-llm-{file_digest(states)}")
    table = pl.read_parquet(tmp_path / "lake" / "labels" / "rexgradient.parquet")
    assert table["Hernia"].null_count() == table.filter(study_id=table["study_id"][-1]).height
    assert set(table["Hernia"].drop_nulls()) == {1}


def version(made: dg.AssetMaterialization) -> str:
    return made.tags["dagster/data_version"]
