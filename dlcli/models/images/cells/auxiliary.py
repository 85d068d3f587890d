"""The auxiliary classifier of networks of searched cells, whose loss training adds.

Szegedy et al. 2015, "Going deeper with convolutions", section 5, in the form of NASNet's released code.
"""

from typing import Any

import keras

from dlcli.errors import SmallInput
from dlcli.models.images.cells.operations import conv_norm, norm
from dlcli.models.images.layers import kernel_initializer, relu

Tensor = Any  # a symbolic keras.KerasTensor

WINDOW = 5  # of the average pooling


def vector(maps: Tensor, *, width: float) -> Tensor:
    """The features of the auxiliary classifier.

    Args:
        maps: ``[batch, height, width, channels]`` of known sides, before the second reduction.
        width: factor on the numbers of filters, 128 and 768.

    Returns:
        ``[batch, 768 * width]``.

    Raises:
        InputError: a side of the maps is below 5.
    """
    height, breadth = maps.shape[1:3]
    if min(height, breadth) < WINDOW:
        raise SmallInput(
            f"model.auxiliary needs maps of at least {WINDOW}x{WINDOW} at the end of stage2: set a larger "
            f"data.image_size, or remove the key. Received images with maps of {height}x{breadth}."
        )
    x = relu(maps, name="auxiliary_relu")
    x = keras.layers.AveragePooling2D(WINDOW, strides=3, name="auxiliary_pool")(x)
    x = relu(conv_norm(x, int(128 * width), 1, name="auxiliary_reduce"), name="auxiliary_reduce_relu")
    x = keras.layers.Conv2D(
        int(768 * width),
        x.shape[1:3],
        use_bias=False,
        kernel_initializer=kernel_initializer("relu"),
        name="auxiliary_full_conv",
    )(x)
    x = relu(norm(x, name="auxiliary_full_norm"), name="auxiliary_full_relu")
    return keras.layers.Flatten(name="auxiliary_flatten")(x)
