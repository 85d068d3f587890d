"""VGG: Simonyan and Zisserman 2014, "Very deep convolutional networks for large-scale image recognition"."""

from typing import Any, Literal

import keras

from dlcli.models.images.layers import check_sides, kernel_initializer, norm, relu, scaled

Tensor = Any  # a symbolic keras.KerasTensor

FILTERS = (64, 128, 256, 512, 512)
"""Number of filters of the convolutions of each stage (table 1)."""

CONVOLUTIONS = {
    11: (1, 1, 2, 2, 2),  # A
    13: (2, 2, 2, 2, 2),  # B
    16: (2, 2, 3, 3, 3),  # D
    19: (2, 2, 4, 4, 4),  # E
}
"""Number of 3x3 convolutions in each stage, by the number of weight layers including three dense ones (table 1)."""

SMALLEST_SIDE = 32  # five halvings


def features(inputs: Tensor, *, depth: Literal[11, 13, 16, 19], batch_norm: bool, width: float) -> Tensor:
    """VGG without its head: five stages of 3x3 convolutions, each followed by 2x2 max pooling.

    Args:
        inputs: ``[batch, height, width, channels]``, sides of 32 or more.
        depth: 11, 13, 16 or 19: configurations A, B, D and E.
        batch_norm: normalize between each convolution and its ReLU; the convolutions then have no bias. The paper
            predates batch normalization.
        width: factor on all numbers of filters.

    Returns:
        ``[batch, height // 32, width // 32, 512 * width]``; the last layer of the i-th stage is ``stage{i}``.

    Raises:
        InputError: a side below 32.
    """
    check_sides(inputs, smallest=SMALLEST_SIDE, network=f"vgg of depth {depth}")
    x = inputs
    for stage, (filters, num_convolutions) in enumerate(zip(FILTERS, CONVOLUTIONS[depth], strict=True), start=1):
        for number in range(1, num_convolutions + 1):
            x = keras.layers.Conv2D(
                scaled(filters, width),
                3,
                padding="same",
                use_bias=not batch_norm,
                kernel_initializer=kernel_initializer("relu"),
                name=f"stage{stage}_conv{number}",
            )(x)
            if batch_norm:
                x = norm(x, name=f"stage{stage}_norm{number}")
            x = relu(x, name=f"stage{stage}_relu{number}")
        x = keras.layers.MaxPooling2D(2, name=f"stage{stage}")(x)
    return x
