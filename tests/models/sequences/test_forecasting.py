"""The forecasting head: what a forecast is added to equals the naive forecasts of evaluation."""

from typing import Any

import keras
import numpy as np
import pytest
from scipy import stats

from dlcli.evaluation.forecast import naive, seasonal_naive, window_scale
from dlcli.models.sequences import forecasting

NAN = np.nan
PAST = np.array(
    [[1.0, 2.0, 3.0, 4.0, 5.0], [1.0, NAN, 3.0, 4.0, NAN], [NAN] * 5, [NAN, 7.0, NAN, NAN, NAN]], np.float32
)


def base_of(difference: str, *, horizon: int = 4, season: int = 3) -> np.ndarray:
    inputs = keras.Input((5,))
    found = forecasting.base(inputs, horizon=horizon, season=season, difference=difference, mean=-1.0)  # type: ignore[arg-type]
    return np.asarray(keras.Model(inputs, found)(PAST))


def test_the_last_known_value() -> None:
    np.testing.assert_array_equal(base_of("last"), naive(PAST, 4, mean=-1.0))
    assert base_of("last")[:, 0].tolist() == [5.0, 4.0, -1.0, 7.0]


@pytest.mark.parametrize(("horizon", "season"), [(4, 3), (2, 5), (7, 2), (1, 1)])
def test_the_value_one_season_earlier(horizon: int, season: int) -> None:
    expected = seasonal_naive(PAST, horizon, season=season, mean=-1.0)
    np.testing.assert_array_equal(base_of("season", horizon=horizon, season=season), expected)


def test_without_differences_there_is_no_base() -> None:
    assert forecasting.base(keras.Input((5,)), horizon=2, season=1, difference="none", mean=0.0) is None


def test_outputs_are_on_the_scale_of_the_series_and_added_to_the_base() -> None:
    features, start = keras.Input((3,)), keras.Input((2,))
    outputs = forecasting.steps_ahead(features, horizon=2, num_levels=0)
    scale: dict[str, Any] = {"levels": None, "mean": 10.0, "deviation": 4.0}
    model = keras.Model([features, start], forecasting.forecast(outputs, start, **scale))
    kernel, bias = np.arange(6, dtype=np.float32).reshape(3, 2), np.array([0.5, -0.5], np.float32)
    model.get_layer("scaled_forecast").set_weights([kernel, bias])
    x, added = np.array([[1.0, 0.0, 2.0]], np.float32), np.array([[100.0, 200.0]], np.float32)
    np.testing.assert_allclose(model([x, added]), (x @ kernel + bias) * 4.0 + 10.0 + added)
    alone = keras.Model(features, forecasting.forecast(outputs, None, **scale))
    np.testing.assert_allclose(alone(x), (x @ kernel + bias) * 4.0 + 10.0)


@pytest.mark.parametrize("levels", [(0.1, 0.3, 0.5, 0.9), (0.5, 0.9), (0.2, 0.5), (0.5,)])
def test_quantiles_increase_by_softplus_from_the_median(levels: tuple[float, ...]) -> None:
    horizon, middle = 3, levels.index(0.5)
    features, start = keras.Input((4,)), keras.Input((horizon,))
    outputs = forecasting.steps_ahead(features, horizon=horizon, num_levels=len(levels))
    found = forecasting.forecast(outputs, start, levels=levels, mean=10.0, deviation=4.0)
    model = keras.Model([features, start], [outputs, found])
    assert model.count_params() == (4 + 1) * horizon * len(levels)
    rng = np.random.default_rng(0)
    raw, quantiles = (
        np.asarray(part) for part in model([8 * rng.normal(size=(50, 4)), 100 * rng.normal(size=(50, horizon))])
    )
    start_again = quantiles[..., middle] - (4.0 * raw[..., middle] + 10.0)
    assert np.ptp(quantiles, axis=-1).min() >= 0
    assert (np.diff(quantiles, axis=-1) >= 0).all()
    distances = 4.0 * np.log1p(np.exp(raw))
    for level in range(len(levels)):
        between = slice(middle + 1, level + 1) if level > middle else slice(level, middle)
        sign = 1 if level > middle else -1
        expected = quantiles[..., middle] + sign * distances[..., between].sum(axis=-1)
        np.testing.assert_allclose(quantiles[..., level], expected, rtol=1e-3, atol=1e-3)
    assert np.abs(start_again).max() > 100


def test_the_scale_of_a_window_is_that_of_its_known_values() -> None:
    past = np.concatenate([PAST, 1e6 + PAST[:2], np.full((1, 5), 3, np.float32), np.zeros((1, 5), np.float32)])
    inputs = keras.Input((5,))
    center, deviation = keras.Model(inputs, forecasting.window_scale(inputs))(past)
    known = [row[~np.isnan(row)].astype(np.float64) for row in past]
    np.testing.assert_allclose(center[:, 0], [row.mean() if len(row) else 0 for row in known], rtol=1e-6)
    expected = [np.std(known[0]), np.std(known[1]), 1.0, 7.0, np.std(known[0]), np.std(known[1]), 3.0, 1.0]
    np.testing.assert_allclose(deviation[:, 0], expected, rtol=1e-5)
    for found, of_numpy in zip((center, deviation), window_scale(past.astype(np.float64)), strict=True):
        np.testing.assert_allclose(found[:, 0], of_numpy, rtol=1e-5)


@pytest.mark.parametrize("num_levels", [0, 3])
def test_known_steps_share_their_layers(num_levels: int) -> None:
    features, ahead = keras.Input((4,)), keras.Input((5, 2))
    model = keras.Model([features, ahead], forecasting.of_known_steps(features, ahead, num_levels=num_levels))
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(3, 4)), rng.normal(size=(3, 5, 2))
    (kernel, bias), (known,), (out, out_bias) = (
        model.get_layer(name).get_weights() for name in ("decoder_state", "decoder_ahead", "known_steps")
    )
    expected = np.maximum((a @ kernel + bias)[:, None] + b @ known, 0) @ out + out_bias
    np.testing.assert_allclose(model([a, b]), expected if num_levels else expected[..., 0], rtol=1e-4, atol=1e-5)
    linear = keras.Model(ahead, forecasting.of_known_steps(None, ahead, num_levels=0))
    assert linear.count_params() == 3


def test_distributions_are_in_the_units_of_the_series_and_have_their_quantiles() -> None:
    outputs, start, scale = keras.Input((3, 2)), keras.Input((3,)), keras.Input((1,))
    parameters = forecasting.location_and_scale(outputs, start, mean=10.0, deviation=4.0, scale=scale)
    levels = (0.1, 0.5, 0.7)
    quantiles = forecasting.quantiles_of(parameters, stats.norm.ppf(levels).tolist())
    rng = np.random.default_rng(0)
    x, base, unit = rng.normal(size=(5, 3, 2)), 100 * rng.normal(size=(5, 3)), 1 + rng.random((5, 1))
    of_steps, found = keras.Model([outputs, start, scale], [parameters, quantiles])([x, base, unit])
    location = (x[..., 0] * 4 + 10) * unit + base
    spread = (np.log1p(np.exp(x[..., 1])) + forecasting.SMALLEST_SCALE) * 4 * unit
    np.testing.assert_allclose(of_steps, np.stack([location, spread], axis=-1), rtol=1e-4)
    expected = stats.norm.ppf(levels, location[..., None], spread[..., None])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
