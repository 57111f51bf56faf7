"""What happens to a release on its way: no label, no published part and no split changes without a word of file and
number.

Each rendered collection is copied, one of its tables is changed, and what the reader says, and the split that is made
of it, are compared with before.
"""

import gzip
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cxr_pipeline.datasets import DATASETS
from cxr_pipeline.datasets.inventory import take_inventory
from cxr_pipeline.errors import CxrError, TableError
from cxr_pipeline.labels.harmonize import label_table
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.phantom.write import PhantomRequest, write_phantoms
from cxr_pipeline.split.cohort import build_cohort
from cxr_pipeline.split.config import SplitConfig
from cxr_pipeline.split.history import Memory
from cxr_pipeline_tests.split.tables import index_rows

SOURCES = tuple(DATASETS)
COMPARED = ["image_id", "patient_id", "official_split", *PATHOLOGIES]


@dataclass(frozen=True, repr=False)
class Reading:
    """What a reader makes of a folder: its table, and every word that a user is told."""

    table: pl.DataFrame | None
    words: tuple[str, ...]

    def __repr__(self) -> str:  # a counterexample shows the change, not every row
        return "Reading(...)"


def read(source: str, root: Path) -> Reading:
    try:
        warnings = take_inventory(DATASETS[source], root).warnings
        labels = label_table(DATASETS[source], root).table
    except CxrError as error:
        return Reading(None, (str(error),))
    split = labels.select(COMPARED).join(split_of(source, labels), on="image_id", how="left").sort("image_id")
    return Reading(split, tuple(line.replace(str(root), "") for line in warnings))


def split_of(source: str, labels: pl.DataFrame) -> pl.DataFrame:
    """`image_id, split` of a first cohort of this source alone; no rows where nothing can be used."""
    no_pairs = pl.DataFrame(schema={"image_a": pl.String, "image_b": pl.String})
    index = index_rows(labels)
    try:
        made = build_cohort({source: labels}, {source: index}, SplitConfig(), pairs=no_pairs, memory=Memory.empty())
    except TableError:
        return labels.select("image_id", split=pl.lit("none")).clear()
    return made.table.select("image_id", pl.col("split").cast(pl.String))


def cut_rows(text: bytes, place: float) -> bytes:
    lines = text.splitlines(keepends=True)
    return b"".join(lines[: 1 + int(place * (len(lines) - 1))])


def cut_bytes(text: bytes, place: float) -> bytes:
    return text[: int(place * len(text))]


def repeat_row(text: bytes, place: float) -> bytes:
    lines = text.splitlines(keepends=True)
    row = lines[min(1 + int(place * (len(lines) - 1)), len(lines) - 1)]
    return b"".join([*lines, *([] if lines[-1].endswith(b"\n") else [b"\n"]), row])


def prefix_rows(text: bytes, place: float) -> bytes:
    header, *lines = text.splitlines(keepends=True)
    return b"".join([header, *(b"images/" + line for line in lines)])


def add_columns(text: bytes, place: float) -> bytes:
    return b"".join(line.rstrip(b"\r\n") + b" 0 1 0\n" for line in text.splitlines(keepends=True))


def raise_case(text: bytes, place: float) -> bytes:
    return text.replace(b".png", b".PNG").replace(b".jpg", b".JPG")


def as_windows_saves(text: bytes, place: float) -> bytes:
    return b"\xef\xbb\xbf" + text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def turn_columns(text: bytes, place: float) -> bytes:
    """The last column first, where no cell holds a comma."""
    lines = text.splitlines()
    if b'"' in text or b"," not in lines[0]:
        return text
    return b"".join(b",".join([line.rpartition(b",")[2], line.rpartition(b",")[0]]) + b"\n" for line in lines)


def swap_rows(text: bytes, place: float) -> bytes:
    header, *lines = text.splitlines(keepends=True)
    return b"".join([header, *reversed(lines)]) if lines and lines[-1].endswith(b"\n") else text


CHANGES: tuple[Callable[[bytes, float], bytes], ...] = (
    cut_rows, cut_bytes, repeat_row, prefix_rows, add_columns, raise_case, as_windows_saves, turn_columns, swap_rows
)  # fmt: skip


@pytest.fixture(scope="module")
def releases(tmp_path_factory) -> dict[str, tuple[Path, Reading]]:
    """A rendered collection of each source, and what is read of it untouched."""
    made = {}
    for source in SOURCES:
        root = tmp_path_factory.mktemp(source)
        write_phantoms(PhantomRequest(source, patients=12, seed=7, size=16), root, workers=1)
        made[source] = (root, read(source, root))
    return made


def tables_of(source: str, root: Path) -> list[Path]:
    """The files that describe the source; of OpenI, which has one per report, the first few."""
    return [path.relative_to(root) for path in DATASETS[source].find_metadata(root).files.values()][:6]


def change(path: Path, alter: Callable[[bytes, float], bytes], place: float) -> None:
    raw = path.read_bytes()
    text = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    path.write_bytes(gzip.compress(alter(text, place), mtime=0) if text is not raw else alter(text, place))


def require_a_word(file: Path, before: Reading, after: Reading) -> None:
    """A table that differs comes with a new line that names the file and holds a number."""
    if after.table is not None and before.table is not None and after.table.equals(before.table):
        return
    told = [line for line in after.words if line not in before.words]
    names = [file.name.removesuffix(".gz"), *([file.parent.name] if file.suffix == ".xml" else [])]
    assert any(name in line for line in told for name in names), (file, told)
    assert any(letter.isdigit() for line in told for letter in line.replace(file.name, "")), (file, told)


@pytest.mark.parametrize("source", SOURCES)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.integers(0, 5), alter=st.sampled_from(CHANGES), place=st.floats(0.05, 0.95))
def test_changed_table_is_read_alike_or_told(source, releases, tmp_path, which, alter, place):
    root, before = releases[source]
    files = tables_of(source, root)
    copy = tmp_path / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(root, copy)
    file = files[which % len(files)]
    change(copy / file, alter, place)
    require_a_word(file, before, read(source, copy))


@pytest.mark.parametrize("source", SOURCES)
def test_table_that_is_gone_is_told(source, releases, tmp_path):
    root, before = releases[source]
    for number, file in enumerate(tables_of(source, root)):
        copy = tmp_path / str(number)
        shutil.copytree(root, copy)
        (copy / file).rename(copy / "elsewhere.bin")
        require_a_word(file, before, read(source, copy))


@pytest.mark.parametrize("source", SOURCES)
def test_files_are_read_in_any_case(source, releases, tmp_path):
    root, before = releases[source]
    shutil.copytree(root, tmp_path / "copy")
    dataset, copy = DATASETS[source], tmp_path / "copy"
    layout = dataset.describe_layout(root).name
    for path in dataset.find_metadata(copy).files.values():
        path.rename(path.with_name(path.name.upper()))
    assert read(source, copy).table.equals(before.table)
    assert dataset.describe_layout(copy).name == layout
