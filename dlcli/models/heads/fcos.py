"""FCOS: Tian, Shen, Chen and He 2019, "FCOS: fully convolutional one-stage object detection", with the improvements of
its later version (2020, "FCOS: a simple and strong anchor-free object detector"): centerness on the box subnet and
distances in strides."""

import math
from typing import Any

import keras
import numpy as np

from dlcli.models.heads.anchors import Size, axes_of, sides_of
from dlcli.models.heads.box_coding import MOST_GROWTH
from dlcli.models.heads.dense_detection import DenseOutputs, joined, predictions, prior_bias, subnet
from dlcli.models.heads.feature_pyramid import Pyramid
from dlcli.models.heads.normalization import Normalization

Tensor = Any  # a symbolic keras.KerasTensor


def fcos(
    pyramid: Pyramid,
    *,
    size: Size,
    num_convs: int,
    channels: int,
    normalization: Normalization,
    initial_distance: float,
    num_classes: int,
) -> DenseOutputs:
    """A class, the distances to the four sides of a box and a centerness at each position (2019, section 3, figure 2).

    The distances are exp(s x) of the shared subnet's outputs x, in strides, with a factor s that is trained for each
    level (section 3.2); here each of the four sides has its own, and a bias.

    Args:
        pyramid: maps by level.
        size: height and width of the image.
        num_convs, channels, normalization: of the subnets, see `dense_detection.subnet`.
        initial_distance: distance to each side before training, in strides. It should be that of most objects: the
            gradient of the overlap of boxes that are far too small is close to 0.
        num_classes: number of classes, without background.

    Returns:
        what is trained: logits ``[b, n, classes]``, the output of the layer ``class_logits``, boxes rel_xyxy ``[b, n,
        4]``, that of ``predicted_boxes``, and the logits of the centerness ``[b, n, 1]``, that of
        ``centerness_logits``. Scores are the square root of the class's probability times the centerness, the geometric
        mean of both.
    """
    keys: dict[str, Any] = {"num_convs": num_convs, "channels": channels, "normalization": normalization}
    logits = predictions(
        subnet(pyramid, name="class", **keys), values=num_classes, bias=prior_bias(), name="class_outputs"
    )
    of_boxes = subnet(pyramid, name="box", **keys)
    centerness = predictions(of_boxes, values=1, name="centerness_outputs")
    sides = predictions(of_boxes, values=4, name="box_outputs")
    boxes = {level: _boxes(x, size=size, level=level, initial=initial_distance) for level, x in sides.items()}
    return DenseOutputs(
        trained=[
            joined(logits, name="class_logits"),
            joined(boxes, name="predicted_boxes"),
            joined(centerness, name="centerness_logits"),
        ],
        scores={
            level: keras.ops.sqrt(keras.ops.sigmoid(x) * keras.ops.sigmoid(centerness[level]))
            for level, x in logits.items()
        },
        boxes=boxes,
    )


def _boxes(sides: Tensor, *, size: Size, level: int, initial: float) -> Tensor:
    """The boxes of a level, rel_xyxy ``[b, n, 4]``, from the subnet's outputs for left, top, right and bottom."""
    rows, columns = axes_of(size, level)
    num_rows, num_columns = sides_of(size, level)
    height, width = size
    grid = keras.layers.Reshape((num_rows, num_columns, 4), dtype="float32", name=f"box_grid{level}")(sides)
    scaled = keras.layers.DepthwiseConv2D(
        1,
        depthwise_initializer="ones",
        bias_initializer=keras.initializers.Constant(math.log(initial)),
        dtype="float32",
        name=f"box_scale{level}",
    )(grid)
    distances = keras.ops.exp(keras.ops.minimum(scaled, MOST_GROWTH)) * float(2**level)
    x, y = (columns / width).astype(np.float32)[None, None], (rows / height).astype(np.float32)[None, :, None]
    left, top, right, bottom = (distances[..., i] / side for i, side in enumerate((width, height, width, height)))
    corners = [
        keras.ops.subtract(x, left),
        keras.ops.subtract(y, top),
        keras.ops.add(x, right),  # in this order, see box_coding
        keras.ops.add(y, bottom),
    ]
    return keras.ops.reshape(keras.ops.stack(corners, axis=-1), (-1, num_rows * num_columns, 4))
