"""Networks of series opened for explanation: the shares of a linear network, missing values and lengths."""

from typing import Any

import keras
import numpy as np
import pytest

from dlcli.explanation.network import NotExplainable
from dlcli.explanation.sequences.attribution import gradient_x_input, integrated_gradients, leave_one_out
from dlcli.explanation.sequences.series import open_series_network
from dlcli.models.sequences import forecasting, series_input

MEAN, VARIANCE = np.array([10.0, -2.0]), np.array([4.0, 0.25])
KERNEL = np.array([[1.0, -3.0, 0.5], [2.0, 0.0, -1.0]], np.float32)


def linear_model(num_values: int) -> keras.Model:
    """Logits or numbers that are linear in the mean of the standardized steps."""
    values = keras.Input(shape=(None, 2), dtype="float32")
    x, _ = series_input.standardized(values, mean=MEAN, variance=VARIANCE)
    layer = keras.layers.Dense(num_values, name="logits")
    model = keras.Model(values, layer(keras.ops.mean(x, axis=1)))
    layer.set_weights([KERNEL[:, :num_values], np.zeros(num_values, np.float32)])
    return model


@pytest.fixture
def series() -> list[Any]:
    rng = np.random.default_rng(0)
    found = [rng.normal(MEAN, 2.0, size=(steps, 2)).astype(np.float32) for steps in (3, 7, 3)]
    found[1][2, 0] = np.nan
    return found


def test_outputs_are_those_of_the_model(series: list[Any]) -> None:
    model = linear_model(3)
    network = open_series_network(model, MEAN, is_class=True)
    expected = [np.asarray(model(values[None], training=False))[0] for values in series]
    np.testing.assert_allclose(network.outputs(series), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("method", [integrated_gradients(steps=None), gradient_x_input])
def test_shares_of_a_linear_network(method: Any, series: list[Any]) -> None:
    network = open_series_network(linear_model(3), MEAN, is_class=False)
    points = network.points(series[1])[None]
    found = method(network.scores, points, network.starts(points), np.array([[0, 1]], np.int32)).shares[0]
    expected = np.nan_to_num((series[1] - MEAN) / VARIANCE**0.5 * KERNEL[:, 1] / len(points[0]))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    assert found[2, 0] == 0, "a missing value has no share"


@pytest.mark.parametrize("method", [integrated_gradients(steps=None), gradient_x_input, leave_one_out])
def test_a_forecast_from_the_last_known_value(method: Any) -> None:
    """The value after which a forecast starts is missing: it is explained, and predicted, from the one before it."""
    values = keras.Input(shape=(3, 1), dtype="float32")
    last = forecasting.base(values[..., 0], horizon=2, season=1, difference="last", mean=10.0)
    network = open_series_network(keras.Model(values, 2.0 * last), MEAN[:1], is_class=False)
    series = np.array([[4.0], [7.0], [np.nan]], np.float32)
    np.testing.assert_array_equal(network.outputs([series]), [[14.0, 14.0]])
    points = network.points(series)[None]
    found = method(network.scores, points, network.starts(points), np.array([[0, 1]], np.int32)).shares[0]
    np.testing.assert_allclose(found, [[0.0], [14.0 - 2.0 * MEAN[0]], [0.0]], rtol=1e-5)


def test_a_number_and_several_numbers() -> None:
    alone = keras.Sequential(
        [keras.Input((4, 2)), keras.layers.Flatten(), keras.layers.Dense(1), keras.layers.Reshape(())]
    )
    values = np.ones((4, 2), np.float32)
    assert open_series_network(alone, MEAN, is_class=False).outputs([values]).shape == (1, 1)
    several = keras.Sequential([keras.Input((4, 2)), keras.layers.Flatten(), keras.layers.Dense(5)])
    assert open_series_network(several, MEAN, is_class=False).outputs([values, values]).shape == (2, 5)


def test_a_single_class_is_refused() -> None:
    with pytest.raises(NotExplainable, match="at least two classes"):
        open_series_network(linear_model(1), MEAN, is_class=True)
