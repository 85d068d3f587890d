"""One-dimensional convolutions over sequences, optionally causal and dilated."""

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
    """Stacked convolutions, each with ReLU (van den Oord et al. 2016, figure 3; Bai et al. 2018).

    A step of the output has a receptive field of ``1 + (kernel_size - 1) * sum(dilations)`` steps of the input. A
    sequence is padded with zeros at both of its own ends, whatever its length in the batch.

    Args:
        x: ``[batch, steps, features]``.
        mask: bool ``[batch, steps]``, true up to each sequence's end.
        filters: number of filters of each convolution.
        kernel_size: kernel size of each convolution.
        dilations: dilation of each convolution.
        causal: use only the current and earlier steps; otherwise kernels are centered.
        residual: add each convolution's inputs to its outputs, if they have the same size.
        layer_norm: normalize each convolution's outputs over the filters, before ReLU.
        dropout: dropout rate of each convolution's inputs.

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
