"""A multilayer perceptron: Goodfellow, Bengio and Courville 2016, chapter 6."""

from collections.abc import Sequence
from typing import Any

import keras

from dlcli.models.images.layers import BATCH_NORM_MOMENTUM, kernel_initializer

Tensor = Any  # a symbolic keras.KerasTensor


def features(inputs: Tensor, *, units: Sequence[int], activation: str, batch_norm: bool, dropout: float) -> Tensor:
    """Flattens the inputs and applies the hidden layers.

    Args:
        inputs: ``[batch, ...]`` with known sides.
        units: number of units of each hidden layer. The last Keras layer of the i-th is named ``stage{i}``.
        activation: activation of the hidden layers.
        batch_norm: normalize before each activation; the dense layers then have no bias.
        dropout: dropout rate after each hidden layer, in [0, 1).

    Returns:
        ``[batch, units]``.
    """
    x = keras.layers.Flatten(name="flatten")(inputs)
    for i, width in enumerate(units, start=1):
        x = keras.layers.Dense(
            width, use_bias=not batch_norm, kernel_initializer=kernel_initializer(activation), name=f"dense{i}"
        )(x)
        if batch_norm:
            x = keras.layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, name=f"norm{i}")(x)
        x = keras.layers.Activation(activation, name=f"activation{i}" if dropout > 0 else f"stage{i}")(x)
        if dropout > 0:
            x = keras.layers.Dropout(dropout, name=f"stage{i}")(x)
    return x
