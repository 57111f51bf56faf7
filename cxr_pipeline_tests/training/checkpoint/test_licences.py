from dataclasses import replace

import numpy as np
import pytest

from cxr_pipeline.training.checkpoint.licences import inherited_licences
from cxr_pipeline.training.data.batches import read_cohort
from cxr_pipeline.training.network.backbone import build_network
from cxr_pipeline_tests.training.tiny import TINY

STATED = {"nih": "unrestricted", "openi": "CC BY-NC-ND 4.0"}


@pytest.fixture(scope="module")
def network():
    return build_network(TINY)


@pytest.fixture(scope="module")
def people(inputs):
    """Images of `nih` and `chexpert`, as if of people."""
    cohort = read_cohort(inputs.cohort)
    return replace(cohort, is_phantom=np.zeros(len(cohort), dtype=bool))


def test_each_source_trained_on_is_listed_and_no_other(people, network):
    assert inherited_licences(STATED, people, network, TINY) == ["chexpert: not stated", "nih: unrestricted"]


def test_phantoms_owe_nothing(people, network):
    only_nih = replace(people, is_phantom=people.datasets != "nih")
    assert inherited_licences(STATED, only_nih, network, TINY) == ["nih: unrestricted"]


def test_starting_weights_bring_their_own_terms(people, network):
    nothing = people.take(np.array([], dtype=int))
    pretrained = TINY.model_copy(update={"pretrained": "hub"})
    assert inherited_licences(STATED, nothing, network, pretrained) == ["test_convnext: apache-2.0"]
    assert inherited_licences(STATED, nothing, network, TINY) == []


def test_the_terms_of_a_file_of_weights_are_not_assumed(people, network):
    nothing = people.take(np.array([], dtype=int))
    pretrained = TINY.model_copy(update={"pretrained": "/data/rad.pth"})
    assert inherited_licences(STATED, nothing, network, pretrained) == ["rad.pth: not stated"]
