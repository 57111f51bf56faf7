"""What the assets are given: where things live in this installation."""

from collections.abc import Mapping
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import dagster as dg
from pydantic import PrivateAttr

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.labels.reports.imports import StatesFile
from cxr_pipeline.settings import Settings
from cxr_pipeline.storage.lake import Lake
from cxr_pipeline.tracking import Tracker

if TYPE_CHECKING:
    from cxr_pipeline.images.prepare.cluster import Cluster
    from cxr_pipeline.images.store.shards import StoreForm
    from cxr_pipeline.watch import Budget, Look


class Installation(dg.ConfigurableResource):
    """Folders and services, as text so that the Dagster UI can show them."""

    lake_root: str
    reports_root: str
    source_roots: dict[str, str]
    state_files: dict[str, str]
    state_labelers: dict[str, str]
    image_size: int
    store_codec: Literal["zstd", "raw"]
    dask_address: str | None
    quarantine_warn_share: float
    quarantine_fail_share: float
    watch_root: str
    watch_quiet_seconds: float
    mlflow_uri: str
    mlflow_experiment: str
    mlflow_artifacts: str
    mlflow_address: str
    _open: ExitStack = PrivateAttr(default_factory=ExitStack)

    @classmethod
    def of(cls, settings: Settings, *, image_size: int) -> "Installation":
        roots = {name: settings.source_root(name) for name in DATASETS}
        files = {name: file for name in DATASETS if (file := settings.imported_states(name))}
        return cls(
            lake_root=str(settings.lake_root),
            reports_root=str(settings.reports_root),
            source_roots={name: str(root) for name, root in roots.items() if root},
            state_files={name: str(path) for name, (path, _) in files.items()},
            state_labelers={name: labeler for name, (_, labeler) in files.items() if labeler},
            image_size=settings.image_size or image_size,
            store_codec=settings.store_codec,
            dask_address=settings.dask_address,
            quarantine_warn_share=settings.quarantine_warn_share,
            quarantine_fail_share=settings.quarantine_fail_share,
            watch_root=str(settings.watch_root),
            watch_quiet_seconds=settings.watch_quiet_seconds,
            mlflow_uri=settings.tracking_uri,
            mlflow_experiment=settings.mlflow_experiment,
            mlflow_artifacts=str(settings.mlflow_home / "artifacts"),
            mlflow_address=settings.mlflow_address,
        )

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Ends what `cluster` has started."""
        self._open.close()

    @property
    def store_form(self) -> "StoreForm":
        from cxr_pipeline.images.store.shards import StoreForm

        return StoreForm(self.image_size, self.store_codec)

    @cached_property
    def cluster(self) -> "Cluster":
        """One for all sources of a run: starting it takes a second."""
        from cxr_pipeline.images.prepare.cluster import Cluster

        return self._open.enter_context(Cluster(self.dask_address))

    @property
    def lake(self) -> Lake:
        return Lake(Path(self.lake_root))

    @property
    def tracker(self) -> Tracker:
        return Tracker(self.mlflow_uri, self.mlflow_experiment, Path(self.mlflow_artifacts), self.mlflow_address)

    def root_of(self, dataset: str) -> Path | None:
        root = self.source_roots.get(dataset)
        return Path(root) if root else None

    def look_at_sources(self, budget: "Budget", *, since: Mapping[str, int]) -> dict[str, "Look"]:
        """A look at each source that is used here; see `watch`."""
        from cxr_pipeline.watch import look_at_all

        roots = {name: Path(root) for name, root in self.source_roots.items()}
        return look_at_all(Path(self.watch_root), roots, budget=budget, since=since)

    def states_of(self, dataset: str) -> StatesFile | None:
        """What other labelers found in the reports of a source, if a file of it was named."""
        path = self.state_files.get(dataset)
        return StatesFile(Path(path), self.state_labelers.get(dataset)) if path else None
