"""Inputs that the evaluation tests share."""

import pytest

from cxr_pipeline_tests.evaluation.cases import write_world


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("world"))
