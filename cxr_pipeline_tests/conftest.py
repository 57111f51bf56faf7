"""Fixtures of the end-to-end tests. They share one worker (xdist group `demo`), since the demo runs once."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from cxr_pipeline_tests.demo import Demo, new_project, run_demo

# A developer's run looks for new counterexamples each time; CI repeats the same ones, so that red means changed code.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The demo's tests first: they are one long chain, and the other worker does the rest meanwhile."""
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """A finished small demo. Tests may read it, and run commands that change nothing."""
    folder: Path = new_project(tmp_path_factory.mktemp("project"))
    return run_demo(folder)
