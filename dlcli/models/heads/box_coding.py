"""Boxes relative to other boxes, such as anchors: Girshick, Donahue, Darrell and Malik 2014, "Rich feature hierarchies
for accurate object detection", appendix C, equations 1 to 10.

Of ``keras.ops.add`` (and ``+``) the larger tensor is the second operand. If the second operand has a single side longer
than 1, Keras 3.15 adds it as a bias along the last or the second axis wherever lengths match, whatever its own axis is:
along the wrong one in square images or in batches of one image.
"""

import math
from typing import Any

import keras
import numpy as np

from dlcli.models.heads.anchors import Size, axes_of, sides_of

Tensor = Any  # a tensor or a symbolic keras.KerasTensor

MOST_GROWTH = math.log(1000 / 16)
"""Largest logarithm of a side's growth that is decoded, so that the exponential cannot overflow: no box of 16 pixels
becomes larger than 1,000."""


def decoded(deltas: Tensor, *, x: Any, y: Any, width: Any, height: Any) -> Tensor:
    """Boxes from what was predicted relative to others, of which these are the centers and sides.

    Args:
        deltas: ``[..., 4]``: shift of the center along x and y in sides, logarithms of the growth of width and height.
        x, y, width, height: of the other boxes; arrays or tensors that broadcast against ``[...]``.

    Returns:
        corners ``[..., 4]`` (xmin, ymin, xmax, ymax) in the same unit.
    """
    middle_x, middle_y = keras.ops.add(x, deltas[..., 0] * width), keras.ops.add(y, deltas[..., 1] * height)
    half_width = keras.ops.exp(keras.ops.minimum(deltas[..., 2], MOST_GROWTH)) * (width / 2)
    half_height = keras.ops.exp(keras.ops.minimum(deltas[..., 3], MOST_GROWTH)) * (height / 2)
    corners = [middle_x - half_width, middle_y - half_height, middle_x + half_width, middle_y + half_height]
    return keras.ops.stack(corners, axis=-1)


def anchored_boxes(deltas: Tensor, *, size: Size, level: int, sides: np.ndarray) -> Tensor:
    """The boxes of a level from what was predicted relative to its anchors, rel_xyxy ``[b, n, 4]``.

    The anchors' rows, columns and sides broadcast, so that saved models hold few constants.

    Args:
        deltas: ``[b, n, 4]``, in the order of `anchors.anchors`.
        size: height and width of the image.
        sides: of the anchors at each position, see `anchors.anchor_sides`.
    """
    rows, columns = axes_of(size, level)
    height, width = size
    num_rows, num_columns = sides_of(size, level)
    grid = keras.ops.reshape(deltas, (-1, num_rows, num_columns, len(sides), 4))
    boxes = decoded(
        grid,
        x=(columns / width).astype(np.float32)[None, None, :, None],
        y=(rows / height).astype(np.float32)[None, :, None, None],
        width=(sides[:, 0] / width).astype(np.float32),
        height=(sides[:, 1] / height).astype(np.float32),
    )
    return keras.ops.reshape(boxes, (-1, num_rows * num_columns * len(sides), 4))


def encoded(boxes: Tensor, others: Tensor) -> Tensor:
    """The inverse of :func:`decoded`, for corners ``[..., 4]`` of boxes that have an area, relative to ``others``."""
    sides, other_sides = boxes[..., 2:] - boxes[..., :2], others[..., 2:] - others[..., :2]
    shift = (boxes[..., :2] + boxes[..., 2:] - others[..., :2] - others[..., 2:]) / (2 * other_sides)
    return keras.ops.concatenate([shift, keras.ops.log(sides / other_sides)], axis=-1)
