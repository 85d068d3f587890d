"""The stem and the bottleneck block that ResNet, ResNeXt and SENet share."""

from typing import Any

import keras

from dlcli.models.images.layers import conv, conv_norm_relu, max_pool, norm, relu, squeeze_excite

Tensor = Any  # a symbolic keras.KerasTensor


def first_layers(inputs: Tensor, filters: int, *, small: bool) -> Tensor:
    """The stem of He et al. 2015, table 1: conv1, 7x7 with stride 2, then 3x3 max pooling with stride 2.

    Args:
        inputs: images ``[batch, height, width, channels]``.
        filters: number of filters of the convolution.
        small: a single 3x3 convolution with stride 1 instead, for small images (section 4.2).
    """
    if small:
        return conv_norm_relu(inputs, filters, 3, name="stem")
    return max_pool(conv_norm_relu(inputs, filters, 7, strides=2, name="stem"), name="stem_pool")


def bottleneck(
    x: Tensor,
    filters: tuple[int, int, int],
    *,
    strides: tuple[int, int] = (1, 1),
    groups: int = 1,
    reduction: int | None = None,
    projection: int | None,
    name: str,
    last: str,
) -> Tensor:
    """A bottleneck block: 1x1, 3x3 and 1x1 convolutions added to a shortcut (He et al. 2015, figure 5, right).

    Args:
        x: ``[batch, height, width, channels]``.
        filters: numbers of filters of the three convolutions.
        strides: strides of the first two. ResNet downsamples in the first 1x1, ResNeXt in the 3x3.
        groups: number of groups of the 3x3 convolution: the cardinality of Xie et al. 2017, figure 3(c).
        reduction: reduction of squeeze-and-excitation before the addition (Hu et al. 2018, figure 3); None for none.
        projection: kernel size of the shortcut's convolution; None for an identity shortcut.
        name: prefix of the names of the layers.
        last: name of the last layer.
    """
    residual = conv_norm_relu(x, filters[0], 1, strides=strides[0], name=f"{name}_1")
    residual = conv_norm_relu(residual, filters[1], 3, strides=strides[1], groups=groups, name=f"{name}_2")
    residual = conv(residual, filters[2], 1, name=f"{name}_3_conv")
    residual = norm(residual, name=f"{name}_3_norm")
    if reduction is not None:
        residual = squeeze_excite(residual, reduction=reduction, name=f"{name}_se")
    shortcut = x
    if projection is not None:
        step = strides[0] * strides[1]
        shortcut = conv(x, filters[2], projection, strides=step, name=f"{name}_shortcut_conv")
        shortcut = norm(shortcut, name=f"{name}_shortcut_norm")
    return relu(keras.layers.Add(name=f"{name}_add")([shortcut, residual]), name=last)
