"""The table of contents: which assets, checks, jobs and resources there are."""

import dagster as dg

from cxr_pipeline.defs import (
    automation,
    checks,
    duplicates,
    evaluation,
    image_checks,
    images,
    labels,
    raw,
    split,
    split_checks,
    training,
)
from cxr_pipeline.defs.console import console
from cxr_pipeline.defs.resources import Installation
from cxr_pipeline.settings import Settings
from cxr_pipeline.training.presets import preset


def build_definitions(settings: Settings) -> dg.Definitions:
    """The code location of one installation.

    Steps run in one process: the tables take milliseconds (a process per step costs 2.3 CPU-seconds), and the heavy
    steps start processes of their own.
    """
    recipe = preset(settings.preset)
    return dg.Definitions(
        assets=[
            *raw.assets,
            *labels.assets,
            *images.assets,
            *duplicates.assets,
            *split.assets,
            training.checkpoint_asset(recipe),
            *evaluation.assets,
        ],
        asset_checks=[*checks.checks, *image_checks.checks, *split_checks.checks],
        jobs=[
            dg.define_asset_job(
                automation.EVERYTHING, dg.AssetSelection.all(), description="From raw files to the report"
            ),
            automation.harmonize,
            dg.define_asset_job("evaluate", dg.AssetSelection.groups("evaluation"), description="Evaluate again"),
        ],
        sensors=[automation.new_raw_data],
        schedules=[automation.nightly],
        resources={"installation": Installation.of(settings, image_size=recipe.image_size)},
        loggers={"console": console},
        executor=dg.in_process_executor,
    )
