"""Convolution over sequences: the lecture's one-dimensional convolution, causal and dilated where wanted."""

from collections.abc import Sequence
from typing import Any

import keras

from dlcli.models.images.layers import kernel_initializer
from dlcli.models.sequences.pooling import masked

Tensor = Any  # a symbolic keras.KerasTensor


def steps(
    x: Tensor,
    mask: Tensor,
    *,
    filters: int,
    kernel_size: int,
    dilations: Sequence[int],
    causal: bool,
    residual: bool,
    layer_norm: bool,
    dropout: float,
) -> Tensor:
    """Convolutions one above the other, each with ReLU (van den Oord et al. 2016, figure 3; Bai et al. 2018).

    A step of the last one sees ``1 + (kernel_size - 1) * sum(dilations)`` steps of the input. Beyond both ends of a
    sequence there are zeros, wherever it ends in the batch.

    Args:
        x: ``[batch, steps, features]``.
        mask: bool ``[batch, steps]``, true up to each sequence's end.
        filters: outputs of each convolution.
        kernel_size: steps that a convolution sees.
        dilations: for each convolution the distance between these steps.
        causal: see a step and those before it; else as many on both sides.
        residual: add each convolution's inputs to its outputs, where both are as many.
        layer_norm: normalize each convolution's outputs over the filters, before ReLU.
        dropout: proportion of each convolution's inputs set to 0 in training.

    Returns:
        ``[batch, steps, filters]``.
    """
    x = masked(x, mask)
    for number, dilation in enumerate(dilations, start=1):
        y = x
        if dropout > 0:
            y = keras.layers.Dropout(dropout, name=f"dropout{number}")(y)
        y = keras.layers.Conv1D(
            filters,
            kernel_size,
            padding="causal" if causal else "same",
            dilation_rate=dilation,
            kernel_initializer=kernel_initializer("relu"),
            name=f"conv{number}",
        )(y)
        if layer_norm:
            y = keras.layers.LayerNormalization(name=f"norm{number}")(y)
        y = keras.layers.Activation("relu", name=f"activation{number}")(y)
        if residual and y.shape[-1] == x.shape[-1]:
            y = keras.layers.Add(name=f"residual{number}")([y, x])
        x = masked(y, mask)
    return x
