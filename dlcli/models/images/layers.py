"""Building blocks that several families share, such as those of residual networks, and common choices."""

from typing import Any

import keras

from dlcli.errors import SmallInput

Tensor = Any  # a symbolic keras.KerasTensor

BATCH_NORM_MOMENTUM = 0.9
"""Momentum of the moving averages used at inference. Keras's default, 0.99, takes hundreds of steps to catch up with
the weights, which is more than a small data set has in several epochs."""

BATCH_NORM_EPSILON = 1e-5
"""Added to the variance, as in the released ResNets and the families based on them (Keras's default is 1e-3)."""


def kernel_initializer(activation: str) -> str:
    """Keras's name of the initializer for a layer that is followed by this activation.

    Each keeps the variance of the signal constant across layers at initialization: He et al. 2015 ("Delving deep into
    rectifiers", eq. 10) for ReLU and its variants, which pass about half of it; Klambauer et al. 2017
    ("Self-normalizing neural networks", section 2) for SELU; Glorot and Bengio 2010 (eq. 16) for activations that are
    linear or symmetric around 0.
    """
    match activation:
        case "relu" | "leaky_relu" | "elu" | "gelu" | "silu":
            return "he_normal"
        case "selu":
            return "lecun_normal"
        case _:
            return "glorot_uniform"


def scaled(filters: int, width: float, *, groups: int = 1) -> int:
    """The number of filters times the width factor, rounded to a multiple of ``groups``; at least one per group."""
    return groups * max(1, round(filters * width / groups))


def conv(
    x: Tensor,
    filters: int,
    kernel_size: int | tuple[int, int],
    *,
    strides: int = 1,
    dilation_rate: int = 1,
    groups: int = 1,
    padding: str = "same",
    name: str,
) -> Tensor:
    """A convolution without bias, to be followed by normalization.

    With strides, ``same`` pads both sides equally with zeros, as the papers' code does. Keras's own ``same`` pads the
    end more when the padding is odd, which shifts the feature map by a pixel.
    """
    if strides > 1 and padding == "same" and isinstance(kernel_size, int) and kernel_size > 1:
        x = keras.layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_padding")(x)
        padding = "valid"
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        dilation_rate=dilation_rate,
        groups=groups,
        padding=padding,
        use_bias=False,
        kernel_initializer=kernel_initializer("relu"),
        name=name,
    )(x)


def norm(x: Tensor, *, name: str) -> Tensor:
    """Batch normalization: Ioffe and Szegedy 2015, algorithm 1."""
    return keras.layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, epsilon=BATCH_NORM_EPSILON, name=name)(x)


def relu(x: Tensor, *, name: str) -> Tensor:
    """ReLU: max(x, 0)."""
    return keras.layers.Activation("relu", name=name)(x)


def conv_norm_relu(x: Tensor, filters: int, kernel_size: int | tuple[int, int], *, name: str, **keys: Any) -> Tensor:
    """A convolution, its normalization and ReLU; ``keys`` are those of `conv`."""
    x = conv(x, filters, kernel_size, name=f"{name}_conv", **keys)
    return relu(norm(x, name=f"{name}_norm"), name=f"{name}_relu")


def max_pool(x: Tensor, *, name: str) -> Tensor:
    """3x3 max pooling with stride 2 and padding of 1, for maps after ReLU, which are not below the padding's zeros."""
    x = keras.layers.ZeroPadding2D(1, name=f"{name}_padding")(x)
    return keras.layers.MaxPooling2D(3, strides=2, name=name)(x)


def squeeze_excite(x: Tensor, *, reduction: int, name: str) -> Tensor:
    """Squeeze-and-excitation, which weights each channel by a function of all channel means (Hu, Shen and Sun 2018).

    Section 3 and figure 3 of "Squeeze-and-excitation networks".

    Args:
        x: ``[batch, height, width, channels]``.
        reduction: r of the paper: the ratio of the number of channels to the units of the hidden layer.
        name: prefix of the names of the layers.
    """
    channels = x.shape[-1]
    z = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)  # eq. 2
    z = keras.layers.Dense(
        max(1, channels // reduction),
        activation="relu",
        kernel_initializer=kernel_initializer("relu"),
        name=f"{name}_reduce",
    )(z)
    s = keras.layers.Dense(channels, activation="sigmoid", name=f"{name}_excite")(z)  # eq. 3
    return keras.layers.Multiply(name=f"{name}_scale")([x, s])  # eq. 4


def check_sides(inputs: Tensor, *, smallest: int, network: str) -> None:
    """Raises SmallInput if a side of ``[batch, height, width, channels]`` is smaller than ``smallest``."""
    sides = inputs.shape[1:-1]
    if any(side is not None and side < smallest for side in sides):
        size = "x".join("?" if side is None else str(side) for side in sides)
        raise SmallInput(
            f"{network} needs images of at least {smallest}x{smallest}: set data.image_size. Received {size}."
        )
