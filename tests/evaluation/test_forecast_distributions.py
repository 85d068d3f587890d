"""Distributions of forecasts, against scipy and by numerical integration."""

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from dlcli.evaluation import forecast_distributions
from dlcli.evaluation.forecast_distributions import Family

NAN = float("nan")
FAMILIES = {None: stats.norm, 3.0: stats.t(3), 30.0: stats.t(30)}


@pytest.mark.parametrize(("freedom", "standard"), FAMILIES.items())
def test_the_crps_is_the_integral_of_its_definition(freedom: float | None, standard: stats.rv_continuous) -> None:
    """Gneiting and Raftery 2007, equation 20."""
    location, scale = 2.0, 3.0
    for true in (-7.0, 1.5, 20.0):
        below = quad(lambda x: standard.cdf((x - location) / scale) ** 2, -np.inf, true)[0]
        above = quad(lambda x: standard.sf((x - location) / scale) ** 2, true, np.inf)[0]
        found = Family(freedom).crps(*(np.array(value) for value in (true, location, scale)))
        assert float(found) == pytest.approx(below + above, rel=1e-6)


@pytest.mark.parametrize(("freedom", "standard"), FAMILIES.items())
def test_likelihood_and_parameters_are_those_of_scipy(freedom: float | None, standard: stats.rv_continuous) -> None:
    levels, family = (0.05, 0.5, 0.6, 0.9), Family(freedom)
    location, scale = np.array([[1.0, 1e6]]), np.array([[0.5, 20.0]])
    quantiles = standard.ppf(levels) * scale[..., None] + location[..., None]
    np.testing.assert_allclose(family.quantiles(levels), standard.ppf(levels))
    found = family.parameters(quantiles, levels)
    np.testing.assert_allclose(found, (location, scale), rtol=1e-9)
    true = location + np.array([[0.3, -50]])
    expected = -np.log(standard.pdf((true - location) / scale) / scale)
    np.testing.assert_allclose(family.negative_log_likelihood(true, *found), expected, rtol=1e-6)


def test_means_leave_unknown_values_out_and_a_constant_has_no_likelihood() -> None:
    family, true = Family(), np.array([[1.0, NAN], [3.0, NAN]])
    ones, zeros = np.ones((2, 2)), np.zeros((2, 2))
    found, by_step = forecast_distributions.metrics(family, true, {"": (ones, ones), "naive_": (ones, zeros)})
    expected = -stats.norm.logpdf([0.0, 2.0]).mean()
    assert found["nll"] == by_step[0]["nll"] == pytest.approx(expected)
    assert (by_step[1]["nll"], by_step[1]["crps"]) == (None, None)
    assert found["naive_crps"] == pytest.approx(1.0)
    assert "naive_nll" not in found
