"""Errors of forecasts, and of the naive ones; what the network's layers start from is the same as in NumPy."""

from typing import Any

import keras
import numpy as np
import pytest

from dlcli.errors import CheckFailed
from dlcli.evaluation import forecast
from dlcli.models.sequences.forecasting import base

NAN = float("nan")
PAST = np.array([[1.0, 2, 3, 4], [5, NAN, 7, NAN], [NAN, NAN, NAN, NAN]])


def test_naive_forecasts() -> None:
    assert forecast.naive(PAST, 2, mean=9.0).tolist() == [[4, 4], [7, 7], [9, 9]]
    assert forecast.seasonal_naive(PAST, 5, season=3, mean=9.0).tolist() == [
        *([2, 3, 4, 2, 3], [7, 7, 7, 7, 7], [9, 9, 9, 9, 9])
    ]
    assert forecast.scale_of(np.array([1.0, 5, 2, 9]), 2) == 2.5
    assert np.isnan(forecast.scale_of(np.full(4, 3.0), 1)), "a constant series has no scale"
    assert forecast.scale_of(np.array([1.0, NAN, 4.0]), 1) != forecast.scale_of(np.array([1.0, 2, 4.0]), 1)


@pytest.mark.parametrize("season", [1, 3, 4])
@pytest.mark.parametrize("horizon", [1, 5])
def test_the_network_starts_from_the_naive_forecasts(season: int, horizon: int) -> None:
    past = keras.Input((4,))
    options: dict[str, Any] = {"horizon": horizon, "season": season, "mean": 9.0}
    expected = {
        "last": forecast.naive(PAST, horizon, mean=9.0),
        "season": forecast.seasonal_naive(PAST, horizon, season=season, mean=9.0),
    }
    for difference, values in expected.items():
        model = keras.Model(past, base(past, difference=difference, **options))  # type: ignore[arg-type]
        np.testing.assert_allclose(np.asarray(model(PAST.astype(np.float32))), values)
    assert base(past, difference="none", **options) is None


def test_errors_by_hand() -> None:
    true, predicted = np.array([[5.0, 6], [NAN, 8]]), np.array([[6.0, 4], [0, 8]], np.float32)
    past = np.array([[1.0, 2, 3, 4], [4, 5, 6, 7]])
    others = {
        "naive_": forecast.naive(past, 2, mean=0.0),
        "seasonal_naive_": forecast.seasonal_naive(past, 2, season=2, mean=0.0),
    }
    found, rows = forecast.metrics(true, {"": predicted, **others}, scale=2.0, variance=4.0)
    assert found["samples"] == 2
    assert found["mae"] == pytest.approx((1 + 2 + 0) / 3)
    assert found["rmse"] == pytest.approx((5 / 3) ** 0.5)
    assert found["loss"] == pytest.approx(5 / 3 / 4)
    assert found["mase"] == pytest.approx(0.5)
    assert found["naive_mae"] == pytest.approx((1 + 2 + 1) / 3)
    assert found["seasonal_naive_mae"] == pytest.approx((2 + 2 + 1) / 3)
    assert [(row["step"], row["mae"], row["naive_mae"]) for row in rows] == [(1, 1.0, 1.0), (2, 1.0, 1.5)]
    with pytest.raises(CheckFailed, match="1 of 2 forecasts are not finite"):
        forecast.metrics(true, {"": np.array([[NAN, 1], [1, 1]]), **others}, scale=2.0, variance=4.0)
