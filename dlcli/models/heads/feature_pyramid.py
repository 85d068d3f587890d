"""The feature pyramid network: Lin, Dollár, Girshick, He, Hariharan and Belongie 2017, "Feature pyramid networks for
object detection".

Only layers of Keras are used, so that saved models load without this program.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from dlcli.models.heads.anchors import sides_of
from dlcli.models.heads.dense_prediction import resized, sides
from dlcli.models.heads.normalization import Normalization, normalized
from dlcli.models.images.layers import kernel_initializer, relu

Tensor = Any  # a symbolic keras.KerasTensor
Pyramid = dict[int, Tensor]
"""Maps ``[batch, h, w, channels]`` by level, from the finest on."""

COARSEST_TAP = 5  # level of a backbone's last maps, at stride 32


def backbone_strides(levels: Sequence[int]) -> tuple[int, ...]:
    """The strides at which the backbone must have maps, for a pyramid of these levels."""
    return tuple(2**level for level in range(min(*levels, COARSEST_TAP), COARSEST_TAP + 1))


def feature_pyramid(
    taps: Mapping[int, Tensor],
    *,
    size: tuple[int, int],
    levels: Sequence[int],
    channels: int,
    normalization: Normalization = "none",
) -> Pyramid:
    """Maps of the same depth at each level, which all have the coarsest maps in them (section 3, figure 3).

    The path from the coarsest maps down starts at stride 32, whatever the levels are. Levels above it are computed by
    3x3 convolutions of stride 2, as in RetinaNet, from P5, as in FCOS.

    Args:
        taps: the backbone's last maps by stride; those of `backbone_strides` are used.
        size: height and width of the image; any.
        levels: consecutive numbers l of the maps that are returned, with strides 2^l: 3 to 7 in RetinaNet.
        channels: number of channels of all maps; 256 in the paper.
        normalization: of the convolutions; the paper has none.

    Returns:
        ``{level: [batch, ceil(height / 2^level), ceil(width / 2^level), channels]}``.
    """
    strides = backbone_strides(levels)
    maps: Pyramid = {}
    x = None
    for level in range(COARSEST_TAP, COARSEST_TAP - len(strides), -1):
        name = f"pyramid{level}"
        lateral = _conv(taps[2**level], channels, 1, normalization=normalization, name=f"{name}_lateral")
        lateral = resized(lateral, sides_of(size, level), name=f"{name}_resized")
        x = lateral if x is None else keras.layers.Add(name=f"{name}_add")([lateral, _doubled(x, sides(lateral), name)])
        maps[level] = x
    found = {
        level: _conv(maps[level], channels, 3, normalization=normalization, name=f"pyramid{level}_out")
        for level in sorted(maps)
        if level in levels
    }
    coarsest = found[COARSEST_TAP] if COARSEST_TAP in found else maps[COARSEST_TAP]
    for level in range(COARSEST_TAP + 1, max(levels) + 1):
        name = f"pyramid{level}"
        if level > COARSEST_TAP + 1:
            coarsest = relu(coarsest, name=f"{name}_relu")
        coarsest = _conv(coarsest, channels, 3, strides=2, normalization=normalization, name=f"{name}_out")
        if level in levels:
            found[level] = coarsest
    return found


def _conv(
    x: Tensor, channels: int, kernel_size: int, *, strides: int = 1, normalization: Normalization, name: str
) -> Tensor:
    """A convolution that no activation follows, with its normalization."""
    x = keras.layers.Conv2D(
        channels,
        kernel_size,
        strides=strides,
        padding="same",
        use_bias=normalization == "none",
        kernel_initializer=kernel_initializer("linear"),
        name=name,
    )(x)
    return normalized(x, normalization, name=f"{name}_norm")


def _doubled(x: Tensor, size: tuple[int, int], name: str) -> Tensor:
    """Maps of twice the sides, the nearest value at each position, without the last row or column if ``size`` is
    odd."""
    x = keras.layers.UpSampling2D(2, name=f"{name}_up")(x)
    excess = [have - need for have, need in zip(sides(x), size, strict=True)]
    if any(excess):
        x = keras.layers.Cropping2D([(0, each) for each in excess], name=f"{name}_crop")(x)
    return x
