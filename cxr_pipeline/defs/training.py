"""Asset `training/checkpoint`: the launchpad form of the recipe, and the launch."""

from typing import Any

import dagster as dg
from pydantic import create_model

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.defs.failures import told
from cxr_pipeline.defs.pipes import launch_with_pipes
from cxr_pipeline.defs.resources import Installation
from cxr_pipeline.pipeline.training import train_checkpoint
from cxr_pipeline.training.config import TrainConfig

STAGE = "training"


def launchpad_form(recipe: TrainConfig) -> type[dg.Config]:
    """TrainConfig as a Dagster form whose defaults are those of `recipe`."""

    class TrainRunConfig(TrainConfig, dg.Config):
        """One training run; the defaults are those of the preset that `CXR_PRESET` names."""

    fields: Any = {
        name: (field.annotation, field.merge_field_infos(field, default=getattr(recipe, name)))
        for name, field in TrainConfig.model_fields.items()
    }
    return create_model("TrainRunConfig", __base__=TrainRunConfig, **fields)


def checkpoint_asset(recipe: TrainConfig) -> dg.AssetsDefinition:
    """The checkpoint asset whose launchpad starts from `recipe`."""
    form: Any = launchpad_form(recipe)

    @dg.asset(
        key=[STAGE, "checkpoint"],
        deps=[["split", "cohort"], *(["images", name] for name in DATASETS)],
        group_name=STAGE,
        kinds={"pytorch", "mlflow"},
    )
    @told
    def checkpoint(
        context: dg.AssetExecutionContext,
        config: form,
        installation: Installation,
    ) -> dg.MaterializeResult:
        """The best weights of one run by validation macro AUROC, with labels, thresholds and the whole config."""
        trained, run = train_checkpoint(
            installation.lake,
            TrainConfig(**config.model_dump()),
            launch=launch_with_pipes(context),
            tracker=installation.tracker,
            tags={"dagster_run_id": context.run.run_id, "dagster_asset": context.asset_key.to_user_string()},
        )
        return dg.MaterializeResult(
            metadata={
                "val_macro_auroc": trained.summary["val_macro_auroc"],
                "best_epoch": trained.summary["best_epoch"],
                "checkpoint": dg.MetadataValue.path(trained.folder),
                "warnings": " ".join(trained.summary.get("warnings", [])) or "none",
                "starting_weights": trained.starting_weights or "of no file",
                "continued_from": trained.continued_from or "no other job",
                "mlflow_run": dg.MetadataValue.url(run.url),
            },
            data_version=dg.DataVersion(trained.summary["weights_sha256"]),
        )

    return checkpoint
