import numpy as np
import pytest

from cxr_pipeline.phantom.drawing import box_of, disc, make_grid, soft_step, texture


def test_pixels_are_square_and_centred():
    grid = make_grid(4, 8)
    assert grid.y[:, 0].tolist() == [-0.75, -0.25, 0.25, 0.75]
    assert grid.x[0].tolist() == [-1.75, -1.25, -0.75, -0.25, 0.25, 0.75, 1.25, 1.75]
    assert grid.to_pixels(0.0, 0.0) == (4.0, 2.0)


def test_soft_step_is_half_at_the_edge_and_flat_beyond_its_width():
    steps = soft_step(np.array([-0.2, -0.1, 0.0, 0.1, 0.2], np.float32), 0.1)
    assert steps.tolist() == pytest.approx([0, 0, 0.5, 1, 1], abs=1e-6)


def test_box_encloses_a_disc():
    grid = make_grid(100, 100)
    [(x, y, width, height)] = box_of(disc(grid, (0.2, -0.4), 0.1, 0.01))
    assert (x + width / 2, y + height / 2) == grid.to_pixels(0.2, -0.4)
    assert width == pytest.approx(10, abs=1)
    assert height == pytest.approx(10, abs=1)


def test_nothing_drawn_has_no_box():
    assert box_of(np.zeros((5, 5), np.float32)) == []


def test_texture_is_the_same_pattern_at_another_resolution():
    small, large = (texture(np.random.default_rng(0), (side, side), 0.25) for side in (50, 100))
    assert np.corrcoef(small.ravel(), large[::2, ::2].ravel())[0, 1] > 0.95
