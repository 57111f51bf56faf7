from dataclasses import replace

import numpy as np
import pytest

from cxr_pipeline.phantom.anatomy import LEFT, RIGHT, attenuation, draw_lungs, draw_thorax, heart_mask
from cxr_pipeline.phantom.drawing import box_of, make_grid
from cxr_pipeline.phantom.reshape import RESHAPERS

GRID = make_grid(200, 200)
UNIT = 100  # pixels


@pytest.mark.parametrize("ratio", [0.40, 0.49, 0.65])
def test_heart_is_as_wide_as_the_cardiothoracic_ratio_says(ratio):
    thorax = replace(draw_thorax(np.random.default_rng(0)), heart_ratio=ratio)
    [(_, _, width, _)] = box_of(heart_mask(GRID, thorax), level=0.5)
    assert width / UNIT / (2 * thorax.half_width) == pytest.approx(ratio, abs=0.015)


def test_only_cardiomegaly_has_a_heart_wider_than_half_of_the_thorax():
    for seed in range(200):
        thorax = draw_thorax(np.random.default_rng(seed))
        assert thorax.heart_ratio < 0.5
        assert RESHAPERS["Cardiomegaly"](np.random.default_rng(seed), thorax).heart_ratio > 0.5


def test_the_heart_points_to_the_patients_left():
    mask = heart_mask(GRID, draw_thorax(np.random.default_rng(1)))
    assert mask[:, 100:].sum() > 1.5 * mask[:, :100].sum()


def test_lungs_are_darker_than_the_belly_and_the_right_dome_stands_higher():
    thorax = draw_thorax(np.random.default_rng(2))
    lungs = draw_lungs(GRID, thorax)
    field = attenuation(GRID, thorax, lungs)
    assert field[(lungs[RIGHT] > 0.9)].mean() < 0.7 * field[190:, 50:150].mean()
    assert thorax.floor(RIGHT) < thorax.floor(LEFT)


def test_atelectasis_raises_one_half_of_the_diaphragm_only():
    thorax = draw_thorax(np.random.default_rng(3))
    lost = RESHAPERS["Atelectasis"](np.random.default_rng(3), thorax)
    raised = [thorax.floor(side) - lost.floor(side) for side in (LEFT, RIGHT)]
    assert min(raised) == pytest.approx(0)
    assert max(raised) > 0.09


def test_emphysema_lengthens_the_lungs_and_flattens_the_diaphragm():
    thorax = draw_thorax(np.random.default_rng(4))
    inflated = RESHAPERS["Emphysema"](np.random.default_rng(4), thorax)
    assert inflated.base > thorax.base
    assert inflated.dome < 0.5 * thorax.dome
    assert inflated.air > thorax.air
