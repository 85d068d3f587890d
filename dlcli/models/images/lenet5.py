"""LeNet-5: LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document recognition"."""

from typing import Any, Literal

import keras

from dlcli.errors import InputError
from dlcli.models.images.layers import kernel_initializer

Tensor = Any  # a symbolic keras.KerasTensor


def features(inputs: Tensor, *, activation: str, pool: Literal["max", "average"]) -> Tensor:
    """LeNet-5 up to layer F6, in its modern form (figure 2): 61,706 parameters with a head of 10 classes.

    | layer  | output   | parameters |                                                          |
    |--------|----------|------------|----------------------------------------------------------|
    | C1     | 28x28x6  |        156 | 5x5 convolution                                          |
    | S2     | 14x14x6  |            | 2x2 pooling; named stage1                                |
    | C3     | 10x10x16 |      2,416 | 5x5 convolution                                          |
    | S4     | 5x5x16   |            | 2x2 pooling; named stage2                                |
    | C5     | 120      |     48,120 | dense (equal to a 5x5 convolution of a 5x5 map)          |
    | F6     | 84       |     10,164 | dense                                                    |
    | output | 10       |        850 | the head                                                 |

    The original of 1998 has 60,000 parameters. Each map of its C3 is connected to only some of S2's maps (table I;
    1,516 parameters instead of 2,416). Its S2 and S4 sum over their window, multiply by a trainable coefficient, add a
    trainable bias and apply a sigmoid (12 and 32 parameters, none here). Its activation is 1.7159 tanh(2x/3). Its
    outputs are distances to fixed 7x12 bitmaps (radial basis functions, not trained) instead of logits.

    Args:
        inputs: ``[batch, 32, 32, 1]``; or ``[batch, 28, 28, 1]``, which is padded by two zeros on each side (black,
            unless preprocessing maps black to another value).
        activation: activation of the convolutional and dense layers.
        pool: kind of pooling in S2 and S4.

    Returns:
        ``[batch, 84]``.

    Raises:
        InputError: images of another size, or in color.
    """
    shape = tuple(inputs.shape[1:])
    if shape not in {(32, 32, 1), (28, 28, 1)}:
        raise InputError(
            "lenet5 needs grayscale images of 32x32 or 28x28 pixels: set data.image_size to [32, 32] and "
            f"data.color_mode to grayscale. Received {'x'.join(str(side) for side in shape)}."
        )
    kernel = kernel_initializer(activation)
    pooling = keras.layers.MaxPooling2D if pool == "max" else keras.layers.AveragePooling2D

    x = inputs
    if shape == (28, 28, 1):
        x = keras.layers.ZeroPadding2D(2, name="padding")(x)
    x = keras.layers.Conv2D(6, 5, activation=activation, kernel_initializer=kernel, name="c1")(x)
    x = pooling(2, name="stage1")(x)
    x = keras.layers.Conv2D(16, 5, activation=activation, kernel_initializer=kernel, name="c3")(x)
    x = pooling(2, name="stage2")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(120, activation=activation, kernel_initializer=kernel, name="c5")(x)
    return keras.layers.Dense(84, activation=activation, kernel_initializer=kernel, name="f6")(x)
