"""A plain convolutional network: stages of convolution, activation and pooling, followed by dense layers.

The stages are those of Goodfellow, Bengio and Courville 2016, figure 9.7 ("complex layer terminology"), where the
activation is called the detector stage.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras

from dlcli.errors import InputError
from dlcli.models.images.layers import BATCH_NORM_MOMENTUM, kernel_initializer

Tensor = Any  # a symbolic keras.KerasTensor

CONVOLUTION = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D, 3: keras.layers.Conv3D}
MAX_POOLING = {1: keras.layers.MaxPooling1D, 2: keras.layers.MaxPooling2D, 3: keras.layers.MaxPooling3D}
AVERAGE_POOLING = {
    1: keras.layers.AveragePooling1D,
    2: keras.layers.AveragePooling2D,
    3: keras.layers.AveragePooling3D,
}
GLOBAL_MAX = {
    1: keras.layers.GlobalMaxPooling1D,
    2: keras.layers.GlobalMaxPooling2D,
    3: keras.layers.GlobalMaxPooling3D,
}
GLOBAL_AVERAGE = {
    1: keras.layers.GlobalAveragePooling1D,
    2: keras.layers.GlobalAveragePooling2D,
    3: keras.layers.GlobalAveragePooling3D,
}
"""Keras's layers by the number of dimensions of the convolution."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """One stage.

    Attributes:
        filters: number of feature maps of each convolution.
        kernel_size: side of the kernel.
        strides: stride of the first convolution.
        padding: ``same`` (zeros on all sides, so that the size is kept) or ``valid`` (no padding).
        activation: Keras's name of the activation.
        batch_norm: normalize between convolution and activation; the convolution then has no bias.
        repeat: number of convolutions, each with its activation, before the pooling.
        pool: ``max``, ``average`` or ``none``.
        pool_size: side and stride of the pooling window.
        dropout: dropout rate at the end of the stage, in [0, 1).
    """

    filters: int
    kernel_size: int
    strides: int
    padding: Literal["same", "valid"]
    activation: str
    batch_norm: bool
    repeat: int
    pool: Literal["max", "average", "none"]
    pool_size: int
    dropout: float


def features(
    inputs: Tensor,
    *,
    rank: Literal[1, 2, 3],
    blocks: Sequence[Block],
    pooling: Literal["flatten", "average", "max"],
    dense: Sequence[int],
    activation: str,
    dropout: float,
) -> Tensor:
    """The network up to the vector that is passed to a head.

    Args:
        inputs: ``[batch, *sides, channels]`` with ``rank`` sides.
        rank: number of dimensions of the convolution.
        blocks: the stages. The last layer of the i-th is named ``stage{i}``.
        pooling: how the last feature maps are turned into a vector.
        dense: number of units of each dense layer that follows.
        activation: activation of the dense layers.
        dropout: dropout rate before each dense layer and before the head.

    Returns:
        ``[batch, units]``.

    Raises:
        InputError: the inputs are too small for the stages.
        ValueError: the inputs do not have ``rank`` sides.
    """
    if len(inputs.shape) != rank + 2:
        raise ValueError(
            f"a convnet of rank {rank} takes inputs [batch, {rank} sides, channels]. Received {list(inputs.shape)}."
        )
    _check_size(inputs.shape[1:-1], blocks)
    x = inputs
    for number, block in enumerate(blocks, start=1):
        x = _stage(x, block, rank=rank, stage=f"stage{number}")
    match pooling:
        case "flatten":
            x = keras.layers.Flatten(name="flatten")(x)
        case "average":
            x = GLOBAL_AVERAGE[rank](name="global_average")(x)
        case "max":
            x = GLOBAL_MAX[rank](name="global_max")(x)
    for number, units in enumerate(dense, start=1):
        if dropout > 0:
            x = keras.layers.Dropout(dropout, name=f"dropout{number}")(x)
        x = keras.layers.Dense(
            units,
            activation=activation,
            kernel_initializer=kernel_initializer(activation),
            name=f"dense{number}",
        )(x)
    if dropout > 0:
        x = keras.layers.Dropout(dropout, name=f"dropout{len(dense) + 1}")(x)
    return x


def _stage(x: Tensor, block: Block, *, rank: int, stage: str) -> Tensor:
    """Convolution, normalization and activation, ``repeat`` times; then pooling; then dropout."""
    last = "dropout" if block.dropout > 0 else "pool" if block.pool != "none" else f"activation{block.repeat}"

    def name(part: str) -> str:
        return stage if part == last else f"{stage}_{part}"

    for i in range(1, block.repeat + 1):
        x = CONVOLUTION[rank](
            block.filters,
            block.kernel_size,
            strides=block.strides if i == 1 else 1,
            padding=block.padding,
            use_bias=not block.batch_norm,
            kernel_initializer=kernel_initializer(block.activation),
            name=name(f"conv{i}"),
        )(x)
        if block.batch_norm:
            x = keras.layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, name=name(f"norm{i}"))(x)
        x = keras.layers.Activation(block.activation, name=name(f"activation{i}"))(x)
    match block.pool:
        case "max":
            x = MAX_POOLING[rank](block.pool_size, name=name("pool"))(x)
        case "average":
            x = AVERAGE_POOLING[rank](block.pool_size, name=name("pool"))(x)
    if block.dropout > 0:
        x = keras.layers.Dropout(block.dropout, name=name("dropout"))(x)
    return x


@dataclass(frozen=True)
class _Window:
    """An unpadded convolution or a pooling along one side."""

    name: str
    size: int
    step: int

    def output_side(self, side: int) -> int:
        """Length of the output; 0 if the window does not fit."""
        return max(0, (side - self.size) // self.step + 1)

    def smallest_input_side(self, output_side: int) -> int:
        return (output_side - 1) * self.step + self.size


def _windows(blocks: Sequence[Block]) -> list[_Window]:
    """All operations that change the length of a side, in order."""
    windows = []
    for stage, block in enumerate(blocks, start=1):
        for i in range(block.repeat):
            step = block.strides if i == 0 else 1
            # padding "same" gives ceil(side / step), as does a window of 1
            size = block.kernel_size if block.padding == "valid" else 1
            windows.append(_Window(f"the convolution of stage {stage}", size, step))
        if block.pool != "none":
            windows.append(_Window(f"the pooling of stage {stage}", block.pool_size, block.pool_size))
    return windows


def _check_size(sides: Sequence[int | None], blocks: Sequence[Block]) -> None:
    """Raises InputError if nothing would be left of a side (None: a side of variable length)."""
    windows = _windows(blocks)
    left = list(sides)
    for window in windows:
        if any(side is not None and side < window.size for side in left):
            smallest = 1
            for earlier in reversed(windows):
                smallest = earlier.smallest_input_side(smallest)
            raise InputError(
                f"with these model.blocks every side must be at least {smallest}: {window.name} has a window of "
                f"{window.size}, and {_size(left)} is left there. Received {_size(sides)}. "
                "Use larger inputs (data.image_size for images), fewer blocks or less pooling."
            )
        left = [None if side is None else window.output_side(side) for side in left]


def _size(sides: Sequence[int | None]) -> str:
    return "x".join("?" if side is None else str(side) for side in sides)
