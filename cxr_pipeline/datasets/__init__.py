"""The sources, in the order in which they are merged. A new one is a module beside these and a line here."""

from cxr_pipeline.datasets.base import Dataset
from cxr_pipeline.datasets.chexpert.source import CHEXPERT
from cxr_pipeline.datasets.mimic.source import MIMIC
from cxr_pipeline.datasets.nih.source import NIH
from cxr_pipeline.datasets.openi.source import OPENI
from cxr_pipeline.datasets.padchest import PADCHEST
from cxr_pipeline.datasets.rexgradient import REXGRADIENT
from cxr_pipeline.datasets.vindr.source import VINDR

_MERGED = (
    NIH,
    OPENI,
    REXGRADIENT,
    CHEXPERT,
    MIMIC,
    PADCHEST,
    VINDR,
)

DATASETS: dict[str, Dataset] = {dataset.name: dataset for dataset in _MERGED}
