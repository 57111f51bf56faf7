"""Age and sex of MIMIC-CXR-JPG's patients, from MIMIC-IV, which is a collection of its own. Parses, nothing more."""

from pathlib import Path

import polars as pl

from cxr_pipeline.datasets.files.strict_csv import read_csv, recode, require_match
from cxr_pipeline.errors import SourceFormatError

_SEXES = {"F": "F", "M": "M", "": None}
_OLDEST_YEARS = 120
_PERSON = {"age_years": pl.Float32, "sex": pl.String}


def describe_people(path: Path | None, rows: pl.DataFrame) -> dict[str, pl.Series]:
    """`age_years` and `sex` of each row; null for patients whom MIMIC-IV does not have.

    Dates are shifted by the same number of years in both collections, so that the age at a study is the anchor age
    plus the years since the anchor year. 91 stands for all ages above 89.
    """
    if path is None:
        return {name: pl.repeat(None, rows.height, dtype=kind, eager=True) for name, kind in _PERSON.items()}
    people = read_csv(path, ("subject_id", "gender", "anchor_age", "anchor_year"))
    require_match(path, people, "anchor_age", r"^\d{1,3}$")
    require_match(path, people, "anchor_year", r"^\d{4}$")
    if people["subject_id"].is_duplicated().any():
        raise SourceFormatError(f"{path} has patients with more than one row: expected one each. Get the file again.")
    people = people.with_columns(sex=recode(path, people, "gender", _SEXES))
    years = pl.col("StudyDate").str.head(4).cast(pl.Float32) - pl.col("anchor_year").cast(pl.Float32)
    age = pl.col("anchor_age").cast(pl.Float32) + years
    joined = rows.join(people, on="subject_id", how="left", maintain_order="left")
    return joined.select("sex", age_years=pl.when(age.is_between(0, _OLDEST_YEARS)).then(age)).to_dict()
