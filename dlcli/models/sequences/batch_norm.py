"""Convolutions over the steps of sequences with batch normalization, in which padding never counts."""

from typing import Any

import keras

from dlcli.models.images.layers import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM, kernel_initializer
from dlcli.models.sequences.pooling import masked

Tensor = Any  # a symbolic keras.KerasTensor


def conv(x: Tensor, mask: Tensor, filters: int, kernel_size: int, *, name: str) -> Tensor:
    """A convolution without bias, to be followed by normalization: ``[batch, steps, filters]``.

    A sequence is padded with zeros at both of its own ends, whatever its length in the batch.
    """
    return keras.layers.Conv1D(
        filters,
        kernel_size,
        padding="same",
        use_bias=False,
        kernel_initializer=kernel_initializer("relu"),
        name=name,
    )(masked(x, mask))


def norm(x: Tensor, mask: Tensor, *, name: str) -> Tensor:
    """Batch normalization (Ioffe and Szegedy 2015, algorithm 1) over the steps before sequences' ends."""
    layer = keras.layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, epsilon=BATCH_NORM_EPSILON, name=name)
    return layer(x, mask=mask)


def relu(x: Tensor, *, name: str) -> Tensor:
    """ReLU: max(x, 0)."""
    return keras.layers.Activation("relu", name=name)(x)


def sum_with_shortcut(x: Tensor, mask: Tensor, shortcut: Tensor, *, is_projected: bool, name: str) -> Tensor:
    """The sum with a normalized shortcut, and ReLU (He et al. 2015).

    Args:
        is_projected: let the shortcut pass a convolution of one step, which gives it as many filters as ``x`` has.
    """
    if is_projected:
        shortcut = conv(shortcut, mask, x.shape[-1], 1, name=f"{name}_shortcut")
    shortcut = norm(shortcut, mask, name=f"{name}_shortcut_norm")
    return relu(keras.layers.Add(name=f"{name}_sum")([x, shortcut]), name=name)
