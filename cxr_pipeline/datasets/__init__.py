"""The sources, in the order in which they are merged. A new one is a module beside these and a line here."""

from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.datasets.chexpert import CHEXPERT
from cxr_pipeline.datasets.nih import NIH

DATASETS: dict[str, Dataset] = {dataset.name: dataset for dataset in (NIH, CHEXPERT)}
