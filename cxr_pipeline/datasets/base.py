"""What the pipeline needs to know about a source, and nothing else. No labels, no policy."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import polars as pl


@dataclass(frozen=True)
class Metadata:
    """The files that describe a source, as found under one root."""

    files: dict[str, Path]  # what it is -> where it lies
    missing: dict[str, str] = field(default_factory=dict)  # optional file that is absent -> what is lost without it


@dataclass(frozen=True)
class Layout:
    """Which of the forms in the field a folder has, for a person to check."""

    name: str  # `CheXpert-v1.0-small`, `Kaggle CSV`
    reason: str  # the file or folder that gave it away


@dataclass(frozen=True)
class Dataset:
    """A published chest X-ray collection: who it is, which files describe it, how to read them.

    The functions parse and nothing more. Each takes the folder that the user named and raises
    `SourceNotFoundError` or `SourceFormatError` when the release is not there or not as published.

    `read_images` yields one row per *published* image, in published order: `image_id patient_id study_id dataset
    view path age_years sex official_split`, ids namespaced by the dataset (`nih/00000001_000`); `path` is the file's
    key as the metadata implies it.
    `read_findings` yields one row per statement: `image_id finding value reader`, in the source's own words. What the
    file says rather than a reader stands in parentheses: `(no labels)` for an image that was never labelled. None:
    the source has reports only. Where several readers saw each image (`readers` of them), each has its own rows.
    `read_wide`, where each finding is a column of its file: the rows of `read_images` with one more Int8 column per
    finding, null where nothing is said. It says the same as the two above, in one reading.
    `read_reports` yields one row per section of a report: `study_id section text`.
    `read_boxes` yields one row per box: `image_id finding reader x y width height`, in pixels of the published image,
    x and y of the corner nearest the origin.
    `find_metadata` names the files that these read; a required one that is absent is an error, an optional one is
    listed in `missing`.
    `find_pixels` maps the key of each image file on disk to its path relative to the root. A file that no row can
    mean is kept under a key of its own, so that it is counted. `suffixes` are those of image files, in lower case.
    `describe_layout` says which layout was recognised, and why; the metadata alone is enough.
    """

    name: str
    title: str
    home_page: str
    citation: str
    licence: str
    access: Literal["open", "registration", "credentialed"]
    commercial_use: bool
    redistribution: bool
    unstated_is: Literal["negative", "unknown"]
    read_images: Callable[[Path], pl.LazyFrame]
    read_findings: Callable[[Path], pl.LazyFrame] | None
    find_metadata: Callable[[Path], Metadata]
    find_pixels: Callable[[Path], dict[str, Path]]
    describe_layout: Callable[[Path], Layout]
    suffixes: tuple[str, ...]
    read_wide: Callable[[Path], pl.LazyFrame] | None = None
    read_reports: Callable[[Path], pl.LazyFrame] | None = None
    read_boxes: Callable[[Path], pl.LazyFrame] | None = None
    readers: int = 1  # voices per image
    expected: dict[str, int] = field(default_factory=dict)  # published number of `images`, `patients`, ...

    @property
    def root_variable(self) -> str:
        """The environment variable that names this source's folder."""
        return f"CXR_{self.name.upper()}_ROOT"
