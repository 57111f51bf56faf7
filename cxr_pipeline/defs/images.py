"""Assets `images/<dataset>`: pixels decoded once into memory-mapped shards."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.defs.failures import told
from cxr_pipeline.defs.pictures import looks_metadata
from cxr_pipeline.defs.resources import Installation
from cxr_pipeline.defs.tables import column_schema, count_table, markdown_table, table_result
from cxr_pipeline.images.prepare.progress import Pace
from cxr_pipeline.pipeline.images import index_path, write_images, write_looks
from cxr_pipeline.tables.images import StoreIndex

STAGE = "images"


@dataclass
class ProgressLog:
    """Tells `say` how far a store is, at most every few seconds and at the end: a line an image is no log."""

    say: Callable[[str], None]
    every_seconds: float = 5.0
    pace: Pace = field(default_factory=Pace)
    _told: float = field(default_factory=time.monotonic)

    def __call__(self, done: int, total: int, quarantined: int) -> None:
        words, now = self.pace.describe(done, total, quarantined), time.monotonic()
        if done == total or now - self._told >= self.every_seconds:
            self._told = now
            self.say(f"{done:,} of {total:,} images, {words}")


def images_asset(dataset: Dataset) -> dg.AssetsDefinition:
    """The image store of one source."""

    @dg.asset(
        key=[STAGE, dataset.name],
        deps=[["raw", dataset.name]],
        group_name=STAGE,
        kinds={"opencv", "arrow"},
        description=f"{dataset.title}: frontal images as 8-bit grey squares; what cannot be read is in quarantine.",
        metadata=column_schema(StoreIndex),
    )
    @told
    def images(context: dg.AssetExecutionContext, installation: Installation) -> dg.MaterializeResult:
        root = installation.root_of(dataset.name)
        summary = write_images(
            installation.lake,
            dataset,
            root,
            form=installation.store_form,
            cluster=installation.cluster,
            on_progress=ProgressLog(context.log.info),
        )
        looks = write_looks(installation.lake, dataset, root, Path(installation.reports_root))
        return table_result(
            index_path(installation.lake, dataset.name),
            rows=summary.images,
            metadata={
                "decoded": summary.decoded,
                "repacked": summary.repacked,
                "quarantined": sum(summary.quarantined.values()),
                "quarantine": markdown_table(count_table("reason", summary.quarantined)),
                "side_pixels": installation.image_size,
                **looks_metadata(looks, dataset.name),
            },
        )

    return images


assets = [images_asset(dataset) for dataset in DATASETS.values()]
