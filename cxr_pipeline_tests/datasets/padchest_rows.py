"""Writes PadChest's table in its published form, row by row, for the tests; and finds the real one."""

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path

from cxr_pipeline.phantom.padchest import COLUMNS
from cxr_pipeline_tests.datasets.realdata import published_file

TABLE = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
NAME = "135803415504923515076821959678074435083_fzis7d"


def padchest_row(name: str = NAME, **cells: str) -> dict[str, str]:
    """One row; cells by column name, without the ending `_DICOM`."""
    default = {
        "ImageID": f"{name}.png",
        "ImageDir": "0",
        "StudyDate_DICOM": "20150914",
        "StudyID": "135803415504923515076821959678074435083",
        "PatientID": "313572750430997347502932654319389875966",
        "PatientBirth": "1929.0",
        "PatientSex_DICOM": "M",
        "Projection": "PA",
        "Report": " sin hallazg .\n sin cambi .",
        "MethodLabel": "Physician",
        "Labels": "['normal']",
    }
    named = {
        column: cells.pop(column.removesuffix("_DICOM")) for column in COLUMNS if column.removesuffix("_DICOM") in cells
    }
    assert not cells
    return default | named


def write_padchest(root: Path, rows: Sequence[dict[str, str]]) -> Path:
    """The table alone, in `root`; returns `root`."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / TABLE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="nan", lineterminator="\n")
        writer.writeheader()
        writer.writerows({"": str(number), **row} for number, row in enumerate(rows))
    return root


def published_padchest(folder: Path) -> Path:
    """`folder` with the published table (160,861 rows), without images."""
    shutil.copy(published_file(f"{TABLE}.gz"), folder)
    return folder
