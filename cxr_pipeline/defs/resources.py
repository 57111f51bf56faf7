"""What the assets are given: where things live in this installation."""

from pathlib import Path

import dagster as dg

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.settings import Settings
from cxr_pipeline.storage.lake import Lake
from cxr_pipeline.tracking import Tracker


class Installation(dg.ConfigurableResource):
    """Folders and services, as text so that the Dagster UI can show them."""

    lake_root: str
    source_roots: dict[str, str]
    image_size: int
    mlflow_uri: str
    mlflow_experiment: str
    mlflow_artifacts: str
    mlflow_address: str

    @classmethod
    def of(cls, settings: Settings, *, image_size: int) -> "Installation":
        roots = {name: settings.source_root(name) for name in DATASETS}
        return cls(
            lake_root=str(settings.lake_root),
            source_roots={name: str(root) for name, root in roots.items() if root},
            image_size=settings.image_size or image_size,
            mlflow_uri=settings.tracking_uri,
            mlflow_experiment=settings.mlflow_experiment,
            mlflow_artifacts=str(settings.mlflow_home / "artifacts"),
            mlflow_address=settings.mlflow_address,
        )

    @property
    def lake(self) -> Lake:
        return Lake(Path(self.lake_root))

    @property
    def tracker(self) -> Tracker:
        return Tracker(self.mlflow_uri, self.mlflow_experiment, Path(self.mlflow_artifacts), self.mlflow_address)

    def root_of(self, dataset: str) -> Path | None:
        root = self.source_roots.get(dataset)
        return Path(root) if root else None
