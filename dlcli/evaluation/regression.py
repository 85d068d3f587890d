"""Metrics of regression."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.errors import CheckFailed

Array = npt.NDArray[Any]


def metrics(true: Array, predicted: Array, *, mean: float, variance: float) -> dict[str, Any]:
    """The content of ``metrics.json``.

    Args:
        true, predicted: targets and predictions ``[n]``.
        mean, variance: mean and variance of the training split's targets.

    Returns:
        ``samples``; ``loss``, the mean squared error divided by the variance, as in training; ``mse``, ``rmse`` (its
        root) and ``mae`` (mean absolute error); ``r2``, 1 - mse / variance of ``true``, unless that variance is 0; and
        ``baseline_mse`` and ``baseline_mae``, the errors of always predicting the training split's mean.

    Raises:
        CheckFailed: a prediction is not finite.
    """
    if not np.isfinite(predicted).all():
        raise CheckFailed(f"{int((~np.isfinite(predicted)).sum())} of {len(predicted)} predictions are not finite")
    true, predicted = true.astype(np.float64), predicted.astype(np.float64)
    mse = float(np.mean((predicted - true) ** 2))
    result = {
        "samples": len(true),
        "loss": mse / variance,
        "mse": mse,
        "rmse": mse**0.5,
        "mae": float(np.mean(np.abs(predicted - true))),
    }
    if true.var() > 0:
        result["r2"] = 1.0 - mse / float(true.var())
    result |= {"baseline_mse": float(np.mean((mean - true) ** 2)), "baseline_mae": float(np.mean(np.abs(mean - true)))}
    return result


def predictions(names: Sequence[str], true: Array, predicted: Array) -> list[dict[str, Any]]:
    """The rows of ``predictions.csv``."""
    return [
        {"file": name, "target": float(f"{t:.9g}"), "predicted": float(f"{p:.9g}"), "error": float(f"{p - t:.6g}")}
        for name, t, p in zip(names, true, predicted, strict=True)
    ]
