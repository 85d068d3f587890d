"""Builds the network of a forecasting recipe."""

import keras

from dlcli.models.sequences import forecasting, series_input
from dlcli.recipe.sections.sequence_model import StepModel
from dlcli.recipe.tasks.forecasting import Window
from dlcli.tasks.sequences.encoders import Scale, SequenceNetwork, pooled_vector


def build_forecaster(section: StepModel, scale: Scale, window: Window) -> SequenceNetwork:
    """Build the network that forecasts the first feature from a history of fixed length."""
    values = keras.Input(shape=(window.history, len(scale.mean)), dtype="float32", name="values")
    x, mask = series_input.standardized(values, mean=scale.mean, variance=scale.variance)
    base = forecasting.base(
        values[..., 0],
        horizon=window.horizon,
        season=window.season,
        difference=window.difference,
        mean=float(scale.mean[0]),
    )
    outputs = forecasting.steps_ahead(
        pooled_vector(section, x, mask), horizon=window.horizon, num_levels=len(window.quantiles or ())
    )
    predicted = forecasting.forecast(
        outputs,
        base,
        levels=window.quantiles,
        mean=scale.target_mean,
        deviation=scale.target_variance**0.5,
    )
    model = keras.Model(values, predicted, name=section.kind)
    return SequenceNetwork(model, model)
