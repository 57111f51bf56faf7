"""NIH's official split: two lists of file names, in the release's form and in those of its mirrors.

Wang et al. 2017, https://arxiv.org/abs/1705.02315: both lists together name every image, each once. What a list decides
is complete or refused: an image that a cut or foreign list leaves out would be placed like any other, into training.
"""

from pathlib import Path

import polars as pl

from cxr_pipeline.datasets.files.folders import find_file
from cxr_pipeline.datasets.files.strict_text import read_lines
from cxr_pipeline.errors import SourceFormatError

TRAIN_VAL, TEST = "train_val_list.txt", "test_list.txt"
_PARTS = {TRAIN_VAL: "train_val", TEST: "test"}
# Kaggle's mirrors add the publisher's name.
_SPELLINGS = {name: (name, f"{name.removesuffix('.txt')}_NIH.txt") for name in _PARTS}
# `images/00000001_000.png`, and CheXNet's form, in which the labels follow the name.
_NAME = r"(?i)^[\"']?(?:[^\s,;]*[/\\])?(\d{8}_\d{3})\.(?:png|jpe?g)[\"']?(?:[\s,;].*)?$"
_ADVICE = "Get both lists of the release of these images, or take both away: the images are then placed like any other."


def find_lists(root: Path) -> dict[str, Path | None]:
    """Each list of the release by its published name, under whichever name it lies in `root`."""
    return {name: find_file([root], names) for name, names in _SPELLINGS.items()}


def read_official_split(lists: dict[str, Path], names: pl.Series) -> pl.Series:
    """`train_val` or `test` for each of `names` (`00000001_000.png`); null for all of them without a list.

    Raises SourceFormatError where a line names no image, one list is there without the other, an image is named twice,
    or one of `names` is in neither list.
    """
    if not lists:
        return pl.repeat(None, len(names), dtype=pl.String, eager=True)
    _require_both(lists)
    listed = pl.concat([_read_list(path).with_columns(split=pl.lit(_PARTS[name])) for name, path in lists.items()])
    files = " and ".join(str(path) for path in lists.values())
    twice = int(listed["stem"].is_duplicated().sum())
    if twice:
        raise SourceFormatError(
            f"{files} hold {twice} names more than once: expected each image in one list, once. {_ADVICE}"
        )
    stems = names.str.head(len("00000001_000")).to_frame("stem")
    found = stems.join(listed, on="stem", how="left", maintain_order="left")["split"]
    if found.has_nulls():
        raise SourceFormatError(
            f"{files} name {listed.height:,} images, and not {found.null_count():,} of the {len(names):,} images "
            f"of the entry list: expected each in one list. Is a list cut, or of another release? {_ADVICE}"
        )
    return found


def count_strangers(lists: dict[str, Path], names: pl.Series) -> list[str]:
    """One line for each list that names images which the entry list does not have, with their number."""
    stems = names.str.head(len("00000001_000")).to_frame("stem")
    lines = []
    for path in lists.values():
        listed = _read_list(path)
        absent = listed.join(stems, on="stem", how="anti").height
        if absent:
            lines.append(f"{path}: {absent:,} of its {listed.height:,} names are no image of the entry list")
    return lines


def _require_both(lists: dict[str, Path]) -> None:
    absent = [name for name in _PARTS if name not in lists]
    if absent:
        raise SourceFormatError(
            f"{next(iter(lists.values()))} is there and {absent[0]} is not: expected both lists, or neither. {_ADVICE}"
        )


def _read_list(path: Path) -> pl.DataFrame:
    """`stem` (`00000001_000`) of each line."""
    lines = pl.Series("line", read_lines(path), dtype=pl.String)
    stems = lines.str.extract(_NAME).alias("stem")
    if stems.has_nulls():
        first = _shorten(lines.filter(stems.is_null())[0])
        raise SourceFormatError(
            f"{path}: {stems.null_count():,} of {len(lines):,} lines name no image, the first is {first!r}. Expected "
            f"lines that begin with a name like 00000001_000.png. {_ADVICE}"
        )
    return stems.to_frame()


def _shorten(line: str) -> str:
    return line if len(line) <= 60 else f"{line[:60]}..."
