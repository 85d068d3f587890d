"""Builds the network of a forecasting recipe."""

from typing import Any

import keras

from dlcli.models.sequences import forecasting, linear, series_input
from dlcli.recipe.sections.sequence_model import StepModel
from dlcli.recipe.tasks.forecasting import Linear, Window
from dlcli.tasks.sequences.encoders import Scale, SequenceNetwork, pooled_vector


def build_forecaster(section: StepModel | Linear, scale: Scale, window: Window) -> SequenceNetwork:
    """Build the network that forecasts the first feature from a history of fixed length."""
    values = keras.Input(shape=(window.history, len(scale.mean)), dtype="float32", name="values")
    x, mask = series_input.standardized(values, mean=scale.mean, variance=scale.variance)
    target, mean = values[..., 0], float(scale.mean[0])
    base = forecasting.base(
        target, horizon=window.horizon, season=window.season, difference=window.difference, mean=mean
    )
    sizes: dict[str, Any] = {"horizon": window.horizon, "num_levels": len(window.quantiles or ())}
    if isinstance(section, Linear):
        if window.difference != "none":
            x = linear.relative(x, target, mean=mean, deviation=float(scale.variance[0]) ** 0.5)
        outputs = linear.steps_ahead(x, decomposition=section.decomposition, kernel_size=section.kernel_size, **sizes)
    else:
        outputs = forecasting.steps_ahead(pooled_vector(section, x, mask), **sizes)
    predicted = forecasting.forecast(
        outputs,
        base,
        levels=window.quantiles,
        mean=scale.target_mean,
        deviation=scale.target_variance**0.5,
    )
    model = keras.Model(values, predicted, name=section.kind)
    return SequenceNetwork(model, model)
