"""CheXpert's test set: 668 images of 500 patients, labelled by radiologists, which ships apart with CheXlocalize.

Saporta et al. 2022, https://doi.org/10.1038/s42256-022-00536-x. Reads `test_labels.csv`; it is optional. The masks of
CheXlocalize are not read. Never seen here: its form is known from RadHarmony's page on it.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import polars as pl

from cxr_pipeline.datasets.base import NO_LABELS, Dataset, Layout, Metadata
from cxr_pipeline.datasets.chexpert_paths import read_ids
from cxr_pipeline.datasets.files.folders import find_file
from cxr_pipeline.datasets.files.strict_csv import Codes, read_csv
from cxr_pipeline.pathologies import NEGATIVE, POSITIVE
from cxr_pipeline.tables.raw import RawTable

_TABLE = "test_labels.csv"
_FOLDERS = ("[Cc]he[Xx]pert*", "[Cc]he[Xx]localize*", "[Cc]he[Xx]localize*/[Cc]he[Xx]pert*")
_VALUES: Codes = {"1.0": POSITIVE, "0.0": NEGATIVE, "1": POSITIVE, "0": NEGATIVE}
# The file does not say which frontal pictures are AP: 85 % are in the training set, and a frontal view of no projection
# would be left out of the evaluation.
_VIEWS = {"frontal": "AP", "lateral": "LATERAL"}


def with_test_set(chexpert: Dataset) -> Dataset:
    """`chexpert`, which also reads the test set where that lies below the same root."""
    return replace(
        chexpert,
        find_metadata=partial(_find_metadata, chexpert),
        find_pixels=partial(_find_pixels, chexpert),
        describe_layout=partial(_describe_layout, chexpert),
        read_images=partial(_read_images, chexpert),
        read_findings=partial(_read_findings, chexpert),
        read_wide=partial(_read_wide, chexpert),
        expected_apart={"test": {"images": 668, "patients": 500}},
    )


def _find_metadata(chexpert: Dataset, root: Path) -> Metadata:
    released, test = chexpert.find_metadata(root), _find_table(root)
    return replace(released, files={**released.files, "test": test}) if test else released


def _find_pixels(chexpert: Dataset, root: Path) -> dict[str, Path]:
    """A picture in a folder `test` answers for that part alone."""
    return {
        f"test/{key.partition('/')[2]}" if "test" in path.parts else key: path
        for key, path in chexpert.find_pixels(root).items()
    }


def _describe_layout(chexpert: Dataset, root: Path) -> Layout:
    released, test = chexpert.describe_layout(root), _find_table(root)
    if test is None:
        return released
    return Layout(f"{released.name}, with the test set", f"{released.reason}; {test.relative_to(root)} is there")


def _read_images(chexpert: Dataset, root: Path) -> pl.LazyFrame:
    wide = _read_wide(chexpert, root)
    return wide.drop(_words(wide))


def _read_findings(chexpert: Dataset, root: Path) -> pl.LazyFrame:
    wide = _read_wide(chexpert, root)
    cells = wide.unpivot(index="image_id", on=_words(wide), variable_name="finding").drop_nulls("value")
    return cells.with_columns(reader=pl.lit(""))


def _read_wide(chexpert: Dataset, root: Path) -> pl.LazyFrame:
    assert chexpert.read_wide  # for mypy: CheXpert has it
    released, test = chexpert.read_wide(root), _find_table(root)
    return pl.concat([released, _read_table(test, released)]) if test else released


def _find_table(root: Path) -> Path | None:
    folders = [root, *(folder for pattern in _FOLDERS for folder in sorted(root.glob(pattern)))]
    return find_file(folders, [_TABLE, f"{_TABLE}.gz"])


def _read_table(path: Path, released: pl.LazyFrame) -> pl.LazyFrame:
    """The rows of the test set, in the columns of the others."""
    schema = released.collect_schema()
    words = [word for word in _words(released) if word != NO_LABELS]  # no cell of this file may be blank
    rows = read_csv(path, ["Path", *words], codes=dict.fromkeys(words, _VALUES))
    keys = rows["Path"].str.replace(r"^[^/]*/test/", "test/")  # where the zip's name comes first
    stated = rows.select(words).with_columns(
        *read_ids(path, keys, parts="test"),
        view=keys.str.extract(r"_(\w+)\.jpg$").replace_strict(_VIEWS),
        official_split=pl.lit("test"),
        labelled_by=pl.lit("physician"),
    )
    absent = {name: pl.lit(None) for name in schema if name not in stated.columns}
    return stated.lazy().with_columns(**absent).select(pl.col(name).cast(dtype) for name, dtype in schema.items())


def _words(wide: pl.LazyFrame) -> list[str]:
    return [name for name in wide.collect_schema() if name not in RawTable.columns()]
