"""CheXpert's test set: 668 images of 500 patients, labelled by radiologists, which ships apart with CheXlocalize.

Saporta et al. 2022, https://doi.org/10.1038/s42256-022-00536-x. Reads `test_labels.csv`, which is optional beside the
release and may lie alone: then `val_labels.csv`, of the same form, is that of the validation set. The masks are not
read. Never seen here: its form is known from RadHarmony's page on it.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import polars as pl

from cxr_pipeline.datasets.base import NO_LABELS, Dataset, Layout, Metadata
from cxr_pipeline.datasets.chexpert.paths import read_ids
from cxr_pipeline.datasets.files.folders import find_file
from cxr_pipeline.datasets.files.strict_csv import Codes, read_csv
from cxr_pipeline.errors import SourceNotFoundError
from cxr_pipeline.pathologies import NEGATIVE, POSITIVE
from cxr_pipeline.tables.raw import RawTable

_TABLES = {"test": "test_labels.csv", "valid": "val_labels.csv"}  # role, and folder of the release -> file
_PARTS = {"test": "test", "valid": "val"}
_FOLDER_OF = {"test": "test", "valid": "val(?:id)?"}
_FOLDERS = ("[Cc]he[Xx]pert*", "[Cc]he[Xx]localize*", "[Cc]he[Xx]localize*/[Cc]he[Xx]pert*")
_VALUES: Codes = {"1.0": POSITIVE, "0.0": NEGATIVE, "1": POSITIVE, "0": NEGATIVE}
# The file does not say which frontal pictures are AP: 85 % are in the training set, and a frontal view of no projection
# would be left out of the evaluation.
_VIEWS = {"frontal": "AP", "lateral": "LATERAL"}


def with_test_set(chexpert: Dataset, schema: pl.Schema) -> Dataset:
    """`chexpert`, which also reads the test set where that lies below the same root, with the release or without.

    `schema` is that of `chexpert.read_wide`.
    """
    wide = pl.Schema([*schema.items(), ("labelled_by", pl.String())])
    return replace(
        chexpert,
        find_metadata=partial(_find_metadata, chexpert),
        find_pixels=partial(_find_pixels, chexpert),
        find_gaps=partial(_find_gaps, chexpert),
        describe_layout=partial(_describe_layout, chexpert),
        read_images=partial(_read_images, chexpert, wide),
        read_findings=partial(_read_findings, chexpert, wide),
        read_wide=partial(_read_wide, chexpert, wide),
        expected_apart={"test": {"images": 668, "patients": 500}},
    )


def _find_metadata(chexpert: Dataset, root: Path) -> Metadata:
    test = _find_table(root, "test")
    released = _find_release(chexpert, root, is_needed=test is None)
    if released is None:
        found = {role: _find_table(root, role) for role in _TABLES}
        lost = "these are the images that radiologists labelled, and none to train on"
        return Metadata({role: path for role, path in found.items() if path}, {"train.csv": lost})
    return replace(released, files={**released.files, "test": test}) if test else released


def _find_release(chexpert: Dataset, root: Path, *, is_needed: bool) -> Metadata | None:
    try:
        return chexpert.find_metadata(root)
    except SourceNotFoundError:
        if is_needed:
            raise
        return None


def _find_pixels(chexpert: Dataset, root: Path) -> dict[str, Path]:
    """A picture in a folder `test` answers for that part alone."""
    return {
        f"test/{key.partition('/')[2]}" if "test" in path.parts else key: path
        for key, path in chexpert.find_pixels(root).items()
    }


def _find_gaps(chexpert: Dataset, root: Path) -> list[str]:
    is_released = _find_release(chexpert, root, is_needed=False) is not None
    return chexpert.find_gaps(root) if chexpert.find_gaps and is_released else []


def _describe_layout(chexpert: Dataset, root: Path) -> Layout:
    test = _find_table(root, "test")
    if test is None:
        return chexpert.describe_layout(root)
    reason = f"{test.relative_to(root)} is there"
    if _find_release(chexpert, root, is_needed=False) is None:
        return Layout("CheXlocalize alone", f"{reason}, and no train.csv")
    released = chexpert.describe_layout(root)
    return Layout(f"{released.name}, with the test set", f"{released.reason}; {reason}")


def _read_images(chexpert: Dataset, schema: pl.Schema, root: Path) -> pl.LazyFrame:
    wide = _read_wide(chexpert, schema, root)
    return wide.drop(_words(schema))


def _read_findings(chexpert: Dataset, schema: pl.Schema, root: Path) -> pl.LazyFrame:
    wide = _read_wide(chexpert, schema, root)
    cells = wide.unpivot(index="image_id", on=_words(schema), variable_name="finding").drop_nulls("value")
    return cells.with_columns(reader=pl.lit(""))


def _read_wide(chexpert: Dataset, schema: pl.Schema, root: Path) -> pl.LazyFrame:
    assert chexpert.read_wide  # for mypy: CheXpert has it
    files = _find_metadata(chexpert, root).files
    is_released = _find_release(chexpert, root, is_needed=False) is not None
    roles = [role for role in _TABLES if role in files and not (is_released and role == "valid")]
    apart = [_read_table(files[role], role, schema) for role in roles]
    return pl.concat([chexpert.read_wide(root).select(list(schema)), *apart] if is_released else apart)


def _find_table(root: Path, role: str) -> Path | None:
    folders = [root, *(folder for pattern in _FOLDERS for folder in sorted(root.glob(pattern)))]
    return find_file(folders, [_TABLES[role], f"{_TABLES[role]}.gz"])


def _read_table(path: Path, role: str, schema: pl.Schema) -> pl.LazyFrame:
    """The rows of a part that radiologists labelled, in the columns of the release."""
    words = [word for word in _words(schema) if word != NO_LABELS]  # no cell of these files may be blank
    rows = read_csv(path, ["Path", *words], codes=dict.fromkeys(words, _VALUES))
    # Where the zip's name comes first; the folder of the validation set is `val` in CheXlocalize, `valid` in CheXpert.
    keys = rows["Path"].str.replace(rf"^(?:[^/]*/)?{_FOLDER_OF[role]}/", f"{role}/")
    stated = rows.select(words).with_columns(
        *read_ids(path, keys, parts=role),
        view=keys.str.extract(r"_(\w+)\.jpg$").replace_strict(_VIEWS),
        official_split=pl.lit(_PARTS[role]),
        labelled_by=pl.lit("physician"),
    )
    absent = {name: pl.lit(None) for name in schema if name not in stated.columns}
    return stated.lazy().with_columns(**absent).select(pl.col(name).cast(dtype) for name, dtype in schema.items())


def _words(schema: pl.Schema) -> list[str]:
    return [name for name in schema if name not in RawTable.columns()]
