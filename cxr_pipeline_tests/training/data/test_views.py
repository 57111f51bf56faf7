"""Training on some sources of a cohort that stays as it is."""

import numpy as np
import pytest

from cxr_pipeline.errors import TrainingError
from cxr_pipeline.storage.files import file_digest
from cxr_pipeline.training.checkpoint.files import load_checkpoint
from cxr_pipeline.training.config import TrainConfig
from cxr_pipeline.training.data.batches import read_cohort
from cxr_pipeline.training.run.loop import fit
from cxr_pipeline_tests.training.tiny import TINY, write_inputs


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return write_inputs(tmp_path_factory.mktemp("lake"))


def test_view_keeps_all_test_images_and_the_rest_of_the_named_sources(inputs):
    cohort = read_cohort(inputs.cohort)
    view = cohort.train_on(["nih"])
    assert set(view.datasets[view.splits != "test"]) == {"nih"}
    assert set(view.datasets[view.splits == "test"]) == {"chexpert", "nih"}
    is_kept = (cohort.splits == "test") | (cohort.datasets == "nih")
    np.testing.assert_array_equal(view.image_ids, cohort.image_ids[is_kept])


def test_no_names_are_all_sources(inputs):
    cohort = read_cohort(inputs.cohort)
    np.testing.assert_array_equal(cohort.train_on([]).image_ids, cohort.image_ids)


def without_training_images_of(name, inputs):
    cohort = read_cohort(inputs.cohort)
    return cohort.take((cohort.datasets != name) | (cohort.splits != "train"))


@pytest.mark.parametrize("named", [[], ["nih", "chexpert"]])
def test_source_with_validation_and_no_training_images_is_external_and_chooses_nothing(inputs, named):
    view = without_training_images_of("chexpert", inputs).train_on(named)
    assert set(view.datasets[view.splits == "val"]) == {"nih"}
    assert set(view.datasets[view.splits == "test"]) == {"chexpert", "nih"}


def test_where_no_source_is_trained_on_nothing_validates(inputs):
    view = without_training_images_of("nih", inputs).train_on(["nih"])
    assert set(view.splits) == {"test"}


def test_source_without_an_image_is_told_with_those_that_have(inputs):
    with pytest.raises(TrainingError, match="names padchest, vindr.*expected some of chexpert, nih"):
        read_cohort(inputs.cohort).train_on(["nih", "vindr", "padchest"])


def test_run_on_one_source_says_so_in_its_checkpoint_and_leaves_the_cohort_alone(inputs, tmp_path):
    before = file_digest(inputs.cohort)
    result = fit(TINY.model_copy(update={"train_on": ["nih"], "epochs": 1}), inputs, tmp_path, lambda event: None)
    _, config = load_checkpoint(tmp_path / "checkpoint")
    assert config.sources == ["nih"]
    assert config.train.train_on == ["nih"]
    assert result.images == {"train": 24, "val": 12, "test": 24}
    assert file_digest(inputs.cohort) == before


def test_sources_are_named_on_a_command_line_with_commas():
    assert TrainConfig.model_validate({"train_on": "nih, vindr"}).train_on == ["nih", "vindr"]
    assert TrainConfig.model_validate({"train_on": ""}).train_on == []
