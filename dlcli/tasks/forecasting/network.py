"""Builds the network of a forecasting recipe."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from dlcli.evaluation.forecast_distributions import Family
from dlcli.models.sequences import forecasting, linear, offsets, series_input
from dlcli.recipe.tasks.forecasting import Distribution, ForecastModel, Linear, StudentT, Window
from dlcli.tasks.sequences.encoders import Scale, SequenceNetwork, pooled_vector

Tensor = Any  # a symbolic keras.KerasTensor


def build_forecaster(
    section: ForecastModel, scale: Scale, window: Window, known_ahead: Sequence[int] = (), offset: float = 0.0
) -> SequenceNetwork:
    """Build the network that forecasts the first feature from a history of fixed length.

    Args:
        known_ahead: positions of the features that are known ahead; the inputs then include the steps of the forecast,
            where the others are NaN.
        offset: of the target, which the saved model subtracts in float64 and adds again; the trained network takes and
            returns values without it.
    """
    num_steps = window.history + (window.horizon if known_ahead else 0)
    raw = keras.Input((num_steps, len(scale.mean)), dtype="float64" if offset else "float32", name="values")
    values = offsets.subtracted(raw, offset) if offset else raw
    x, mask = series_input.standardized(values, mean=scale.mean, variance=scale.variance)
    past, target, mask = x[:, : window.history], values[:, : window.history, 0], mask[:, : window.history]
    mean, deviation = float(scale.mean[0]), float(scale.variance[0]) ** 0.5
    start = forecasting.base(
        target, horizon=window.horizon, season=window.season, difference=window.difference, mean=mean
    )
    window_deviation = None
    if window.normalize == "window":
        center, window_deviation = forecasting.window_scale(target)
        past = _with_target(past, (target - center) / window_deviation)
        start = center if start is None else start
    if isinstance(section, Linear) and window.difference != "none":
        change = target - forecasting.last_known(target, mean=mean)
        past = _with_target(past, change / (deviation if window_deviation is None else window_deviation))
    num_levels = len(window.quantiles or ()) if window.distribution is None else 2
    ahead = keras.ops.take(x[:, window.history :], np.array(known_ahead), axis=2) if known_ahead else None
    outputs = _outputs(section, past, mask, ahead, horizon=window.horizon, num_levels=num_levels)
    units: dict[str, Any] = {
        "mean": scale.target_mean,
        "deviation": scale.target_variance**0.5,
        "scale": window_deviation,
    }
    if window.distribution is None:
        predicted = forecasting.forecast(outputs, start, levels=window.quantiles, **units)
        return _network(section.kind, raw, values, predicted, predicted, offset)
    parameters = forecasting.location_and_scale(outputs, start, **units)
    standard = family_of(window.distribution).quantiles(window.quantiles or ())
    quantiles = forecasting.quantiles_of(parameters, standard)
    return _network(section.kind, raw, values, quantiles, parameters, offset)


def _network(
    name: str, raw: Tensor, values: Tensor, predicted: Tensor, trained: Tensor, offset: float
) -> SequenceNetwork:
    """The saved model from raw inputs to predictions, and the trained one from values without offset."""
    model = keras.Model(raw, offsets.added(predicted, offset) if offset else predicted, name=name)
    if raw is values and predicted is trained:
        return SequenceNetwork(model, model)
    return SequenceNetwork(model, keras.Model(values, trained, name=f"{name}_trained"))


def family_of(section: Distribution) -> Family:
    """The family of distributions of a recipe."""
    return Family(section.degrees_of_freedom if isinstance(section, StudentT) else None)


def _outputs(section: ForecastModel, x: Tensor, mask: Tensor, ahead: Tensor | None, **sizes: int) -> Tensor:
    """The outputs of each step ahead, from the past and from what is known of these steps."""
    vector = None
    if isinstance(section, Linear):
        outputs = linear.steps_ahead(x, decomposition=section.decomposition, kernel_size=section.kernel_size, **sizes)
    else:
        vector = pooled_vector(section, x, mask)
        outputs = forecasting.steps_ahead(vector, **sizes)
    if ahead is None:
        return outputs
    return outputs + forecasting.of_known_steps(vector, ahead, num_levels=sizes["num_levels"])


def _with_target(x: Tensor, target: Tensor) -> Tensor:
    """Features ``[batch, steps, features]`` with other values of the first, ``[batch, steps]``; 0 where NaN."""
    ops = keras.ops
    column = ops.where(ops.isnan(target), ops.zeros_like(target), target)[..., None]
    return column if x.shape[-1] == 1 else ops.concatenate([column, x[..., 1:]], axis=-1)
