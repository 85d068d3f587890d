"""Quantiles of forecasts: pinball loss and coverage, and intervals of point forecasts from their past errors."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def quantile_losses(true: Array, quantiles: Array, levels: Sequence[float]) -> Array:
    """Twice the pinball loss of each quantile: float64 ``[n, horizon, levels]``, NaN where the true value is missing.

    At 0.5 it is the absolute error. Its mean over evenly spaced levels approximates the continuous ranked probability
    score (Gneiting and Raftery 2007, section 4.2).

    Args:
        true: ``[n, horizon]``.
        quantiles: ``[n, horizon, levels]``.
    """
    error = true[..., None] - quantiles.astype(np.float64)
    level = np.asarray(levels, np.float64)
    return np.asarray(2 * np.maximum(level * error, (level - 1) * error))


def quantiles_of_errors(errors: Array, levels: Sequence[float]) -> Array:
    """The quantiles of the errors ``true - forecast`` ``[n, horizon]`` of each step: ``[horizon, levels]``; 0 for a
    step without errors."""
    is_known = ~np.isnan(errors).all(axis=0)
    found = np.zeros((errors.shape[1], len(levels)))
    found[is_known] = np.nanquantile(errors[:, is_known], levels, axis=0).T
    return found


def moments_of_errors(errors: Array) -> Array:
    """Mean and standard deviation of the errors ``[n, horizon]`` of each step: ``[2, horizon]``; 0 without errors."""
    found = np.zeros((2, errors.shape[1]))
    is_known = ~np.isnan(errors).all(axis=0)
    found[:, is_known] = np.nanmean(errors[:, is_known], axis=0), np.nanstd(errors[:, is_known], axis=0)
    return found


def metrics(
    true: Array, quantiles: Mapping[str, Array], levels: Sequence[float]
) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    """Measures of the quantiles of the network and of baselines, over known values.

    ``quantile_loss`` is the mean of :func:`quantile_losses` over all levels; ``weighted_quantile_loss`` is the same
    divided by the mean magnitude of the true values (as in GluonTS; Alexandrov et al. 2020); ``coverage`` the
    proportion of true values within the interval from the first level to the last, and ``interval_width`` its mean
    width. With one level there is no interval.

    Args:
        true: ``[n, horizon]``, NaN where missing.
        quantiles: ``[n, horizon, levels]`` each, by the prefix of the names of their measures.

    Returns:
        The measures; for each step ahead those that differ by step; and a row for each level with its loss and the
        proportion of true values at most the quantile (``below``), which should be the level.
    """
    is_known = ~np.isnan(true)
    magnitude = float(np.abs(true[is_known]).mean())
    result: dict[str, Any] = {}
    if len(levels) > 1:
        result["nominal_coverage"] = round(levels[-1] - levels[0], 6)
    by_step: list[dict[str, Any]] = [{} for _ in range(true.shape[1])]
    by_level: list[dict[str, Any]] = [{"level": level} for level in levels]
    for name, values in quantiles.items():
        losses = quantile_losses(true, values, levels)
        is_below = (true[..., None] <= values) & is_known[..., None]
        result[f"{name}quantile_loss"] = float(np.nanmean(losses))
        if magnitude > 0:
            result[f"{name}weighted_quantile_loss"] = float(np.nanmean(losses)) / magnitude
        for number, row in enumerate(by_level):
            row[f"{name}quantile_loss"] = float(np.nanmean(losses[..., number]))
            row[f"{name}below"] = float(is_below[..., number].sum() / is_known.sum())
        is_within = (values[..., 0] <= true) & (true <= values[..., -1])
        if len(levels) > 1:
            result[f"{name}coverage"] = float(is_within.sum() / is_known.sum())
            result[f"{name}interval_width"] = float((values[..., -1] - values[..., 0])[is_known].mean())
        for step, row in enumerate(by_step):
            number = int(is_known[:, step].sum())
            row[f"{name}quantile_loss"] = float(np.nanmean(losses[:, step])) if number else None
            if len(levels) > 1:
                row[f"{name}coverage"] = float(is_within[:, step].sum() / number) if number else None
    return result, by_step, by_level
