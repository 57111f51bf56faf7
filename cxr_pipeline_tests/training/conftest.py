"""Inputs that the training tests share."""

import pytest

from cxr_pipeline_tests.training.tiny import write_inputs


@pytest.fixture(scope="session")
def inputs(tmp_path_factory):
    return write_inputs(tmp_path_factory.mktemp("lake"))
