"""Block-QNN: stages of one block that a network structure code describes.

Zhong, Yan, Wu, Shao and Liu 2018, "Practical block-wise neural network architecture generation", table 1. A layer of a
block is five numbers: its index from 1, its type, its kernel size, and the indices of the layers that it reads, where 0
is the input of the block.
"""

from collections.abc import Sequence
from typing import Any

import keras

from dlcli.models.images.layers import conv, norm, relu

Tensor = Any  # a symbolic keras.KerasTensor
Layer = tuple[int, int, int, int, int]  # index, type, kernel size, predecessors

CONVOLUTION, MAX_POOLING, AVERAGE_POOLING, IDENTITY, ADD, CONCATENATE, TERMINAL = range(1, 8)
"""The types of layers."""

NUM_STAGES = 3


def features(inputs: Tensor, *, code: Sequence[Layer], repeats: int, filters: int) -> Tensor:
    """A network of the space without its head: three stages of the block, with max pooling between them.

    Args:
        inputs: ``[batch, height, width, channels]``.
        code: the layers of the block, with or without the terminal layer.
        repeats: N, the number of blocks in each stage.
        filters: of the convolutions of the first stage; each following one has twice as many.

    Returns:
        ``[batch, height, width, channels]``; the last layers of the stages are ``stage1``, ``stage2`` and ``stage3``.
    """
    x = norm(conv(inputs, filters, 3, name="stem_conv"), name="stem_norm")
    for stage in range(1, NUM_STAGES + 1):
        if stage > 1:
            x = keras.layers.MaxPooling2D(2, padding="same", name=f"stage{stage}_pool")(x)
        width = filters * 2 ** (stage - 1)
        for number in range(1, repeats + 1):
            x = _block(x, code, filters=width, name=f"stage{stage}_block{number}")
        x = relu(x, name=f"stage{stage}")
    return x


def _block(x: Tensor, code: Sequence[Layer], *, filters: int, name: str) -> Tensor:
    """The layers of the code; those that no other reads are concatenated."""
    known = {0: x}
    read: set[int] = set()
    for index, kind, kernel_size, first, second in code:
        if kind == TERMINAL:
            break
        sources = [first, second] if kind in (ADD, CONCATENATE) else [first]
        read |= set(sources)
        known[index] = _layer(
            [known[source] for source in sources], kind, kernel_size, filters=filters, name=f"{name}_layer{index}"
        )
    ends = [tensor for index, tensor in known.items() if index not in read]
    return keras.layers.Concatenate(name=f"{name}_join")(ends) if len(ends) > 1 else ends[0]


def _layer(inputs: list[Tensor], kind: int, kernel_size: int, *, filters: int, name: str) -> Tensor:
    x = inputs[0]
    if kind == CONVOLUTION:
        return _convolution(x, filters, kernel_size, name=name)
    if kind in (MAX_POOLING, AVERAGE_POOLING):
        pooling = keras.layers.MaxPooling2D if kind == MAX_POOLING else keras.layers.AveragePooling2D
        return pooling(kernel_size, strides=1, padding="same", name=name)(x)
    if kind == IDENTITY:
        return keras.layers.Identity(name=name)(x)
    if kind == CONCATENATE:
        return keras.layers.Concatenate(name=name)(inputs)
    if inputs[0].shape[-1] != inputs[1].shape[-1]:  # the paper does not say how maps of different numbers are added
        inputs = [
            y if y.shape[-1] == filters else _convolution(y, filters, 1, name=f"{name}_{side}")
            for side, y in zip(("first", "second"), inputs, strict=True)
        ]
    return keras.layers.Add(name=name)(inputs)


def _convolution(x: Tensor, filters: int, kernel_size: int, *, name: str) -> Tensor:
    """ReLU, a convolution and its normalization: the paper's pre-activation convolutional cell."""
    return norm(conv(relu(x, name=f"{name}_relu"), filters, kernel_size, name=f"{name}_conv"), name=f"{name}_norm")
