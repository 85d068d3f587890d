"""How pixels are scaled before a network sees them: a part of the model, so that a saved one takes raw pixels."""

from typing import Any, Literal

import keras

Tensor = Any  # a symbolic keras.KerasTensor


def pixels(inputs: Tensor, *, preprocessing: Literal["unit", "symmetric", "none"]) -> Tensor:
    """Scales pixels.

    It is computed in float32 whatever the dtype policy: bfloat16 has 8 significant bits, so that a value up to 255
    would lose its last bits.

    Args:
        inputs: float32 pixels in [0, 255], of any shape.
        preprocessing: ``unit`` to [0, 1]; ``symmetric`` to [-1, 1]; ``none`` leaves the inputs as they are.

    Returns:
        float32 of the same shape.
    """
    match preprocessing:
        case "unit":
            return keras.layers.Rescaling(1 / 255, dtype="float32", name="preprocessing")(inputs)
        case "symmetric":
            return keras.layers.Rescaling(1 / 127.5, offset=-1.0, dtype="float32", name="preprocessing")(inputs)
        case "none":
            return inputs
