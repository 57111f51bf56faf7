from pathlib import Path

import polars as pl
import pytest

from cxr_pipeline.datasets.chexpert.paths import read_ids
from cxr_pipeline.errors import SourceFormatError

PATHS = pl.Series(["train/patient00001/study1/view1_frontal.jpg", "valid/patient64541/study2/view2_lateral.jpg"])


def test_a_path_names_image_patient_and_study():
    ids = read_ids(Path("train.csv"), PATHS, parts="train|valid")
    assert ids.rows(named=True)[1] == {
        "image_id": "chexpert/valid/patient64541/study2/view2_lateral",
        "patient_id": "chexpert/patient64541",
        "study_id": "chexpert/patient64541/study2",
        "dataset": "chexpert",
        "path": "valid/patient64541/study2/view2_lateral.jpg",
    }


@pytest.mark.parametrize(
    "odd", ["test/patient1/study1/view1_frontal.jpg", "train/patient1/view1_frontal.jpg", "train/x.jpg"]
)
def test_path_of_another_part_or_form_is_counted(odd: str):
    with pytest.raises(SourceFormatError, match=r"train\.csv: 1 of 3 cells of 'Path'"):
        read_ids(Path("train.csv"), pl.concat([PATHS, pl.Series([odd])]), parts="train|valid")
