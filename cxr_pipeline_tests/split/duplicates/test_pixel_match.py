import numpy as np
import pytest

from cxr_pipeline.split.duplicates.config import DEFAULT_SEARCH
from cxr_pipeline.split.duplicates.pixel_match import SIDE, pixel_differences, thumbnail
from cxr_pipeline_tests.images.conftest import picture
from cxr_pipeline_tests.split.stores import COPIES, resized

LIMIT = DEFAULT_SEARCH.pixel_difference


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(pixel_differences(thumbnail(a)[None], thumbnail(b)[None])[0])


def textured(seed: int, side: int = 512) -> np.ndarray:
    """A smooth picture with the grain that radiographs have."""
    grain = np.random.default_rng(seed + 1000).standard_normal((side // 4, side // 4)) * 12
    smooth = picture(seed, height=side, width=side).astype(float)
    return np.clip(smooth * 0.8 + 20 + np.kron(grain, np.ones((4, 4))), 0, 255).astype(np.uint8)


def test_thumbnail_has_mean_zero_and_deviation_one():
    small = thumbnail(textured(0))
    assert small.shape == (SIDE, SIDE)
    assert small.mean() == pytest.approx(0, abs=1e-4)
    assert small.std() == pytest.approx(1, abs=1e-4)


def test_picture_does_not_differ_from_itself_nor_from_another_gain_and_offset():
    one = textured(1).astype(np.float32)
    assert difference(one, one) == pytest.approx(0, abs=1e-6)
    assert difference(one, one * 0.6 + 30) == pytest.approx(0, abs=1e-6)


def test_order_of_a_pair_does_not_matter():
    one, other = textured(1), COPIES["2 % cut off"](textured(1))
    assert difference(one, other) == pytest.approx(difference(other, one), rel=1e-3)


@pytest.mark.parametrize("kind", COPIES)
def test_altered_copy_is_far_below_the_limit(kind: str):
    for seed in range(5):
        assert difference(textured(seed), COPIES[kind](textured(seed))) < LIMIT / 2


def test_two_pictures_are_far_above_the_limit():
    assert min(difference(textured(0), textured(seed)) for seed in range(1, 10)) > 20 * LIMIT


def test_same_shapes_with_another_grain_are_two_pictures():
    coarse = picture(5, height=512, width=512) * 0.8 + 20
    grains = [np.kron(np.random.default_rng(seed).standard_normal((64, 64)) * 12, np.ones((8, 8))) for seed in (1, 2)]
    first, second = (np.clip(coarse + grain, 0, 255).astype(np.uint8) for grain in grains)
    assert np.corrcoef(resized(first, 16).ravel(), resized(second, 16).ravel())[0, 1] > 0.99
    assert difference(first, second) > 4 * LIMIT


def test_equals_ordinary_least_squares():
    a, b = thumbnail(textured(2)), thumbnail(textured(3))
    mean, inner = (a + b) / 2, (slice(3, -3), slice(3, -3))
    down, across = np.gradient(mean)
    y, x = np.meshgrid(np.linspace(-1, 1, SIDE), np.linspace(-1, 1, SIDE), indexing="ij")
    columns = [np.ones_like(mean), mean, np.maximum(mean - 1, 0), across, across * x, down, down * y]
    design = np.stack([column[inner].ravel() for column in columns], axis=1)
    target = (a - b)[inner].ravel()
    fit = design @ np.linalg.lstsq(design, target)[0]
    expected = ((target - fit) ** 2).mean() / 2
    assert pixel_differences(a[None], b[None])[0] == pytest.approx(expected, rel=1e-3)


def test_many_pairs_give_what_each_gives_alone():
    thumbnails = np.stack([thumbnail(textured(seed % 9, 128)) for seed in range(300)])
    together = pixel_differences(thumbnails, thumbnails[::-1])
    alone = pixel_differences(thumbnails[270:271], thumbnails[29:30])
    assert len(together) == 300
    assert together[270] == pytest.approx(alone[0], rel=1e-4)


def test_no_pairs_give_no_differences():
    none = np.empty((0, SIDE, SIDE), np.float32)
    assert pixel_differences(none, none).shape == (0,)
