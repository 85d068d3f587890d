"""The baseline of forecasts: exact where a linear model is, equal to scikit-learn's regression, and bounded."""

import numpy as np
from sklearn.linear_model import RidgeCV

from dlcli.evaluation import forecast_baseline
from dlcli.evaluation.forecast_baseline import PENALTIES, fit_lag_ridge

NAN = float("nan")


def windows(values: np.ndarray, history: int, horizon: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Past values, the last one, position and future of every window of a series ``[steps, features]``."""
    origins = np.arange(history, len(values) - horizon + 1)
    past = values[origins[:, None] + np.arange(-history, 0)]
    future = values[origins[:, None] + np.arange(horizon), 0]
    return past, past[:, -1, 0], origins, future


def test_a_recurrence_is_forecast_exactly() -> None:
    """A sine plus a constant as large as a date in seconds: x[t+1] = 2 cos(w) x[t] - x[t-1] of its deviations."""
    values = 1.7e9 + 40 * np.sin(0.3 * np.arange(400.0))[:, None]
    past, last, position, future = windows(values, 8, 5)
    model = fit_lag_ridge(past[:300], last[:300], position[:300], future[:300], season=1)
    assert model is not None
    np.testing.assert_allclose(model.predict(past[300:], last[300:], position[300:]), future[300:], atol=0.05, rtol=0)


def test_the_season_is_seen_where_the_lags_do_not_show_it() -> None:
    """Noise with a step up at each season's end, which one lag does not announce."""
    rng = np.random.default_rng(0)
    values = (rng.normal(0, 0.01, 600) + 5 * (np.arange(600) % 4 == 3))[:, None]
    past, last, position, future = windows(values, 2, 1)
    errors = {}
    for season in (1, 4):
        model = fit_lag_ridge(past[:400], last[:400], position[:400], future[:400], season=season)
        assert model is not None
        errors[season] = np.abs(model.predict(past[400:], last[400:], position[400:]) - future[400:]).mean()
    assert errors[4] < 0.6 * errors[1]


def test_missing_values_are_the_mean_and_incomplete_windows_are_left_out() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(80, 2)).cumsum(axis=0)
    past, last, position, future = windows(values, 3, 2)
    past[4, 0, 1] = past[7, 1, 0] = NAN
    future[9, 1] = NAN
    model = fit_lag_ridge(past, last, position, future, season=1)
    assert model is not None
    columns = past.copy()
    columns[..., 0] -= last[:, None]
    columns = np.delete(columns.reshape(len(past), -1), 9, axis=0)
    standardized = (columns - np.nanmean(columns, axis=0)) / np.where(
        np.nanstd(columns, axis=0) > 0, np.nanstd(columns, axis=0), 1
    )
    changes = np.delete(future - last[:, None], 9, axis=0)
    expected = RidgeCV(alphas=PENALTIES).fit(np.nan_to_num(standardized), changes)
    np.testing.assert_allclose(model.model.coef_, expected.coef_, rtol=1e-9)
    assert fit_lag_ridge(past, last, position, np.full_like(future, NAN), season=1) is None


def test_only_recent_lags_of_long_histories_are_used() -> None:
    past = np.zeros((3, 5000, 2))
    past[:, -8, 0] = 7.0
    columns = forecast_baseline._columns(past, np.zeros(3), np.zeros(3), season=24)
    assert columns.shape == (3, forecast_baseline.MAX_COLUMNS + 2)
    past[:, -600, 0] = 9.0
    columns = forecast_baseline._columns(past, np.zeros(3), np.zeros(3), season=600)
    assert columns.shape == (3, forecast_baseline.MAX_COLUMNS + 3)
    assert (columns[:, -3] == 9.0).all()  # the value one season earlier
