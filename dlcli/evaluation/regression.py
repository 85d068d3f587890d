"""Metrics of regression, of one number or several for each sample."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.errors import CheckFailed

Array = npt.NDArray[Any]
Moment = float | Sequence[float] | Array
"""A mean or variance: of the one target, or of each target ``[t]``."""


def metrics(true: Array, predicted: Array, *, mean: Moment, variance: Moment) -> dict[str, Any]:
    """The content of ``metrics.json``.

    Args:
        true, predicted: targets and predictions ``[n]``, or ``[n, t]`` for several targets.
        mean, variance: mean and variance of the training split's targets.

    Returns:
        ``samples``; ``loss``, the mean squared error divided by the variance, as in training; ``mse``, ``rmse`` (its
        root) and ``mae`` (mean absolute error); ``r2``, 1 - mse / variance of ``true``, unless that variance is 0; and
        ``baseline_mse``, ``baseline_rmse`` and ``baseline_mae``, the errors of always predicting the training split's
        mean. Of several targets, each is the unweighted mean over the targets.

    Raises:
        CheckFailed: a prediction is not finite.
    """
    errors = _errors(true, predicted, mean=mean, variance=variance)
    result: dict[str, Any] = {"samples": len(true)}
    for name in ("loss", "mse", "rmse", "mae", "r2", "baseline_mse", "baseline_rmse", "baseline_mae"):
        known = errors[name][~np.isnan(errors[name])]
        if len(known):
            result[name] = float(known.mean())
    return result


def per_target(
    true: Array, predicted: Array, targets: Sequence[str], *, mean: Moment, variance: Moment
) -> list[dict[str, Any]]:
    """The rows of ``per_target.csv``, one for each target.

    The columns are target, rmse, mae, r2 (None if the target's values are all the same), baseline_rmse and
    baseline_mae. Arguments and errors are those of :func:`metrics`; ``targets`` are names.
    """
    errors = _errors(true, predicted, mean=mean, variance=variance)
    columns = ("rmse", "mae", "r2", "baseline_rmse", "baseline_mae")
    return [
        {"target": name}
        | {column: None if np.isnan(errors[column][i]) else float(errors[column][i]) for column in columns}
        for i, name in enumerate(targets)
    ]


def _errors(true: Array, predicted: Array, *, mean: Moment, variance: Moment) -> dict[str, npt.NDArray[np.float64]]:
    """The metrics of each target by name ``[t]``; the ``r2`` is NaN where all true values are the same."""
    true, predicted = (values.reshape(len(values), -1).astype(np.float64) for values in (true, predicted))
    num_bad = int((~np.isfinite(predicted).all(axis=1)).sum())
    if num_bad:
        raise CheckFailed(f"{num_bad} of {len(predicted)} predictions are not finite")
    mse, baseline_mse = (np.mean((values - true) ** 2, axis=0) for values in (predicted, np.asarray(mean)))
    own_variance = true.var(axis=0)
    explained = np.full(len(mse), np.nan)
    np.divide(mse, own_variance, out=explained, where=own_variance > 0)
    return {
        "loss": mse / np.asarray(variance),
        "mse": mse,
        "rmse": np.sqrt(mse),
        "mae": np.mean(np.abs(predicted - true), axis=0),
        "r2": 1.0 - explained,
        "baseline_mse": baseline_mse,
        "baseline_rmse": np.sqrt(baseline_mse),
        "baseline_mae": np.mean(np.abs(np.asarray(mean) - true), axis=0),
    }


def predictions(
    names: Sequence[str], true: Array, predicted: Array, targets: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """The rows of ``predictions.csv``.

    The columns are file, target, predicted and error; with several targets, target_<name>, predicted_<name> and
    error_<name> for each.

    Args:
        targets: names of several targets ``[n, t]``; with one name or none, the arrays may be ``[n]``.
    """
    true, predicted = (values.reshape(len(values), -1) for values in (true, predicted))
    endings = [f"_{name}" for name in targets] if len(targets) > 1 else [""]
    return [
        {"file": name}
        | {
            f"{column}{ending}": value
            for ending, t, p in zip(endings, own, found, strict=True)
            for column, value in _rounded(t, p).items()
        }
        for name, own, found in zip(names, true, predicted, strict=True)
    ]


def _rounded(target: Any, predicted: Any) -> dict[str, float]:
    return {
        "target": float(f"{target:.9g}"),
        "predicted": float(f"{predicted:.9g}"),
        "error": float(f"{predicted - target:.6g}"),
    }
