"""The normalization of the convolutions of detectors, whose batches are small."""

from typing import Any, Literal

import keras

from dlcli.models.images.layers import norm

Tensor = Any  # a symbolic keras.KerasTensor
Normalization = Literal["group", "batch", "none"]

GROUP_SIZE = 8  # channels in a group: 32 groups of 256 channels, as in the paper's detectors (section 3.1)


def normalized(x: Tensor, normalization: Normalization, *, name: str) -> Tensor:
    """Maps after group normalization, batch normalization or neither."""
    match normalization:
        case "group":
            return group_norm(x.shape[-1], name=name)(x)
        case "batch":
            return norm(x, name=name)
        case "none":
            return x


def group_norm(channels: int, *, name: str) -> keras.layers.Layer:
    """The layer of group normalization (Wu and He 2018, "Group normalization"), which does not depend on the batch.

    Raises:
        ValueError: the number of channels is not a multiple of GROUP_SIZE.
    """
    if channels % GROUP_SIZE:
        raise ValueError(f"group normalization needs a multiple of {GROUP_SIZE} channels. Received {channels}.")
    return keras.layers.GroupNormalization(channels // GROUP_SIZE, epsilon=1e-5, name=name)
