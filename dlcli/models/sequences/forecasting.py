"""The forecasting head: values on the scale of the series for each step ahead, relative to a past value if asked."""

from collections.abc import Sequence
from typing import Any, Literal

import keras

Tensor = Any  # a symbolic keras.KerasTensor
Difference = Literal["none", "last", "season"]

SMALLEST_SHARE = 1e-6  # of a deviation in the size of the values; below it they are constant
SMALLEST_SCALE = 1e-3  # of a distribution, in deviations of what is learned: constants have no highest likelihood


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
    last = last_known(past, mean=mean)
    if difference == "last":
        return ops.repeat(last, horizon, axis=1)
    before = [past.shape[1] - season + step % season for step in range(horizon)]
    seasonal = ops.take(past, before, axis=1)
    return ops.where(ops.isnan(seasonal), ops.repeat(last, horizon, axis=1), seasonal)


def last_known(past: Tensor, *, mean: float) -> Tensor:
    """The last value that is not NaN: ``[batch, history]`` -> ``[batch, 1]``; the mean where none is known."""
    ops = keras.ops
    is_known = ops.logical_not(ops.isnan(past))
    known = ops.where(is_known, past, ops.zeros_like(past))
    steps = ops.cumsum(ops.ones_like(past), axis=1)
    latest = ops.max(ops.where(is_known, steps, ops.zeros_like(steps)), axis=1, keepdims=True)
    is_latest = ops.logical_and(ops.equal(steps, latest), is_known)
    last = ops.sum(ops.where(is_latest, known, ops.zeros_like(known)), axis=1, keepdims=True)
    return ops.where(ops.equal(latest, 0.0), ops.full_like(last, mean), last)


def steps_ahead(features: Tensor, *, horizon: int, num_levels: int) -> Tensor:
    """A dense layer with the outputs of each step ahead, float32 ``[batch, horizon]``, or ``[batch, horizon, levels]``.

    Args:
        features: ``[batch, units]``.
        horizon: number of steps ahead.
        num_levels: number of quantiles of each; 0 for one value.
    """
    outputs = keras.layers.Dense(horizon * (num_levels or 1), dtype="float32", name="scaled_forecast")(features)
    return by_level(outputs, horizon=horizon, num_levels=num_levels)


def by_level(outputs: Tensor, *, horizon: int, num_levels: int) -> Tensor:
    """``[batch, horizon * levels]`` -> ``[batch, horizon, levels]``; unchanged without levels."""
    return keras.layers.Reshape((horizon, num_levels), name="levels")(outputs) if num_levels else outputs


def of_known_steps(features: Tensor | None, ahead: Tensor, *, num_levels: int) -> Tensor:
    """What features that are known ahead add to the outputs of each step, by the same layers for every step (as the
    temporal decoder of Das et al. 2023): ``[batch, horizon]``, or ``[batch, horizon, levels]``.

    Args:
        features: of the past ``[batch, units]``, combined with the others by a hidden layer of as many units; None for
            a linear map of the others alone.
        ahead: of the steps ahead ``[batch, horizon, known]``.
        num_levels: number of quantiles of each step; 0 for one value.
    """
    layers = keras.layers
    if features is not None:
        units = features.shape[-1]
        state = layers.Dense(units, name="decoder_state")(features)[:, None]
        ahead = keras.ops.relu(state + layers.Dense(units, use_bias=False, name="decoder_ahead")(ahead))
    outputs = layers.Dense(num_levels or 1, dtype="float32", name="known_steps")(ahead)
    return outputs if num_levels else outputs[..., 0]


def window_scale(past: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the known values of each window, ``[batch, 1]`` each, as in
    :func:`dlcli.evaluation.forecast.window_scale`.

    Args:
        past: ``[batch, history]``, NaN where missing.
    """
    ops = keras.ops
    is_known = ops.logical_not(ops.isnan(past))
    start = last_known(past, mean=0.0)
    change = ops.where(is_known, past - start, ops.zeros_like(past))  # large values would lose their digits
    number = ops.maximum(ops.sum(ops.cast(is_known, past.dtype), axis=1, keepdims=True), 1.0)
    mean = ops.sum(change, axis=1, keepdims=True) / number
    squared = ops.where(is_known, ops.square(change - mean), ops.zeros_like(past))
    deviation = ops.sqrt(ops.sum(squared, axis=1, keepdims=True) / number)
    center = start + mean
    size = ops.abs(center)
    return center, ops.where(
        deviation > SMALLEST_SHARE * size, deviation, ops.where(size > 0, size, ops.ones_like(size))
    )


def forecast(
    outputs: Tensor,
    start: Tensor | None,
    *,
    levels: Sequence[float] | None,
    mean: float,
    deviation: float,
    scale: Tensor | None = None,
) -> Tensor:
    """The outputs on the scale of the series, as the layer ``forecast``; float32 whatever the dtype policy.

    With levels, the output of 0.5 is the median; those of the others become, by softplus, their distances from the next
    level toward the median, so that quantiles never cross.

    Args:
        outputs: of :func:`steps_ahead`.
        start: output of :func:`base`.
        levels: of the quantiles, in increasing order, with 0.5 among them; None for one value.
        mean, deviation: mean and standard deviation in the training split of the values that the network learns.
        scale: a further factor of each window's values ``[batch, 1]``; None for none.

    Returns:
        float32 ``[batch, horizon]``, or the quantiles ``[batch, horizon, levels]``.
    """
    if levels is not None:
        outputs = _increasing(outputs, list(levels).index(0.5))
        start = None if start is None else start[..., None]
        scale = None if scale is None else scale[..., None]
    return _in_units(outputs, start, mean=mean, deviation=deviation, scale=scale, name="forecast")


def location_and_scale(
    outputs: Tensor, start: Tensor | None, *, mean: float, deviation: float, scale: Tensor | None = None
) -> Tensor:
    """The parameters of the distribution of each step ahead, in the units of the series: float32 ``[batch, horizon,
    2]``.

    Args:
        outputs: ``[batch, horizon, 2]``, whose second number becomes the scale by softplus.
        start, mean, deviation, scale: as in :func:`forecast`.
    """
    ops = keras.ops
    location = _in_units(outputs[..., 0], start, mean=mean, deviation=deviation, scale=scale, name="location")
    spread = (ops.softplus(outputs[..., 1]) + SMALLEST_SCALE) * deviation
    return ops.stack([location, spread if scale is None else spread * scale], axis=-1)


def quantiles_of(parameters: Tensor, standard: Sequence[float]) -> Tensor:
    """The quantiles ``[batch, horizon, levels]`` of distributions of one family, as the layer ``forecast``.

    Args:
        parameters: of :func:`location_and_scale`.
        standard: the quantiles of the family's distribution of location 0 and scale 1, of each level.
    """
    values = parameters[..., :1] + parameters[..., 1:] * keras.ops.convert_to_tensor([list(standard)], "float32")
    return keras.layers.Identity(dtype="float32", name="forecast")(values)


def _in_units(
    outputs: Tensor, start: Tensor | None, *, mean: float, deviation: float, scale: Tensor | None, name: str
) -> Tensor:
    """Outputs on the scale of the series, and added to the past values that they are relative to."""
    values = keras.layers.Rescaling(deviation, offset=mean, dtype="float32", name="unscaled_forecast")(outputs)
    values = values if scale is None else values * scale
    return keras.layers.Identity(dtype="float32", name=name)(values if start is None else values + start)


def _increasing(outputs: Tensor, middle: int) -> Tensor:
    """Quantiles that increase over the levels ``[..., levels]``, from any numbers; that of ``middle`` is unchanged."""
    ops = keras.ops
    distances = ops.softplus(outputs)
    median = outputs[..., middle : middle + 1]
    parts = [median]
    if middle:
        below = ops.flip(ops.cumsum(ops.flip(distances[..., :middle], axis=-1), axis=-1), axis=-1)
        parts.insert(0, median - below)
    if middle + 1 < outputs.shape[-1]:
        parts.append(median + ops.cumsum(distances[..., middle + 1 :], axis=-1))
    return ops.concatenate(parts, axis=-1)
