"""Linear forecasters against NumPy: NLinear and DLinear, their parameters, and missing values."""

import keras
import numpy as np
import pytest

from dlcli.recipe.tasks.forecasting import Linear, Window
from dlcli.tasks.forecasting.network import build_forecaster
from dlcli.tasks.sequences.encoders import Scale

RNG = np.random.default_rng(0)
PAST = RNG.normal(5, 3, size=(4, 9, 2)).astype(np.float32)
SCALE = Scale(np.array([5.0, 4.0]), np.array([9.0, 16.0]), target_mean=0.5, target_variance=4.0)


def forecaster(num_features: int = 2, **window: object) -> keras.Model:
    scale = Scale(SCALE.mean[:num_features], SCALE.variance[:num_features], 0.5, 4.0)
    sizes = {"history": 9, "horizon": 3, **window}
    section = Linear(kind="linear", decomposition="kernel" in sizes, kernel_size=sizes.pop("kernel", 25))  # type: ignore[arg-type]
    model = build_forecaster(section, scale, Window(**sizes)).model  # type: ignore[arg-type]
    model.set_weights([RNG.normal(size=weight.shape) for weight in model.get_weights()])
    return model


@pytest.mark.parametrize(
    ("features", "options", "number"),
    [(1, {}, (9 + 1) * 3), (2, {}, (18 + 1) * 3), (1, {"kernel": 3}, 2 * 30), (1, {"quantiles": (0.1, 0.5)}, 60)],
)
def test_parameters(features: int, options: dict[str, object], number: int) -> None:
    """Zeng et al. 2023: history x horizon weights and horizon biases; twice with decomposition."""
    assert forecaster(features, **options).count_params() == number


def test_nlinear_subtracts_the_last_value_and_adds_it_again() -> None:
    model = forecaster(difference="last")
    kernel, bias = model.get_layer("scaled_forecast").get_weights()
    past = PAST.copy()
    past[0, -2:, 0], past[1, 3, 1], past[2, 4, 0] = np.nan, np.nan, np.nan
    last = past[:, -1, 0].copy()
    last[0] = past[0, -3, 0]
    lags = np.stack([(past[..., 0] - last[:, None]) / 3, (past[..., 1] - 4) / 4], axis=-1)
    expected = (np.nan_to_num(lags).reshape(4, -1) @ kernel + bias) * 2 + 0.5 + last[:, None]
    np.testing.assert_allclose(model(past), expected, rtol=1e-4, atol=1e-4)
    moved = past + np.array([1000, 0], np.float32)
    np.testing.assert_allclose(model(moved), expected + 1000, rtol=1e-5)


@pytest.mark.parametrize("kernel", [1, 3, 25])
def test_dlinear_maps_the_moving_average_and_the_remainder(kernel: int) -> None:
    model = forecaster(1, kernel=kernel)
    x = (PAST[:, :, 0] - 5) / 3
    padded = np.pad(x, ((0, 0), (kernel // 2, kernel // 2)), mode="edge")
    trend = np.stack([np.convolve(row, np.full(kernel, 1 / kernel), mode="valid") for row in padded])
    outputs = [
        part @ model.get_layer(name).get_weights()[0] + model.get_layer(name).get_weights()[1]
        for name, part in (("trend_forecast", trend), ("remainder_forecast", x - trend))
    ]
    np.testing.assert_allclose(model(PAST[..., :1]), sum(outputs) * 2 + 0.5, rtol=1e-4, atol=1e-4)
