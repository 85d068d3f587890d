"""The operations of searched cells, each of which takes feature maps to a number of filters.

Zoph et al. 2018, section 3 and appendix; the bottlenecks are those of AmoebaNet's release. Padding is Keras's ``same``,
as in the released code of these networks. Strides of 2 halve height and width, rounded up.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import keras

from dlcli.models.images.layers import BATCH_NORM_MOMENTUM, kernel_initializer, relu

Tensor = Any  # a symbolic keras.KerasTensor

BATCH_NORM_EPSILON = 1e-3
"""As in all released networks of searched cells for ImageNet."""

Operation = Callable[..., Tensor]
"""``(x, *, filters, strides, name) -> [batch, height, width, filters]``."""


def norm(x: Tensor, *, name: str) -> Tensor:
    """Batch normalization with the epsilon of these networks."""
    return keras.layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, epsilon=BATCH_NORM_EPSILON, name=name)(x)


def conv_norm(
    x: Tensor, filters: int, kernel_size: int | tuple[int, int], *, strides: int | tuple[int, int] = 1, name: str
) -> Tensor:
    """A convolution without bias, and its normalization."""
    x = keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer=kernel_initializer("relu"),
        name=f"{name}_conv",
    )(x)
    return norm(x, name=f"{name}_norm")


def relu_conv_norm(x: Tensor, filters: int, kernel_size: int | tuple[int, int], *, name: str, **keys: Any) -> Tensor:
    """ReLU, a convolution without bias, and its normalization; ``keys`` are those of `conv_norm`."""
    return conv_norm(relu(x, name=f"{name}_relu"), filters, kernel_size, name=name, **keys)


def factorized_reduction(x: Tensor, *, filters: int, strides: int, name: str) -> Tensor:
    """Brings maps to a number of filters, and divides their sides by the strides, without ReLU.

    Half of the filters see every other pixel, the others the pixels diagonally between these. If the number is odd,
    the second half has one filter more, which alone gives the published counts of AmoebaNet-A (6, 190).
    """
    if strides == 1:
        return conv_norm(x, filters, 1, name=name)
    shifted = keras.layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}_padding")(x)
    shifted = keras.layers.Cropping2D(((1, 0), (1, 0)), name=f"{name}_shift")(shifted)
    halves = []
    for number, (maps, count) in enumerate(((x, filters // 2), (shifted, filters - filters // 2)), start=1):
        maps = keras.layers.AveragePooling2D(1, strides=strides, name=f"{name}_pick{number}")(maps)
        halves.append(
            keras.layers.Conv2D(
                count,
                1,
                use_bias=False,
                kernel_initializer=kernel_initializer("relu"),
                name=f"{name}_conv{number}",
            )(maps)
        )
    return norm(keras.layers.Concatenate(name=f"{name}_join")(halves), name=f"{name}_norm")


def _identity(x: Tensor, *, filters: int, strides: int, name: str) -> Tensor:
    """The maps as they are; a 1x1 convolution if their size or number must change."""
    if strides == 1 and x.shape[-1] == filters:
        return x
    return relu_conv_norm(x, filters, 1, strides=strides, name=name)


def _separable(x: Tensor, *, kernel_size: int, dilation_rate: int = 1, filters: int, strides: int, name: str) -> Tensor:
    """A separable convolution, twice; only the first has the stride, and is then not dilated."""
    for number, step in enumerate((strides, 1), start=1):
        x = relu(x, name=f"{name}_relu{number}")
        x = keras.layers.SeparableConv2D(
            filters,
            kernel_size,
            strides=step,
            dilation_rate=dilation_rate if step == 1 else 1,
            padding="same",
            use_bias=False,
            depthwise_initializer=keras.initializers.VarianceScaling(2.0, mode="fan_out"),  # of a depthwise kernel k*k
            pointwise_initializer="glorot_uniform",
            name=f"{name}_conv{number}",
        )(x)
        x = norm(x, name=f"{name}_norm{number}")
    return x


def pooled(x: Tensor, *, kind: str, pool_size: int, strides: int, name: str) -> Tensor:
    """Average or max pooling, whose windows do not count what is outside the maps."""
    layer = keras.layers.MaxPooling2D if kind == "max" else keras.layers.AveragePooling2D
    return layer(pool_size, strides=strides, padding="same", name=f"{name}_pool")(x)


def _pooling(x: Tensor, *, kind: str, pool_size: int, filters: int, strides: int, name: str) -> Tensor:
    """Pooling; then a 1x1 convolution if the number of maps must change."""
    x = pooled(x, kind=kind, pool_size=pool_size, strides=strides, name=name)
    return x if x.shape[-1] == filters else conv_norm(x, filters, 1, name=name)


def _conv1(x: Tensor, *, filters: int, strides: int, name: str) -> Tensor:
    return relu_conv_norm(x, filters, 1, strides=strides, name=name)


def _bottleneck(x: Tensor, *, kernels: tuple[tuple[int, int], ...], filters: int, strides: int, name: str) -> Tensor:
    """Convolutions at a quarter of the filters between two 1x1 convolutions; without these for fewer than 4 filters."""
    inner = filters // 4 or filters
    if inner < filters:
        x = relu_conv_norm(x, inner, 1, name=f"{name}_reduce")
    for kernel in kernels:
        steps = tuple(strides if side > 1 else 1 for side in kernel)  # a 1x7 kernel has the stride along its side
        x = relu_conv_norm(x, inner, kernel, strides=steps, name=f"{name}_{kernel[0]}x{kernel[1]}")
    return relu_conv_norm(x, filters, 1, name=f"{name}_expand") if inner < filters else x


OPERATIONS: Mapping[str, Operation] = {
    "identity": _identity,
    "conv1": _conv1,
    "conv3": partial(_bottleneck, kernels=((3, 3),)),
    "conv1x7_7x1": partial(_bottleneck, kernels=((1, 7), (7, 1))),
    "sep3": partial(_separable, kernel_size=3),
    "sep5": partial(_separable, kernel_size=5),
    "sep7": partial(_separable, kernel_size=7),
    "dil3": partial(_separable, kernel_size=3, dilation_rate=2),
    "dil5": partial(_separable, kernel_size=5, dilation_rate=2),
    "avg3": partial(_pooling, kind="avg", pool_size=3),
    "max2": partial(_pooling, kind="max", pool_size=2),
    "max3": partial(_pooling, kind="max", pool_size=3),
}
"""The operations by their name in genotypes."""
