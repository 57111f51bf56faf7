"""Fixtures of the end-to-end tests. They share one worker (xdist group `demo`), since the demo runs once."""

from pathlib import Path

import pytest

from cxr_pipeline_tests.demo import Demo, new_project, run_demo


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """A finished small demo. Tests may read it, and run commands that change nothing."""
    folder: Path = new_project(tmp_path_factory.mktemp("project"))
    return run_demo(folder)
