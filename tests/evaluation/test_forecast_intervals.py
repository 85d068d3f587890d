"""Quantiles of forecasts: pinball loss, coverage and empirical quantiles, against scikit-learn, NumPy and by hand."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import mean_pinball_loss

from dlcli.evaluation import forecast_intervals

NAN = float("nan")
RNG = np.random.default_rng(0)


def test_losses_are_twice_the_pinball_loss() -> None:
    levels = (0.1, 0.5, 0.75)
    true, quantiles = RNG.normal(size=(6, 4)), RNG.normal(size=(6, 4, 3))
    found = forecast_intervals.quantile_losses(true, quantiles, levels)
    for number, level in enumerate(levels):
        expected = 2 * mean_pinball_loss(true.ravel(), quantiles[..., number].ravel(), alpha=level)
        assert found[..., number].mean() == pytest.approx(expected)
    np.testing.assert_allclose(found[..., 1], np.abs(true - quantiles[..., 1]))


def test_the_mean_over_many_levels_is_the_crps() -> None:
    """Of a normal distribution: s (z (2 F(z) - 1) + 2 f(z) - 1 / sqrt(pi)), Gneiting and Raftery 2007, section 4.2."""
    levels = (np.arange(999) + 0.5) / 999
    true = np.array([[-1.0, 0.3, 2.5]])
    quantiles = np.broadcast_to(1 + 2 * norm.ppf(levels), (1, 3, 999))
    z = (true - 1) / 2
    expected = 2 * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - np.pi**-0.5)
    found = forecast_intervals.quantile_losses(true, quantiles, levels.tolist()).mean(axis=-1)
    np.testing.assert_allclose(found, expected, rtol=2e-3)


def test_measures_by_hand() -> None:
    true = np.array([[1.0, 5.0], [NAN, -2.0]])
    network = np.array([[[0.0, 1, 2], [1, 2, 3]], [[0, 0, 0], [-3, -2, -1]]])
    shifted = network + 10
    found, by_step, by_level = forecast_intervals.metrics(true, {"": network, "ridge_": shifted}, (0.1, 0.5, 0.9))
    losses = {1: (0.2, 0.0, 0.2), 5: (0.8, 3.0, 3.6), -2: (0.2, 0.0, 0.2)}
    mean = np.mean(list(losses.values()))
    assert found["nominal_coverage"] == 0.8
    assert found["quantile_loss"] == pytest.approx(mean)
    assert found["weighted_quantile_loss"] == pytest.approx(mean / ((1 + 5 + 2) / 3))
    assert found["coverage"] == pytest.approx(2 / 3)
    assert found["ridge_coverage"] == 0.0
    assert found["interval_width"] == found["ridge_interval_width"] == 2.0
    assert [row["coverage"] for row in by_step] == [1.0, 0.5]
    assert by_step[1]["quantile_loss"] == pytest.approx(np.mean([losses[5], losses[-2]]))
    assert [row["level"] for row in by_level] == [0.1, 0.5, 0.9]
    assert [row["below"] for row in by_level] == pytest.approx([0, 2 / 3, 2 / 3])
    assert [row["ridge_below"] for row in by_level] == [1.0, 1.0, 1.0]
    assert by_level[1]["quantile_loss"] == pytest.approx(1.0)


def test_a_single_level_has_no_interval_and_an_unknown_step_no_measure() -> None:
    found, by_step, _ = forecast_intervals.metrics(np.array([[NAN, 2.0]]), {"": np.array([[[1.0], [1.5]]])}, (0.5,))
    assert found == {"quantile_loss": 0.5, "weighted_quantile_loss": 0.25}
    assert by_step == [{"quantile_loss": None}, {"quantile_loss": 0.5}]


def test_quantiles_of_errors_are_those_of_each_step() -> None:
    errors = RNG.normal(size=(200, 3)) * [1, 5, 1]
    errors[:50, 1] = errors[:, 2] = NAN
    found = forecast_intervals.quantiles_of_errors(errors, (0.2, 0.5))
    np.testing.assert_allclose(found[0], np.quantile(errors[:, 0], (0.2, 0.5)))
    np.testing.assert_allclose(found[1], np.quantile(errors[50:, 1], (0.2, 0.5)))
    assert found[2].tolist() == [0.0, 0.0]
