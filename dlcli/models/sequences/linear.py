"""A linear map from past values to the steps ahead: NLinear and DLinear (Zeng et al. 2023, section 4), here of all
features to the target, with one bias for each output.

NLinear subtracts the last value from the inputs and adds it to the outputs, which is done by the task. DLinear splits
the inputs into a moving average and the remainder, each of which has a linear map of its own; the outputs are added.
"""

from typing import Any

import keras

from dlcli.models.sequences import forecasting

Tensor = Any  # a symbolic keras.KerasTensor


def steps_ahead(x: Tensor, *, horizon: int, num_levels: int, decomposition: bool, kernel_size: int) -> Tensor:
    """The outputs of each step ahead, as of :func:`dlcli.models.sequences.forecasting.steps_ahead`.

    Args:
        x: ``[batch, history, features]``.
        horizon: number of steps ahead.
        num_levels: number of quantiles of each; 0 for one value.
        decomposition: split the inputs into a moving average and the remainder.
        kernel_size: steps of the average, an odd number; at the ends the first and the last value are repeated.
    """
    if not decomposition:
        return forecasting.steps_ahead(keras.layers.Flatten(name="lags")(x), horizon=horizon, num_levels=num_levels)
    trend = moving_average(x, kernel_size)
    parts = {"trend": trend, "remainder": x - trend}
    flat = [keras.layers.Flatten(name=f"{name}_lags")(part) for name, part in parts.items()]
    outputs = [
        keras.layers.Dense(horizon * (num_levels or 1), dtype="float32", name=f"{name}_forecast")(lags)
        for name, lags in zip(parts, flat, strict=True)
    ]
    total = keras.layers.Add(dtype="float32", name="scaled_forecast")(outputs)
    return forecasting.by_level(total, horizon=horizon, num_levels=num_levels)


def moving_average(x: Tensor, kernel_size: int) -> Tensor:
    """The mean of ``kernel_size`` steps around each step: ``[batch, steps, features]``; the ends are repeated."""
    ops, half = keras.ops, kernel_size // 2
    if half == 0:
        return x
    padded = ops.concatenate([ops.repeat(x[:, :1], half, axis=1), x, ops.repeat(x[:, -1:], half, axis=1)], axis=1)
    return keras.layers.AveragePooling1D(kernel_size, strides=1, padding="valid", name="trend")(padded)
