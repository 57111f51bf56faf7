"""One small demo for all end-to-end tests: the real commands, a real Dagster instance, a real MLflow store."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[1]
# Enough phantoms and epochs to pass the bar of .80 with room: .87 on a Xeon of two cores, where 170 patients and 22
# epochs reached .83 with one order of augmentations and .799 with another.
PATIENTS, EPOCHS = 200, 26


@dataclass(frozen=True)
class Demo:
    """A folder in which `cxr demo` has run, and what it printed."""

    folder: Path
    output: str

    @property
    def lake(self) -> Path:
        return self.folder / ".cxr" / "lake"


def new_project(folder: Path) -> Path:
    """A folder with the project's Dagster files, as a user has it after cloning."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT / name, folder / name)
    return folder


def run_cxr(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`cxr ARGUMENTS` in `folder`, with only the CXR_* variables given."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("CXR_", "DAGSTER_", "MLFLOW_"))}
    return subprocess.run(
        [sys.executable, "-m", "cxr_pipeline.cli", *arguments],
        cwd=folder,
        env={**clean, "COLUMNS": "200", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def run_demo(folder: Path, **variables: str) -> Demo:
    """The demo in `folder`, small; fails the test with the output when the command fails."""
    done = run_cxr(folder, "demo", "--patients", str(PATIENTS), "--epochs", str(EPOCHS), **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return Demo(folder, done.stdout + done.stderr)
