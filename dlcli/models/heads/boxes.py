"""The box head: boxes by regression from the last feature maps."""

from collections.abc import Sequence
from typing import Literal

import keras

from dlcli.models.heads.vector import Tensor
from dlcli.models.images.layers import BATCH_NORM_MOMENTUM, kernel_initializer

FIRST_BOX = {"corners": [-1.1, -1.1, 1.1, 1.1], "center_size": [0.0] * 4}
"""Initial biases of the sigmoid outputs, so that training starts from the middle half of the image."""


def boxes(
    features: Tensor,
    *,
    channels: int | None,
    dense: Sequence[int],
    dropout: float,
    form: Literal["corners", "center_size"],
    num_boxes: int,
) -> Tensor:
    """Boxes by regression, with their corners in order.

    Feature maps are flattened, not averaged, because the mean would lose the position of objects.

    Args:
        features: feature maps ``[batch, height, width, channels]`` or a vector ``[batch, units]``.
        channels: number of channels to which a 1x1 convolution first reduces feature maps; None for no convolution.
        dense: number of units of each dense layer, which is followed by batch normalization and ReLU.
        dropout: dropout rate after each dense layer.
        form: meaning of the four sigmoid outputs: left, top, right and bottom, or center, width and height, with which
            boxes may extend beyond the image.
        num_boxes: 1, or the number of classes for a box per class.

    Returns:
        float32 rel_xyxy ``[batch, 4]``, or ``[batch, num_boxes, 4]`` for several; the output of the layer ``boxes``.
    """
    x = features
    if len(x.shape) == 4:
        if channels is not None:
            x = keras.layers.Conv2D(
                channels, 1, use_bias=False, kernel_initializer=kernel_initializer("relu"), name="box_conv"
            )(x)
            x = _normalized(x, "box_conv")
        x = keras.layers.Flatten(name="box_flatten")(x)
    for number, units in enumerate(dense, start=1):
        name = f"box_dense{number}"
        x = keras.layers.Dense(units, use_bias=False, kernel_initializer=kernel_initializer("relu"), name=name)(x)
        x = _normalized(x, name)
        if dropout > 0:
            x = keras.layers.Dropout(dropout, name=f"box_dropout{number}")(x)
    x = keras.layers.Dense(
        4 * num_boxes,
        activation="sigmoid",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        bias_initializer=keras.initializers.Constant(FIRST_BOX[form] * num_boxes),
        dtype="float32",
        name="box_outputs",
    )(x)
    if num_boxes > 1:
        x = keras.layers.Reshape((num_boxes, 4), dtype="float32", name="box_of_class")(x)
    first, second = x[..., :2], x[..., 2:]
    if form == "center_size":
        first, second = first - second / 2, first + second / 2
    ordered = keras.ops.concatenate([keras.ops.minimum(first, second), keras.ops.maximum(first, second)], axis=-1)
    return keras.layers.Identity(dtype="float32", name="boxes")(ordered)


def _normalized(x: Tensor, name: str) -> Tensor:
    """Batch normalization and ReLU.

    A unit has thousands of flattened features as its inputs: without normalization, a few steps of an optimizer
    saturate the sigmoids, and every image gets the same box.
    """
    x = keras.layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, name=f"{name}_norm")(x)
    return keras.layers.Activation("relu", name=f"{name}_activation")(x)


def final_box(boxes: Tensor, probabilities: Tensor) -> Tensor:
    """The predicted box, clipped to the image; with a box per class, that of the most probable class.

    Args:
        boxes: outputs of `boxes`.
        probabilities: float32 ``[batch, classes]``.

    Returns:
        float32 rel_xyxy ``[batch, 4]``, the output of the layer ``box``.
    """
    if len(boxes.shape) == 3:
        likeliest = keras.ops.one_hot(keras.ops.argmax(probabilities, axis=-1), boxes.shape[1], dtype="float32")
        boxes = keras.ops.sum(boxes * likeliest[..., None], axis=1)
    return keras.layers.Identity(dtype="float32", name="box")(keras.ops.clip(boxes, 0.0, 1.0))


def last_maps(vector: Tensor) -> Tensor:
    """The last feature maps ``[batch, height, width, channels]`` before a vector, through layers of one input each.

    The vector itself if there are none, as in a multilayer perceptron.
    """
    tensor = vector
    while len(tensor.shape) != 4:
        operation = tensor._keras_history.operation
        before = [] if isinstance(operation, keras.layers.InputLayer) else keras.tree.flatten(operation.input)
        if len(before) != 1:
            return vector
        tensor = before[0]
    return tensor
