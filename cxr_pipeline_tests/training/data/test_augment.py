import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cxr_pipeline.training.config import TrainConfig
from cxr_pipeline.training.data.augment import augmentation

OFF = {"rotation_degrees": 0, "shift": 0, "scale": 0, "dropout_holes": 0, "brightness": 0, "contrast": 0}


@pytest.fixture(scope="module")
def pictures():
    """uint8 [8, 48, 48]: grey, brighter to the left."""
    ramp = np.linspace(200, 60, 48).astype(np.uint8)
    return np.repeat(np.tile(ramp, (48, 1))[None], 8, axis=0)


def test_the_seed_decides_every_pixel(pictures):
    augment = augmentation(TrainConfig())
    seeds = np.arange(8)
    once, again, other = augment(pictures, seeds), augment(pictures, seeds), augment(pictures, seeds + 8)
    assert once.dtype == np.uint8
    assert once.shape == pictures.shape
    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, other)
    assert not np.array_equal(once[0], once[1])


def test_an_image_changes_alike_in_any_company(pictures):
    augment = augmentation(TrainConfig())
    together = augment(pictures, np.arange(8))
    np.testing.assert_array_equal(augment(pictures[5:], np.arange(5, 8)), together[5:])


def test_threads_do_not_disturb_each_other(pictures):
    augment = augmentation(TrainConfig())
    seeds = np.arange(128).reshape(16, 8)
    alone = [augment(pictures, own) for own in seeds]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda own: augment(pictures, own), seeds))
    np.testing.assert_array_equal(alone, together)


def test_nothing_to_do_is_no_augmentation():
    assert augmentation(TrainConfig(**OFF)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"rotation_degrees": 20},
        {"shift": 0.2},
        {"scale": 0.3},
        {"dropout_holes": 3, "dropout_size": 0.3},
        {"brightness": 0.3},
        {"contrast": 0.3},
    ],
)
def test_each_field_changes_pictures_by_itself(change, pictures):
    changed = augmentation(TrainConfig(**{**OFF, **change}))(pictures, np.arange(8))
    assert not np.array_equal(changed, pictures)


def test_the_heart_stays_on_its_side_unless_asked(pictures):
    def mirrored(config):
        changed = augmentation(config)(np.repeat(pictures, 8, axis=0), np.arange(64)).astype(float)
        return (changed[:, :, :24].mean(axis=(1, 2)) < changed[:, :, 24:].mean(axis=(1, 2))).mean()

    assert mirrored(TrainConfig()) == 0
    assert 0.3 < mirrored(TrainConfig(horizontal_flip=True)) < 0.7


def test_holes_are_black_and_few(pictures):
    changed = augmentation(TrainConfig(**{**OFF, "dropout_holes": 2, "dropout_size": 0.25}))(pictures, np.arange(8))
    holes = (changed == 0).mean(axis=(1, 2))
    assert 0 < holes.max() <= 2 * 0.25**2
    np.testing.assert_array_equal(changed[changed > 0], pictures[changed > 0])


def test_the_library_does_not_ask_the_network_for_a_newer_version():
    augmentation(TrainConfig())
    assert os.environ["NO_ALBUMENTATIONS_UPDATE"] == "1"


def test_scale_keeps_the_aspect():
    square = np.zeros((40, 96, 96), np.uint8)
    square[:, 28:68, 28:68] = 255
    changed = augmentation(TrainConfig(**OFF | {"scale": 0.2}))(square, np.arange(40)) > 127
    heights, widths = changed.any(axis=2).sum(axis=1), changed.any(axis=1).sum(axis=1)
    assert np.abs(heights - widths).max() <= 1
    assert heights.min() < 38 < 42 < heights.max()
