"""What the pipeline needs to know about a source, and nothing else. No labels, no policy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import polars as pl

from cxr_pipeline.datasets.files.access import guard
from cxr_pipeline.pathologies import POSITIVE

Reader = Callable[[Path], pl.LazyFrame]

NO_LABELS = "(no labels)"  # the word of a source that labelled everything but this image

_OF_A_FOLDER = (  # functions of the folder of a source, which may hold what nobody may read
    "read_images", "read_findings", "read_wide", "read_reports", "read_boxes", "read_frames", "find_metadata",
    "find_pixels", "find_gaps", "find_box_gaps", "describe_layout",
)  # fmt: skip
_SELDOM_STATED = {"labelled_by": pl.String, "birth_year": pl.Int16}


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
class Display:
    """Whether pictures of a source may stand in asset pages, which everyone who reaches the server sees."""

    allowed: bool
    reason: str  # the term of the source that decides, for a person to read


@dataclass(frozen=True)
class Dataset:
    """A published chest X-ray collection: who it is, which files describe it, how to read them.

    The functions parse and nothing more. Each takes the folder that the user named and raises
    `SourceNotFoundError` or `SourceFormatError` when the release is not there or not as published.

    `read_images` yields one row per *published* image, in published order: `image_id patient_id study_id dataset
    view path age_years sex official_split`, ids namespaced by the dataset (`nih/00000001_000`); `path` is the file's
    key as the metadata implies it. `labelled_by` and `birth_year` may follow: where a source leaves them out they are
    null.
    `read_findings` yields one row per statement: `image_id finding value reader`, in the source's own words. What the
    file says rather than a reader stands in parentheses: `(no labels)` for an image that was never labelled. None:
    the source has reports only. Where several readers saw each image (`readers` of them), each has its own rows.
    `read_wide`, where each finding is a column of its file: the rows of `read_images` with one more Int8 column per
    finding, null where nothing is said. It says the same as the two above, in one reading.
    `read_reports` yields one row per section of a report: `study_id section text`.
    `read_boxes` yields one row per box: `image_id finding reader x y width height`, in pixels of the picture that the
    reader saw, x and y of the corner nearest the origin. `read_frames` has the size of that picture where the release
    states it: `image_id frame_width frame_height`, one row per image. `box_files` are the roles of the files of boxes.
    `find_metadata` names the files that these read; a required one that is absent is an error, an optional one is
    listed in `missing`.
    `lookalikes` are files of other collections of the same images: name -> what it is, and what to get instead.
    `archive` names the archive that the pictures come in, where its publisher cut it into parts; see `archives.py`.
    `find_pixels` maps the key of each image file on disk to its path relative to the root. A file that no row can
    mean is kept under a key of its own, so that it is counted. `suffixes` are those of image files, in lower case.
    `find_gaps` counts, both ways, where two files of the release do not name the same images: one line each, which
    names the file and the number, and no image. `find_box_gaps` does so for the files of boxes and of their frames:
    no label hangs on them, so what is wrong with one is told and stops nothing.
    `known_gap` is what the release lacks as published, which `find_gaps` does not tell of a complete one.
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
    read_images: Reader
    read_findings: Reader | None
    find_metadata: Callable[[Path], Metadata]
    find_pixels: Callable[[Path], dict[str, Path]]
    describe_layout: Callable[[Path], Layout]
    suffixes: tuple[str, ...]
    read_wide: Reader | None = None
    read_reports: Reader | None = None
    read_boxes: Reader | None = None
    read_frames: Reader | None = None
    box_files: tuple[str, ...] = ()
    find_gaps: Callable[[Path], list[str]] | None = None
    find_box_gaps: Callable[[Path], list[str]] | None = None
    known_gap: str = ""
    lookalikes: Mapping[str, str] = field(default_factory=dict)
    archive: str | None = None
    readers: int = 1  # voices per image
    thumbnails: Display = Display(False, "its terms have not been read for this")  # phantoms are always shown
    expected: dict[str, int] = field(default_factory=dict)  # published number of `images`, `patients`, `boxes`
    expected_editions: dict[str, dict[str, int]] = field(default_factory=dict)  # begin of a layout's name -> its own
    expected_parts: dict[str, int] = field(default_factory=dict)  # published number of images of each official part
    expected_apart: dict[str, dict[str, int]] = field(default_factory=dict)  # the same of official parts shipped apart

    def __post_init__(self) -> None:
        """Completes the rows here, once, so that a source states what its files do, and tells what it cannot read."""
        object.__setattr__(self, "read_images", partial(_read_complete, self.read_images, tuple(_SELDOM_STATED)))
        if self.read_wide:  # its other columns are findings
            object.__setattr__(self, "read_wide", partial(_read_complete, self.read_wide, ("labelled_by",)))
        for name in _OF_A_FOLDER:
            if getattr(self, name):
                object.__setattr__(self, name, guard(getattr(self, name)))

    @property
    def root_variable(self) -> str:
        """The environment variable that names this source's folder."""
        return f"CXR_{self.name.upper()}_ROOT"


def mark_silent(findings: Sequence[str]) -> pl.Expr:
    """The Int8 column NO_LABELS beside one column per finding: 1 in a row where none is filled, else null.

    Such a row was never labelled: that it names no finding tells nothing of the image.
    """
    is_silent = pl.all_horizontal(pl.col(findings).is_null())
    return pl.when(is_silent).then(pl.lit(POSITIVE, pl.Int8)).alias(NO_LABELS)


def _read_complete(read: Reader, columns: tuple[str, ...], root: Path) -> pl.LazyFrame:
    """What `read` says of the source at `root`, with those of `columns` that it leaves out, null."""
    rows = read(root)
    stated = rows.collect_schema()
    return rows.with_columns(pl.lit(None, _SELDOM_STATED[name]).alias(name) for name in columns if name not in stated)
