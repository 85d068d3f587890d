"""A constant that is subtracted from large numbers before they are rounded to float32, and added again, in float64.

Near 1e9 the numbers of float32 are 64 apart: a meter reading of that size would lose the changes that are to be
forecast. The network between both layers takes and returns numbers without the constant.
"""

from typing import Any

import keras

Tensor = Any  # a symbolic keras.KerasTensor
SUBTRACTED, FORECAST = "without_offset", "forecast"


def subtracted(values: Tensor, offset: float) -> Tensor:
    """The values without the offset of the first feature, float32, as the layer ``without_offset``.

    Args:
        values: float64 ``[batch, steps, features]``.
    """
    constants = [-offset] + [0.0] * (values.shape[-1] - 1)
    changes = keras.layers.Rescaling(1.0, offset=constants, dtype="float64", name="subtracted")(values)
    return keras.layers.Identity(dtype="float32", name=SUBTRACTED)(keras.ops.cast(changes, "float32"))


def added(forecast: Tensor, offset: float) -> Tensor:
    """The forecast with the offset, float64."""
    return keras.layers.Rescaling(1.0, offset=offset, dtype="float64", name="with_offset")(forecast)


def inner(model: keras.Model) -> keras.Model:
    """The network of a saved model that takes and returns values without the offset; the model itself if it has
    none."""
    if SUBTRACTED not in (layer.name for layer in model.layers):
        return model
    return keras.Model(model.get_layer(SUBTRACTED).output, model.get_layer(FORECAST).output, name=model.name)
