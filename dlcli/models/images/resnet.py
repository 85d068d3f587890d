"""Residual networks.

Version 1: He, Zhang, Ren and Sun 2015, "Deep residual learning for image recognition". Version 2: the same authors
2016, "Identity mappings in deep residual networks", where normalization and ReLU come before each convolution.
"""

from typing import Any, Literal

import keras

from dlcli.models.images.layers import conv, conv_norm_relu, norm, relu, scaled
from dlcli.models.images.residual import bottleneck, first_layers

Tensor = Any  # a symbolic keras.KerasTensor

Block = Literal["basic", "bottleneck"]
Option = Literal["A", "B"]

IMAGENET: dict[int, tuple[Block, tuple[int, ...]]] = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}
"""Kind of block, and numbers of blocks in conv2_x to conv5_x (2015, table 1), whose 3x3 convolutions have 64, 128, 256
and 512 filters."""

CIFAR_DEPTHS = (20, 32, 44, 56, 110)
"""6n + 2 layers: three stages of n basic blocks with 16, 32 and 64 filters (2015, section 4.2 and table 6)."""


def features(
    inputs: Tensor,
    *,
    depth: int,
    version: Literal[1, 2],
    stem: Literal["imagenet", "small"] | None,
    width: float,
    downsample: Literal["1x1", "3x3"] = "1x1",
) -> Tensor:
    """A residual network without its head; fully convolutional, for images of any size.

    Args:
        inputs: ``[batch, height, width, channels]``.
        depth: 18, 34, 50, 101 or 152; or 20, 32, 44, 56 or 110 for small images such as CIFAR's, with shortcuts of
            option A: no weights, zeros in the additional maps.
        version: 1 (2015) or 2 (2016).
        stem: ``imagenet``: 7x7 with stride 2, and pooling; ``small``: 3x3 without pooling; None for that of the paper.
        width: factor on all numbers of filters.
        downsample: the convolution of a bottleneck block of version 1 that has the stride: the first one, as in the
            paper, or the 3x3, as in torchvision.

    Returns:
        ``[batch, height, width, filters]``; the sides are 1/32 of the inputs' with the ImageNet stem, 1/8 with the
        small one, 1/4 with the CIFAR depths. The last layer of the i-th stage is ``stage{i}``.
    """
    is_for_cifar = depth in CIFAR_DEPTHS
    block, num_blocks = ("basic", ((depth - 2) // 6,) * 3) if is_for_cifar else IMAGENET[depth]
    base = 16 if is_for_cifar else 64
    option: Option = "A" if is_for_cifar else "B"
    x = first_layers(inputs, scaled(base, width), small=is_for_cifar or stem == "small")
    for stage, repeats in enumerate(num_blocks, start=1):
        filters = scaled(base * 2 ** (stage - 1), width)
        for number in range(1, repeats + 1):
            strides = 2 if stage > 1 and number == 1 else 1
            name = f"stage{stage}_block{number}"
            last = f"stage{stage}" if number == repeats else f"{name}_out"
            if version == 2:
                is_activated = stage == 1 and number == 1
                x = _pre_activated(x, block, filters, strides, option, is_activated=is_activated, name=name, last=last)
            elif block == "basic":
                x = _basic(x, filters, strides, option, name=name, last=last)
            else:
                x = _bottleneck(x, filters, strides, is_late=downsample == "3x3", name=name, last=last)
    return relu(norm(x, name="last_norm"), name="last_relu") if version == 2 else x


def _basic(x: Tensor, filters: int, strides: int, option: Option, *, name: str, last: str) -> Tensor:
    """Two 3x3 convolutions, added to the shortcut (2015, figure 5, left)."""
    residual = conv_norm_relu(x, filters, 3, strides=strides, name=f"{name}_1")
    residual = norm(conv(residual, filters, 3, name=f"{name}_2_conv"), name=f"{name}_2_norm")
    shortcut = x
    if strides > 1 or x.shape[-1] != filters:
        shortcut = _shortcut(x, filters, strides=strides, option=option, name=f"{name}_shortcut")
        if option == "B":
            shortcut = norm(shortcut, name=f"{name}_shortcut_norm")
    return relu(keras.layers.Add(name=f"{name}_add")([shortcut, residual]), name=last)


def _bottleneck(x: Tensor, filters: int, strides: int, *, is_late: bool, name: str, last: str) -> Tensor:
    """The first 1x1 convolution has the stride (2015, section 4.1: "performed by conv3_1, conv4_1 and conv5_1").

    Args:
        is_late: the 3x3 convolution has it instead.
    """
    return bottleneck(
        x,
        (filters, filters, 4 * filters),
        strides=(1, strides) if is_late else (strides, 1),
        projection=1 if strides > 1 or x.shape[-1] != 4 * filters else None,
        name=name,
        last=last,
    )


def _pre_activated(
    x: Tensor,
    block: Block,
    filters: int,
    strides: int,
    option: Option,
    *,
    is_activated: bool,
    name: str,
    last: str,
) -> Tensor:
    """A unit of version 2: x + F(ReLU(BN(x))), with nothing after the addition (2016, figure 1(b), and appendix).

    Args:
        is_activated: whether x is normalized and activated already, as after the stem (2016, section 3.2).

    The shortcut of a unit that changes the shape takes the activated x, as in the authors' code.
    """
    activated = x if is_activated else relu(norm(x, name=f"{name}_1_norm"), name=f"{name}_1_relu")
    if block == "basic":
        outputs = filters
        residual = conv(activated, filters, 3, strides=strides, name=f"{name}_1_conv")
        residual = _norm_relu_conv(residual, filters, 3, name=f"{name}_2")
    else:
        outputs = 4 * filters
        residual = conv(activated, filters, 1, strides=strides, name=f"{name}_1_conv")
        residual = _norm_relu_conv(residual, filters, 3, name=f"{name}_2")
        residual = _norm_relu_conv(residual, outputs, 1, name=f"{name}_3")
    shortcut = x
    if strides > 1 or x.shape[-1] != outputs:
        shortcut = _shortcut(activated, outputs, strides=strides, option=option, name=f"{name}_shortcut")
    return keras.layers.Add(name=last)([shortcut, residual])


def _norm_relu_conv(x: Tensor, filters: int, kernel_size: int, *, name: str) -> Tensor:
    x = relu(norm(x, name=f"{name}_norm"), name=f"{name}_relu")
    return conv(x, filters, kernel_size, name=f"{name}_conv")


def _shortcut(x: Tensor, filters: int, *, strides: int, option: Option, name: str) -> Tensor:
    """The shortcut if the shape changes: a 1x1 convolution (B), or every second pixel padded with zero maps (A)."""
    if option == "B":
        return conv(x, filters, 1, strides=strides, name=f"{name}_conv")
    if strides > 1:
        x = keras.layers.MaxPooling2D(1, strides=strides, name=f"{name}_subsample")(x)
    if filters == x.shape[-1]:
        return x
    # Keras pads height and width, not channels: [h, w, c] to [h, c, w] and back
    x = keras.layers.Permute((1, 3, 2), name=f"{name}_maps_to_side")(x)
    x = keras.layers.ZeroPadding2D(((0, 0), (0, filters - x.shape[2])), name=f"{name}_zeros")(x)
    return keras.layers.Permute((1, 3, 2), name=f"{name}_side_to_maps")(x)
