"""The asset graph as the UI shows it: what exists, what it is made from, what guards it."""

from pathlib import Path

import dagster as dg
import pytest

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.defs.build import build_definitions
from cxr_pipeline.defs.training import launchpad_form
from cxr_pipeline.settings import Settings
from cxr_pipeline.training.presets import preset

SOURCES = ("nih", "openi", "rexgradient", "chexpert", "mimic", "padchest", "vindr")


def all_of(*stages: str) -> list[str]:
    return [f"{stage}/{name}" for stage in stages for name in SOURCES]


GRAPH = {
    **{f"raw/{name}": [] for name in SOURCES},
    **{f"labels/{name}": [f"raw/{name}"] for name in SOURCES},
    **{f"images/{name}": [f"raw/{name}"] for name in SOURCES},
    "labels/reports_rexgradient": ["raw/rexgradient"],
    "labels/imported_rexgradient": ["raw/rexgradient"],
    "labels/rexgradient": ["labels/imported_rexgradient", "labels/reports_rexgradient", "raw/rexgradient"],
    "labels/report_agreement": ["labels/imported_rexgradient", "labels/reports_rexgradient", "raw/rexgradient"],
    "labels/report_crosscheck_padchest": ["labels/padchest", "raw/padchest"],
    "labels/overview": all_of("labels"),
    "labels/boxes": ["raw/nih", "raw/vindr"],
    "labels/report_gold": ["raw/openi"],
    "labels/adjudicated_nih": ["raw/nih"],
    "split/duplicates": all_of("images", "labels"),
    "split/cohort": [*all_of("images", "labels"), "split/duplicates"],
    "split/summary": ["split/cohort"],
    "training/checkpoint": [*all_of("images"), "split/cohort"],
    "evaluation/predictions": [*all_of("images"), "split/cohort", "training/checkpoint"],
    "evaluation/metrics": ["evaluation/predictions", "split/cohort", "training/checkpoint"],
    "evaluation/explanations": [*all_of("images"), "split/cohort", "training/checkpoint"],
    "evaluation/report": [
        "evaluation/explanations",
        "evaluation/metrics",
        "evaluation/predictions",
        "split/cohort",
        "training/checkpoint",
    ],
}


@pytest.fixture(scope="module")
def defs(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    return build_definitions(Settings(home=tmp_path_factory.mktemp("home"), preset="demo"))


def test_graph_is_the_pipeline_and_nothing_else(defs: dg.Definitions):
    nodes = defs.resolve_asset_graph().asset_nodes
    found = {
        node.key.to_user_string(): sorted(parent.to_user_string() for parent in node.parent_keys) for node in nodes
    }
    assert found == {key: sorted(parents) for key, parents in GRAPH.items()}


def test_every_asset_has_a_group_a_kind_and_a_description(defs: dg.Definitions):
    for node in defs.resolve_asset_graph().asset_nodes:
        assert node.group_name == node.key.path[0]
        assert node.kinds
        assert node.description


def test_every_table_has_its_columns_and_a_blocking_schema_check(defs: dg.Definitions):
    graph = defs.resolve_asset_graph()
    checked = {key.asset_key.to_user_string() for key in graph.asset_check_keys if key.name == "schema"}
    tables = {n.key.to_user_string() for n in graph.asset_nodes if "dagster/column_schema" in n.metadata}
    assert checked == tables
    assert tables == set(GRAPH) - {
        "labels/overview",
        "training/checkpoint",
        "evaluation/explanations",
        "evaluation/report",
    }
    for check in defs.asset_checks or []:
        assert all(spec.blocking for spec in check.check_specs if spec.name == "schema")


def test_sensor_and_schedule_can_be_switched_on_in_the_ui(defs: dg.Definitions):
    assert [sensor.name for sensor in defs.sensors or []] == ["new_raw_data"]
    assert [schedule.name for schedule in defs.schedules or []] == ["nightly_harmonize"]


def test_jobs_are_listed(defs: dg.Definitions):
    assert sorted(job.name for job in defs.jobs or []) == ["evaluate", "everything", "harmonize"]


@pytest.mark.parametrize("name", ["demo", "baseline", "convnext_large"])
def test_launchpad_starts_from_the_preset(name: str):
    form = launchpad_form(preset(name))
    assert form().model_dump() == preset(name).model_dump()
    assert "timm model name" in form.to_config_schema().as_field().config_type.fields["backbone"].description


def test_unused_source_is_an_empty_table_and_not_a_failure(tmp_path: Path):
    defs = build_definitions(Settings(home=tmp_path, preset="demo"))
    assert tuple(DATASETS) == SOURCES
    for name in SOURCES:
        selection = [key for key in GRAPH if key.endswith((f"/{name}", f"_{name}")) and key != "labels/adjudicated_nih"]
        result = dg.materialize(
            [*defs.assets, *defs.asset_checks],
            selection=dg.AssetSelection.assets(*(key.split("/") for key in selection)),
            resources=defs.resources,
        )
        counts = {
            event.asset_key.to_user_string(): event.materialization.metadata["dagster/row_count"].value
            for event in result.get_asset_materialization_events()
        }
        assert counts == dict.fromkeys(selection, 0)


def test_folder_that_was_named_but_is_absent_fails_with_what_to_do(tmp_path: Path):
    defs = build_definitions(Settings(home=tmp_path, preset="demo", nih_root=tmp_path / "absent"))
    result = dg.materialize(
        [*defs.assets],
        selection=dg.AssetSelection.assets(["raw", "nih"]),
        resources=defs.resources,
        raise_on_error=False,
    )
    (failure,) = [e for e in result.all_events if e.is_step_failure]
    assert "CXR_NIH_ROOT" in str(failure.step_failure_data.user_failure_data.description)
