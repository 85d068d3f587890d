"""What one-stage detectors share: subnets that have the same weights at all levels of a pyramid, and their outputs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from dlcli.models.heads.feature_pyramid import Pyramid
from dlcli.models.heads.normalization import Normalization, group_norm, normalized
from dlcli.models.images.layers import kernel_initializer, relu

Tensor = Any  # a symbolic keras.KerasTensor

PRIOR = 0.01
"""The probability of each class at each position before training, so that the many negatives do not dominate the first
steps (Lin et al. 2017, "Focal loss for dense
object detection", section 4.1)."""


def prior_bias() -> float:
    """The logit of PRIOR."""
    return -math.log((1 - PRIOR) / PRIOR)


@dataclass(frozen=True)
class DenseOutputs:
    """What a one-stage detector predicts at each of n positions or anchors.

    Attributes:
        trained: float32 tensors that the loss is taken from.
        scores: of each class by level, float32 ``[b, n_level, classes]`` in [0, 1].
        boxes: by level, float32 rel_xyxy ``[b, n_level, 4]``, which may extend beyond the image.
    """

    trained: list[Tensor]
    scores: dict[int, Tensor]
    boxes: dict[int, Tensor]


def subnet(pyramid: Pyramid, *, num_convs: int, channels: int, normalization: Normalization, name: str) -> Pyramid:
    """3x3 convolutions with ReLU whose weights are shared by all levels (Lin et al. 2017, "Focal loss for dense object
    detection", section 4).

    Batch normalization has its own layer at each level, because the statistics of levels differ; group normalization is
    shared.

    Args:
        num_convs: number of convolutions; 4 in the paper.
        channels: of each of them.
    """
    maps = dict(pyramid)
    for number in range(1, num_convs + 1):
        each = f"{name}{number}"
        conv = keras.layers.Conv2D(
            channels,
            3,
            padding="same",
            use_bias=normalization == "none",
            kernel_initializer=kernel_initializer("relu"),
            name=f"{each}_conv",
        )
        shared = group_norm(channels, name=f"{each}_norm") if normalization == "group" else None
        for level, x in maps.items():
            x = conv(x)
            x = shared(x) if shared is not None else normalized(x, normalization, name=f"{each}_norm{level}")
            maps[level] = relu(x, name=f"{each}_relu{level}")
    return maps


def predictions(
    maps: Pyramid, *, values: int, per_position: int = 1, bias: float = 0.0, name: str
) -> dict[int, Tensor]:
    """The last 3x3 convolution of a subnet, shared by all levels, in float32: ``[batch, h * w * per_position,
    values]`` of each level.

    Args:
        values: number of values of each prediction.
        per_position: number of predictions, such as anchors, at each position.
        bias: initial value of the biases.
    """
    conv = keras.layers.Conv2D(
        per_position * values,
        3,
        padding="same",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        bias_initializer=keras.initializers.Constant(bias),
        dtype="float32",
        name=f"{name}_conv",
    )
    return {
        level: keras.layers.Reshape((-1, values), dtype="float32", name=f"{name}{level}")(conv(x))
        for level, x in maps.items()
    }


def joined(parts: Mapping[int, Tensor], *, name: str) -> Tensor:
    """The predictions of all levels one after another, ``[batch, n, values]``: the output of the layer ``name``."""
    if len(parts) == 1:
        return keras.layers.Identity(dtype="float32", name=name)(next(iter(parts.values())))
    return keras.layers.Concatenate(axis=1, dtype="float32", name=name)(list(parts.values()))
