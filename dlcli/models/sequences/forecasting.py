"""The forecasting head: values on the scale of the series for each step ahead, relative to a past value if asked."""

from typing import Any, Literal

import keras

Tensor = Any  # a symbolic keras.KerasTensor
Difference = Literal["none", "last", "season"]


def base(past: Tensor, *, horizon: int, season: int, difference: Difference, mean: float) -> Tensor | None:
    """The past values to which the network's output is added: float32 ``[batch, horizon]``; None for ``none``.

    Args:
        past: past values of the target, float32 ``[batch, history]``, NaN where missing.
        horizon: number of steps ahead.
        season: period of the series in steps; at most the history.
        difference: the reference of the differences that the network learns: the last known value, or the value one
            season earlier (the last known value where it is missing).
        mean: replaces the last known value if none is known.
    """
    if difference == "none":
        return None
    ops = keras.ops
    is_known = ops.logical_not(ops.isnan(past))
    known = ops.where(is_known, past, ops.zeros_like(past))
    steps = ops.cumsum(ops.ones_like(past), axis=1)
    latest = ops.max(ops.where(is_known, steps, ops.zeros_like(steps)), axis=1, keepdims=True)
    is_latest = ops.logical_and(ops.equal(steps, latest), is_known)
    last = ops.sum(ops.where(is_latest, known, ops.zeros_like(known)), axis=1, keepdims=True)
    last = ops.where(ops.equal(latest, 0.0), ops.full_like(last, mean), last)
    if difference == "last":
        return ops.repeat(last, horizon, axis=1)
    before = [past.shape[1] - season + step % season for step in range(horizon)]
    seasonal = ops.take(past, before, axis=1)
    return ops.where(ops.isnan(seasonal), ops.repeat(last, horizon, axis=1), seasonal)


def forecast(features: Tensor, start: Tensor | None, *, horizon: int, mean: float, deviation: float) -> Tensor:
    """A dense layer with an output for each step ahead, on the scale of the series; float32 whatever the dtype policy.

    Args:
        features: ``[batch, units]``.
        start: output of :func:`base`.
        horizon: number of steps ahead.
        mean, deviation: mean and standard deviation in the training split of the values that the network learns.

    Returns:
        float32 ``[batch, horizon]``, the output of the layer ``forecast``.
    """
    scaled = keras.layers.Dense(horizon, dtype="float32", name="scaled_forecast")(features)
    values = keras.layers.Rescaling(deviation, offset=mean, dtype="float32", name="unscaled_forecast")(scaled)
    return keras.layers.Identity(dtype="float32", name="forecast")(values if start is None else values + start)
