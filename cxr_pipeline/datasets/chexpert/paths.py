"""What a path of CheXpert says: `train/patient00001/study1/view1_frontal.jpg` is part, patient, study and view.

Of the release and of the test set that ships apart. What else their files say does not live here.
"""

from pathlib import Path

import polars as pl

from cxr_pipeline.datasets.files.strict_csv import require_match


def read_ids(file: Path, paths: pl.Series, *, parts: str) -> pl.DataFrame:
    """`image_id patient_id study_id dataset path` of each of `paths`, which begin with the part, one of `parts`.

    `parts` is a regular expression, `train|valid`. Raises SourceFormatError that names `file` and counts the paths of
    another form.
    """
    keys = paths.to_frame("Path")
    require_match(file, keys, "Path", rf"^({parts})/patient[0-9]+/study[0-9]+/view[0-9]+_(frontal|lateral)\.jpg$")
    folders = paths.str.split_exact("/", 3).struct.unnest()
    return keys.select(
        image_id=pl.format("chexpert/{}", "Path").str.head(-len(".jpg")),
        patient_id=pl.format("chexpert/{}", folders["field_1"]),
        study_id=pl.format("chexpert/{}/{}", folders["field_1"], folders["field_2"]),
        dataset=pl.lit("chexpert"),
        path="Path",
    )
