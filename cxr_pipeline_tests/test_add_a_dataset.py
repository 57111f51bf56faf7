"""Follows docs/add-a-dataset.md to the letter, in a copy of the package."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

PROJECT = Path(__file__).parents[1]
PAGE = (PROJECT / "docs" / "add-a-dataset.md").read_text()

CREATE = re.compile(r"^Create `([^`]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INSERT = re.compile(r"^In `([^`]+)`, after the line `([^\n]+)`, add\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of `cxr_pipeline` to which the page was applied."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(PROJECT / "cxr_pipeline", folder / "cxr_pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    for name, content in CREATE.findall(PAGE):
        assert not (folder / name).exists()
        (folder / name).write_text(content)
    for name, line, addition in INSERT.findall(PAGE):
        text = (folder / name).read_text()
        assert text.count(f"{line}\n") == 1, f"{name} does not have this line once: {line}"
        (folder / name).write_text(text.replace(f"{line}\n", f"{line}\n{addition}"))
    return folder


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clinic")
    rows = ["a.png,7,front,60,enlarged heart;fluid", "b.png,7,side,60,healthy", "c.png,8,front,31,opacity"]
    (root / "images.csv").write_text("\n".join(["file,patient,projection,age,findings", *rows]))
    return root


def run(package: Path, *arguments: str) -> str:
    """`cxr ARGUMENTS` with the copy in place of the installed package."""
    done = subprocess.run(
        [sys.executable, "-m", "cxr_pipeline.cli", *arguments],
        cwd=package,
        env={**os.environ, "PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_creates_two_files_and_inserts_three_lines():
    assert len(CREATE.findall(PAGE)) == 2
    assert len(INSERT.findall(PAGE)) == 3


def test_the_new_source_is_harmonized(package: Path, clinic: Path):
    run(package, "labels", "clinic", "--root", str(clinic), "--out", "clinic.parquet")
    table = pl.read_parquet(package / "clinic.parquet")
    assert table["image_id"].to_list() == ["clinic/a", "clinic/b", "clinic/c"]
    assert table["Cardiomegaly"].to_list() == [1, 0, 0]
    assert table["Effusion"].to_list() == [1, 0, 0]
    assert table["Consolidation"].to_list() == [None, None, None]  # no word of its own
    assert table["Hernia"].null_count() == 3


def test_the_new_source_is_listed_with_its_layout(package: Path, clinic: Path):
    shown = run(package, "sources", "info", "clinic", "--root", str(clinic))
    assert "one table" in shown
    assert "clinic" in run(package, "sources")
