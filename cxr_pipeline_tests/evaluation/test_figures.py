import re

import numpy as np
import pytest

from cxr_pipeline.evaluation.curves import Curve, roc_curves
from cxr_pipeline.evaluation.figures import HEIGHT, WIDTH, curve_panels, training_charts
from cxr_pipeline.pathologies import PATHOLOGIES
from cxr_pipeline_tests.evaluation.cases import scored_images

EPOCHS = [
    {"epoch": 1, "train_loss": 0.4, "val_loss": 0.2, "val_macro_auroc": None, "lr": 0.1, "best": True},
    {"epoch": 2, "train_loss": 0.3, "val_loss": 0.1, "val_macro_auroc": 0.7, "lr": 0.1, "best": True},
    {"epoch": 3, "train_loss": 0.2, "val_loss": 0.3, "val_macro_auroc": 0.6, "lr": 0.1, "best": False},
]


def points(path):
    return [tuple(map(float, pair.split())) for pair in path.removeprefix("M").split("L")]


def test_a_curve_goes_from_lower_left_to_upper_right_without_needless_points():
    curve = Curve(np.array([0, 0, 0.25, 0.5, 0.5001, 1]), np.array([0, 0.5, 0.5, 0.5, 0.5, 1]))
    (panel,) = (p for p in curve_panels({"nih": {"Mass": curve}}) if p.lines)
    assert (panel.title, panel.lines[0].name) == ("Mass", "nih")
    assert points(panel.lines[0].path) == [(0, 100), (0, 50), (50, 50), (100, 0)]


def test_the_drawn_curve_keeps_the_area():
    scored = scored_images(2000, seed=1)
    curve = roc_curves(scored)["Mass"]
    (line,) = curve_panels({"nih": {"Mass": curve}})[PATHOLOGIES.index("Mass")].lines
    x, y = np.array(points(line.path)).T / 100
    assert np.trapezoid(1 - y, x) == pytest.approx(np.trapezoid(curve.y, curve.x), abs=0.005)


def test_a_class_without_a_curve_keeps_its_place():
    panels = curve_panels({})
    assert len(panels) == 14
    assert all(not panel.lines for panel in panels)


def test_training_charts_place_values_between_round_ticks():
    loss, auroc, lr = training_charts(EPOCHS)
    assert [label for _, label in loss.y_ticks] == ["0.1", "0.2", "0.3", "0.4"]
    assert points(loss.lines[0].path) == [(0, 0), (WIDTH / 2, HEIGHT / 3), (WIDTH, HEIGHT * 2 / 3)]
    assert loss.marker == WIDTH / 2
    assert points(auroc.lines[0].path)[0][0] == WIDTH / 2
    assert [label for _, label in lr.y_ticks][0] == "0.1"


def test_one_epoch_and_none_are_drawn_too():
    assert training_charts([]) == []
    (loss, lr) = training_charts(EPOCHS[:1])
    assert loss.x_ticks == [(WIDTH / 2, "1")]
    assert all(re.fullmatch(r"M[\d.]+ [\d.]+", line.path) for line in (*loss.lines, *lr.lines))
