"""Errors of forecasts, beside those of the naive forecasts."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.errors import CheckFailed

Array = npt.NDArray[Any]

SMALLEST_SHARE = 1e-6  # of a deviation in the size of the values; below it they are constant


def naive(past: Array, horizon: int, *, mean: float) -> Array:
    """The last known value for every step ahead, ``[n, horizon]``; the mean where no value is known.

    Args:
        past: past values of the target ``[n, history]``, NaN where missing.
    """
    is_known = ~np.isnan(past)
    latest = past.shape[1] - 1 - is_known[:, ::-1].argmax(axis=1)
    last = np.where(is_known.any(axis=1), past[np.arange(len(past)), latest], mean)
    return np.repeat(last[:, None], horizon, axis=1)


def seasonal_naive(past: Array, horizon: int, *, season: int, mean: float) -> Array:
    """The value one season earlier for every step ahead, ``[n, horizon]``; the last known value where it is missing."""
    before = past.shape[1] - season + np.arange(horizon) % season
    seasonal = past[:, before]
    return np.where(np.isnan(seasonal), naive(past, horizon, mean=mean), seasonal)


def window_scale(past: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of the known values of each window, ``[n]`` each. Where all are equal, their size
    stands for the deviation, and 1 where they are 0 or none is known.

    Args:
        past: ``[n, history]``, NaN where missing.
    """
    is_known = ~np.isnan(past)
    number = np.maximum(is_known.sum(axis=1), 1)
    mean = np.where(is_known, past, 0.0).sum(axis=1) / number
    deviation = np.sqrt((np.where(is_known, past - mean[:, None], 0.0) ** 2).sum(axis=1) / number)
    size = np.abs(mean)
    return mean, np.where(deviation > SMALLEST_SHARE * size, deviation, np.where(size > 0, size, 1.0))


def scale_of(train: Array, season: int) -> float:
    """The scale of MASE: the mean absolute error of the one-step seasonal naive forecast on the training split
    (Hyndman and Koehler 2006, section 3); NaN if no two known values are one season apart, or all of them are equal."""
    changes = np.abs(train[season:] - train[:-season])
    changes = changes[~np.isnan(changes)]
    return float(changes.mean()) if changes.any() else float("nan")


def metrics(
    true: Array, forecasts: Mapping[str, Array], *, scale: float | Array, variance: float | Array
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The content of ``metrics.json``, and the rows of ``by_horizon.csv``.

    Args:
        true: ``[n, horizon]``; NaN where a value is missing, which is left out.
        forecasts: ``[n, horizon]`` each, by the prefix of the names of their errors, which is empty for the network's.
        scale: scale of MASE, see :func:`scale_of`; of each forecast ``[n]`` where it differs, NaN where unknown.
        variance: divisor of the squared error in the loss; of each forecast ``[n]`` where it differs.

    Returns:
        ``samples``, ``loss``, ``mae``, ``rmse``, ``mase`` and the same errors of the other forecasts, without those
        that are NaN; and a row of errors for each step ahead.

    Raises:
        CheckFailed: a forecast is not finite.
    """
    predicted = forecasts[""]
    if not np.isfinite(predicted).all():
        number = int((~np.isfinite(predicted)).any(axis=1).sum())
        raise CheckFailed(f"{number} of {len(predicted)} forecasts are not finite")
    horizon = true.shape[1]
    scales, variances = (np.broadcast_to(value, len(true))[:, None] for value in (scale, variance))
    result: dict[str, Any] = {"samples": len(true)}
    rows: list[dict[str, Any]] = [{"step": step} for step in range(1, horizon + 1)]
    for name, values in forecasts.items():
        errors = values.astype(np.float64) - true
        if not name:
            result["loss"] = float(np.nanmean(errors**2 / variances))
        result[f"{name}mae"] = float(np.nanmean(np.abs(errors)))
        result[f"{name}rmse"] = float(np.nanmean(errors**2)) ** 0.5
        scaled = (np.abs(errors) / scales)[~np.isnan(errors / scales)]
        result[f"{name}mase"] = float(scaled.mean()) if len(scaled) else float("nan")
        for row, column in zip(rows, errors.T, strict=True):
            known = column[~np.isnan(column)]
            row[f"{name}mae"] = float(np.abs(known).mean()) if len(known) else None
            row[f"{name}rmse"] = float(np.mean(known**2)) ** 0.5 if len(known) else None
    return {key: value for key, value in result.items() if not (isinstance(value, float) and np.isnan(value))}, rows
