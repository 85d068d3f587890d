"""The baseline of forecasting that a network must beat: ridge regression on lags."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import RidgeCV
from threadpoolctl import threadpool_limits

Array = npt.NDArray[Any]

MAX_COLUMNS = 1000  # of the regression: the most recent lags of all features
PENALTIES = tuple(10.0**k for k in range(-1, 6))
"""Of the squared coefficients of standardized columns; chosen by leave-one-out cross-validation (Golub et al. 1979)."""


@dataclass(frozen=True)
class LagRidge:
    """A linear model of the steps ahead (Hoerl and Kennard 1970): of the past values of all features, of those that are
    known ahead, and of the place in the season, as its sine and cosine. It predicts differences from the last known
    value of the target.

    Attributes:
        season: of the series, in steps; 1 for none.
        mean, deviation: of the columns.
        model: fitted on the standardized columns.
    """

    season: int
    mean: Array
    deviation: Array
    model: RidgeCV

    def predict(self, past: Array, last: Array, position: Array, scale: Array, ahead: Array) -> Array:
        """The forecasts ``[n, horizon]``; arguments as in :func:`fit_lag_ridge`."""
        columns = _columns(past, last, position, scale, ahead, self.season)
        with threadpool_limits(1):
            changes = self.model.predict(_standardized(columns, self.mean, self.deviation))
        return np.asarray(changes).reshape(len(past), -1) * scale[:, None] + last[:, None]


def fit_lag_ridge(
    past: Array, last: Array, position: Array, scale: Array, ahead: Array, future: Array, *, season: int
) -> LagRidge | None:
    """Fit the model on windows of the training split.

    Args:
        past: the values of all features, the target first ``[n, history, features]``; NaN where missing.
        last: the last known value of the target before each forecast ``[n]``.
        position: the number of the step at which each forecast starts, which shows its place in the season ``[n]``.
        scale: by which differences of the target are divided in each window ``[n]``.
        ahead: what is known of the steps ahead ``[n, values]``.
        future: the values to forecast ``[n, horizon]``; windows with missing ones are left out.

    Returns:
        None if less than two windows are complete.
    """
    is_complete = ~np.isnan(future).any(axis=1)
    if is_complete.sum() < 2:
        return None
    columns = _columns(past, last, position, scale, ahead, season)[is_complete]
    known = ~np.isnan(columns)
    number = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, columns, 0.0).sum(axis=0) / number
    deviation = np.sqrt((np.where(known, columns - mean, 0.0) ** 2).sum(axis=0) / number)
    deviation[deviation == 0] = 1.0
    changes = ((future - last[:, None]) / scale[:, None])[is_complete]
    with threadpool_limits(1):  # several threads may round differently
        model = RidgeCV(alphas=PENALTIES).fit(_standardized(columns, mean, deviation), changes)
    return LagRidge(season, mean, deviation, model)


def _columns(past: Array, last: Array, position: Array, scale: Array, ahead: Array, season: int) -> Array:
    """The columns of the regression ``[n, columns]``; NaN where missing."""
    num_lags = min(past.shape[1], max(1, MAX_COLUMNS // past.shape[2]))
    lags = past[:, past.shape[1] - num_lags :].astype(np.float64)
    lags[..., 0] = (lags[..., 0] - last[:, None]) / scale[:, None]
    columns = [lags.reshape(len(past), -1), ahead[:, :MAX_COLUMNS].astype(np.float64)]
    if season > num_lags:  # the value one season earlier, where the forecasts need it
        columns.append((past[:, past.shape[1] - season, :1] - last[:, None]) / scale[:, None])
    if season > 1:
        angle = 2 * math.pi * (position % season) / season
        columns += [np.sin(angle)[:, None], np.cos(angle)[:, None]]
    return np.concatenate(columns, axis=1)


def _standardized(columns: Array, mean: Array, deviation: Array) -> Array:
    """Columns of mean 0 and deviation 1 on the training windows; a missing value is the mean."""
    return np.nan_to_num((columns - mean) / deviation, nan=0.0)
