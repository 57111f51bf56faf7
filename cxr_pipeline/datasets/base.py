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
class Dataset:
    """A published chest X-ray collection: who it is, which files describe it, how to read them.

    The functions parse and nothing more. Each takes the folder that the user named and raises
    `SourceNotFoundError` or `SourceFormatError` when the release is not there or not as published.

    `read_images` yields one row per *published* image, in published order: `image_id patient_id study_id dataset
    view path age_years sex official_split`, ids namespaced by the dataset (`nih/00000001_000`); `path` is the file's
    key as the metadata implies it.
    `read_findings` yields one row per statement: `image_id finding value reader`, in the source's own words.
    `find_metadata` names the files that both read; a required one that is absent is an error, an optional one is
    listed in `missing`.
    `find_pixels` maps the key of each image file on disk to its path relative to the root. A file that no row can
    mean is kept under a key of its own, so that it is counted.
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
    read_findings: Callable[[Path], pl.LazyFrame]
    find_metadata: Callable[[Path], Metadata]
    find_pixels: Callable[[Path], dict[str, Path]]
    expected: dict[str, int] = field(default_factory=dict)  # published number of `images`, `patients`, ...

    @property
    def root_variable(self) -> str:
        """The environment variable that names this source's folder."""
        return f"CXR_{self.name.upper()}_ROOT"
