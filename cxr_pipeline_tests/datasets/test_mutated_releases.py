"""What happens to a release on its way: no label and no published part changes without a word of file and number.

Each rendered collection is copied, one of its tables is changed, and what the reader says is compared with before.
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
from cxr_pipeline.errors import CxrError
from cxr_pipeline.labels.harmonize import label_table
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline.phantom.write import PhantomRequest, write_phantoms

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
        table = label_table(DATASETS[source], root).table.select(COMPARED).sort("image_id")
    except CxrError as error:
        return Reading(None, (str(error),))
    return Reading(table, tuple(line.replace(str(root), "") for line in warnings))


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


CHANGES: tuple[Callable[[bytes, float], bytes], ...] = (
    cut_rows, cut_bytes, repeat_row, prefix_rows, add_columns, raise_case
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
