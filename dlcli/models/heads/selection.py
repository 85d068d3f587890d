"""Selecting some of an image's positions in keras.ops, with static shapes, so that it is a part of saved models."""

from typing import Any

import keras

Tensor = Any  # a tensor or a symbolic keras.KerasTensor


def select(values: Tensor, index: Tensor) -> Tensor:
    """The values of each image at its positions: ``[b, n, ...]`` at int32 ``[b, k]`` -> ``[b, k, ...]``.

    It takes whole rows of the flattened batch, because ``take_along_axis`` would gather each number separately, which
    takes several times as long.
    """
    num, *rest = values.shape[1:]
    first = (keras.ops.cumsum(keras.ops.ones_like(index[:, :1]), axis=0) - 1) * num  # of each image
    return keras.ops.take(keras.ops.reshape(values, (-1, *rest)), first + index, axis=0)
