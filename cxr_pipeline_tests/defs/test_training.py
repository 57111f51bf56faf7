"""The asset `training/checkpoint` as Dagster runs it: programs in processes of their own."""

from pathlib import Path

import dagster as dg
import pytest

from cxr_pipeline.defs.resources import Installation
from cxr_pipeline.defs.training import checkpoint_asset
from cxr_pipeline.pipeline.training import current_checkpoint
from cxr_pipeline.settings import Settings
from cxr_pipeline.storage.lake import Lake
from cxr_pipeline_tests.pipeline.lakes import prepare, split, write_nih
from cxr_pipeline_tests.training.tiny import TINY


def materialize(home: Path, **config: object) -> dict[str, dg.MetadataValue]:
    """The metadata of the checkpoint whose launchpad says `config`."""
    result = dg.materialize(
        [checkpoint_asset(TINY)],
        resources={"installation": Installation.of(Settings(home=home), image_size=32)},
        run_config={"ops": {"training__checkpoint": {"config": config}}},
    )
    (event,) = result.get_asset_materialization_events()
    return dict(event.materialization.metadata)


@pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id")  # Dagster's pipes use both themselves
@pytest.mark.filterwarnings("ignore:Function `PipesMessageReader")
@pytest.mark.long
def test_more_epochs_go_on_from_the_job_before(tmp_path: Path):
    lake = Lake(tmp_path / "lake")
    prepare(lake, write_nih(tmp_path / "nih", patients=24))
    split(lake)
    assert materialize(tmp_path, epochs=1)["continued_from"].value == "no other job"
    short = current_checkpoint(lake).job
    assert materialize(tmp_path, epochs=2)["continued_from"].value == short.folder.name
    long = current_checkpoint(lake)
    assert long.job != short
    assert (long.summary["epochs"], long.config()["train"]["epochs"]) == (2, 2)
