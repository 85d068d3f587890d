"""The baseline of forecasts: exact where a linear model is, equal to scikit-learn's regression, and bounded."""

import numpy as np
from sklearn.linear_model import RidgeCV

from dlcli.evaluation import forecast_baseline
from dlcli.evaluation.forecast_baseline import PENALTIES, fit_lag_ridge

NAN = float("nan")


def windows(values: np.ndarray, history: int, horizon: int) -> tuple[list[np.ndarray], np.ndarray]:
    """The regressors (past values, the last one, position, scale 1, nothing known ahead) and the future of every window
    of a series ``[steps, features]``."""
    origins = np.arange(history, len(values) - horizon + 1)
    past = values[origins[:, None] + np.arange(-history, 0)]
    future = values[origins[:, None] + np.arange(horizon), 0]
    return [past, past[:, -1, 0], origins, np.ones(len(past)), np.zeros((len(past), 0))], future


def take(regressors: list[np.ndarray], rows: slice) -> list[np.ndarray]:
    return [values[rows] for values in regressors]


def test_a_recurrence_is_forecast_exactly() -> None:
    """A sine plus a constant as large as a date in seconds: x[t+1] = 2 cos(w) x[t] - x[t-1] of its deviations."""
    values = 1.7e9 + 40 * np.sin(0.3 * np.arange(400.0))[:, None]
    found, future = windows(values, 8, 5)
    model = fit_lag_ridge(*take(found, slice(300)), future[:300], season=1)
    assert model is not None
    np.testing.assert_allclose(model.predict(*take(found, slice(300, None))), future[300:], atol=0.05, rtol=0)


def test_the_season_is_seen_where_the_lags_do_not_show_it() -> None:
    """Noise with a step up at each season's end, which one lag does not announce."""
    rng = np.random.default_rng(0)
    values = (rng.normal(0, 0.01, 600) + 5 * (np.arange(600) % 4 == 3))[:, None]
    found, future = windows(values, 2, 1)
    errors = {}
    for season in (1, 4):
        model = fit_lag_ridge(*take(found, slice(400)), future[:400], season=season)
        assert model is not None
        errors[season] = np.abs(model.predict(*take(found, slice(400, None))) - future[400:]).mean()
    assert errors[4] < 0.6 * errors[1]


def test_what_is_known_ahead_and_the_size_of_a_window_are_used() -> None:
    """The future is what is known of it, in the size of the window."""
    rng = np.random.default_rng(0)
    past, ahead, scale = rng.normal(size=(300, 3, 1)), rng.normal(size=(300, 2)), rng.uniform(1, 100, 300)
    last = past[:, -1, 0]
    future = last[:, None] + scale[:, None] * ahead
    regressors = [past, last, np.arange(300), scale, ahead]
    model = fit_lag_ridge(*take(regressors, slice(200)), future[:200], season=1)
    assert model is not None
    np.testing.assert_allclose(model.predict(*take(regressors, slice(200, None))), future[200:], rtol=0.01, atol=0.2)


def test_missing_values_are_the_mean_and_incomplete_windows_are_left_out() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(80, 2)).cumsum(axis=0)
    found, future = windows(values, 3, 2)
    past, last = found[:2]
    past[4, 0, 1] = past[7, 1, 0] = NAN
    future[9, 1] = NAN
    model = fit_lag_ridge(*found, future, season=1)
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
    assert fit_lag_ridge(*found, np.full_like(future, NAN), season=1) is None


def test_only_recent_lags_of_long_histories_are_used() -> None:
    past = np.zeros((3, 5000, 2))
    past[:, -8, 0] = 7.0
    columns = forecast_baseline._columns(past, np.zeros(3), np.zeros(3), np.ones(3), np.zeros((3, 0)), season=24)
    assert columns.shape == (3, forecast_baseline.MAX_COLUMNS + 2)
    past[:, -600, 0] = 9.0
    columns = forecast_baseline._columns(past, np.zeros(3), np.zeros(3), np.ones(3), np.zeros((3, 0)), season=600)
    assert columns.shape == (3, forecast_baseline.MAX_COLUMNS + 3)
    assert (columns[:, -3] == 9.0).all()  # the value one season earlier
