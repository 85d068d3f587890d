"""Dual path networks: Chen, Li, Xiao, Jin, Yan and Feng 2017, "Dual path networks"."""

from dataclasses import dataclass
from typing import Any

import keras

from dlcli.models.images.layers import conv, conv_norm_relu, max_pool, norm, relu, scaled

Tensor = Any  # a symbolic keras.KerasTensor


@dataclass(frozen=True)
class Variant:
    """A column of table 1.

    Attributes:
        stem: number of filters and kernel size of conv1.
        cardinality: number of groups of the 3x3 convolutions (G).
        grouped: number of filters of the first two convolutions of a block in conv2, doubled in each later stage.
        residual: width of the residual path in conv2, doubled in each later stage.
        increments: number of maps by which each block of a stage widens the densely connected path (+k).
        num_blocks: number of blocks in each stage.
    """

    stem: tuple[int, int]
    cardinality: int
    grouped: int
    residual: int
    increments: tuple[int, int, int, int]
    num_blocks: tuple[int, int, int, int]


VARIANTS = {
    68: Variant((10, 3), 32, 128, 64, (16, 32, 32, 64), (3, 4, 12, 3)),
    92: Variant((64, 7), 32, 96, 256, (16, 32, 24, 128), (3, 4, 20, 3)),
    98: Variant((96, 7), 40, 160, 256, (16, 32, 32, 128), (3, 6, 20, 3)),
    131: Variant((128, 7), 40, 160, 256, (16, 32, 32, 128), (4, 8, 28, 3)),
}
"""DPN-92 and -98 (table 1), DPN-131 (section 4.1), and DPN-68, which the authors released with them."""


def features(inputs: Tensor, *, depth: int, width: float) -> Tensor:
    """A dual path network without its head, up to the last normalization and ReLU.

    Args:
        inputs: ``[batch, height, width, channels]``, of any size.
        depth: 68, 92, 98 or 131.
        width: factor on the numbers of filters; the cardinality is unchanged.

    Returns:
        ``[batch, ceil(height / 32), ceil(width / 32), channels]``; the last layer of the i-th stage, which concatenates
        both paths, is ``stage{i}``.
    """
    net = VARIANTS[depth]
    filters, kernel_size = net.stem
    x = conv_norm_relu(inputs, scaled(filters, width), kernel_size, strides=2, name="stem")
    x = max_pool(x, name="stem_pool")
    for stage, repeats in enumerate(net.num_blocks, start=1):
        grouped = scaled(net.grouped * 2 ** (stage - 1), width, groups=net.cardinality)
        residual = scaled(net.residual * 2 ** (stage - 1), width)
        increment = scaled(net.increments[stage - 1], width)
        added, joined = _new_paths(x, residual, 2 * increment, strides=2 if stage > 1 else 1, name=f"stage{stage}")
        for number in range(1, repeats + 1):
            name = f"stage{stage}_block{number}"
            update, news = _block(
                x,
                grouped=grouped,
                residual=residual,
                increment=increment,
                cardinality=net.cardinality,
                strides=2 if stage > 1 and number == 1 else 1,
                name=name,
            )
            added = keras.layers.Add(name=f"{name}_add")([added, update])
            joined = keras.layers.Concatenate(name=f"{name}_join")([joined, news])
            last = f"stage{stage}" if number == repeats else f"{name}_out"
            x = keras.layers.Concatenate(name=last)([added, joined])
    return relu(norm(x, name="last_norm"), name="last_relu")


def _new_paths(x: Tensor, residual: int, dense: int, *, strides: int, name: str) -> tuple[Tensor, Tensor]:
    """Both paths of a new stage, from all preceding maps: 1x1 convolutions after normalization and ReLU."""
    activated = relu(norm(x, name=f"{name}_paths_norm"), name=f"{name}_paths_relu")
    return (
        conv(activated, residual, 1, strides=strides, name=f"{name}_residual_conv"),
        conv(activated, dense, 1, strides=strides, name=f"{name}_dense_conv"),
    )


def _block(
    x: Tensor, *, grouped: int, residual: int, increment: int, cardinality: int, strides: int, name: str
) -> tuple[Tensor, Tensor]:
    """1x1, grouped 3x3 and 1x1 convolutions (figure 2(d)), the last one in two parts.

    Returns:
        The maps to add to the residual path, and those to concatenate to the densely connected one. Together they are
        the last 1x1 convolution of the paper, which splits its output.
    """
    y = _norm_relu(x, name=f"{name}_1")
    y = _norm_relu(conv(y, grouped, 1, name=f"{name}_1_conv"), name=f"{name}_2")
    y = conv(y, grouped, 3, strides=strides, groups=cardinality, name=f"{name}_2_conv")
    y = _norm_relu(y, name=f"{name}_3")
    return (
        conv(y, residual, 1, name=f"{name}_3_residual_conv"),
        conv(y, increment, 1, name=f"{name}_3_dense_conv"),
    )


def _norm_relu(x: Tensor, *, name: str) -> Tensor:
    return relu(norm(x, name=f"{name}_norm"), name=f"{name}_relu")
