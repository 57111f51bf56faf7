import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import expit

from cxr_pipeline.training.checkpoint.temperature import calibrate, fit_temperature, to_logits


def overconfident(*, times: float, n: int = 500, seed: int = 0):
    """(labels, logits) [n, 14]: labels drawn with the right probability, the logits that follow from it x `times`."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 1.5, (n, 14))
    labels = (rng.random((n, 14)) < expit(logits)).astype(np.float32)
    return labels, (logits * times).astype(np.float32)


def likelihood(labels, logits, temperature):
    """Mean negative log likelihood, by torch."""
    scaled = torch.from_numpy(logits.astype(np.float64)) / temperature
    return torch.nn.functional.binary_cross_entropy_with_logits(scaled, torch.from_numpy(labels).double()).item()


@pytest.mark.parametrize("times", [0.3, 1.0, 4.0])
def test_is_the_temperature_that_a_minimiser_finds(times):
    labels, logits = overconfident(times=times)
    found = minimize_scalar(lambda t: likelihood(labels, logits, t), bounds=(0.05, 20), options={"xatol": 1e-9})
    assert fit_temperature(labels, logits) == pytest.approx(found.x, rel=1e-4)
    assert fit_temperature(labels, logits) == pytest.approx(times, rel=0.1)


def test_makes_the_labels_likelier():
    labels, logits = overconfident(times=3)
    temperature = fit_temperature(labels, logits)
    assert likelihood(labels, logits, temperature) < likelihood(labels, logits, 1.0) - 0.05


def test_unknown_and_uncertain_cells_say_nothing():
    labels, logits = overconfident(times=2)
    hidden = np.random.default_rng(1).random(labels.shape)
    partly = np.where(hidden < 0.2, np.nan, np.where(hidden < 0.4, -1, labels)).astype(np.float32)
    known = hidden >= 0.4
    found = minimize_scalar(
        lambda t: likelihood(labels[known], logits[known], t), bounds=(0.05, 20), options={"xatol": 1e-9}
    )
    assert fit_temperature(partly, logits) == pytest.approx(found.x, rel=1e-4)


def test_no_temperature_where_none_is_best():
    labels, logits = overconfident(times=1)
    assert fit_temperature(np.full_like(labels, np.nan), logits) is None
    assert fit_temperature((logits > 0).astype(np.float32), logits) is None  # separated: the colder the better
    assert fit_temperature((logits < 0).astype(np.float32), logits) is None  # the opposite: the hotter the better


def test_calibration_keeps_the_order_and_none_changes_nothing():
    _, logits = overconfident(times=1)
    calm = calibrate(logits, 2.5)
    assert calm.dtype == np.float32
    # Not strictly: two neighbours of float32 may become one probability.
    assert (np.diff(calm.ravel()[np.argsort(logits.ravel())]) >= 0).all()
    np.testing.assert_allclose(calm, expit(logits / 2.5), atol=1e-7)
    np.testing.assert_allclose(calibrate(logits, None), expit(logits), atol=1e-7)


def test_logits_come_back_from_probabilities_and_are_finite():
    logits = np.array([-60.0, -5.0, 0.0, 3.0, 12.0])
    np.testing.assert_allclose(to_logits(expit(logits).astype(np.float32)), logits, rtol=2e-2, atol=1e-6)
    edges = to_logits(np.array([0, 1], dtype=np.float32))
    assert np.isfinite(edges).all()
    assert (edges[0] < -80, edges[1] > 16) == (True, True)
